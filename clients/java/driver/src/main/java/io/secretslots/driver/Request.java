package io.secretslots.driver;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.grpc.Status.Code;
import io.secretslots.client.SecretValue;
import io.secretslots.client.SlotsException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/** The members of a request; those left out are null, empty or false. */
record Request(JsonObject json) {
  String text(String member) {
    JsonElement element = json.get(member);
    return element == null || element.isJsonNull() ? null : element.getAsString();
  }

  String textOr(String member, String otherwise) {
    String text = text(member);
    return text == null ? otherwise : text;
  }

  boolean flag(String member) {
    return has(member) && json.get(member).getAsBoolean();
  }

  boolean has(String member) {
    return json.has(member) && !json.get(member).isJsonNull();
  }

  /** A number that a long can't hold is refused here, as by any Java caller's own parsing. */
  OptionalLong number(String member) {
    String text = text(member);
    return text == null ? OptionalLong.empty() : OptionalLong.of(parse(member, text));
  }

  long required(String member) {
    return number(member)
        .orElseThrow(
            () ->
                new SlotsException(
                    Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", member + " is missing", Map.of()));
  }

  static long parse(String member, String text) {
    try {
      return Long.parseLong(text);
    } catch (NumberFormatException e) {
      throw new SlotsException(
          Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", member + " must be 0 to 2^63-1", Map.of());
    }
  }

  byte[] bytes(String member) {
    String text = text(member);
    return text == null ? null : Base64.getDecoder().decode(text);
  }

  SecretValue value(String member) {
    byte[] bytes = bytes(member);
    return bytes == null ? null : SecretValue.of(bytes);
  }

  List<String> texts(String member) {
    List<String> texts = new ArrayList<>();
    json.getAsJsonArray(member).forEach(element -> texts.add(element.getAsString()));
    return texts;
  }

  Map<String, String> map(String member) {
    Map<String, String> map = new LinkedHashMap<>();
    json.getAsJsonObject(member)
        .entrySet()
        .forEach(entry -> map.put(entry.getKey(), entry.getValue().getAsString()));
    return map;
  }
}

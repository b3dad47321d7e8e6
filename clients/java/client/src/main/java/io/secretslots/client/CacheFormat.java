package io.secretslots.client;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The payload of the cache file: JSON with every number as a decimal string. */
final class CacheFormat {
  private static final String VERSION = "1";
  private static final Pattern NUMBER = Pattern.compile("0|[1-9][0-9]{0,18}");
  private static final Pattern TIME = Pattern.compile("(-?[0-9]{1,12})\\.([0-9]{9})");

  /**
   * A payload.
   *
   * @param view that the states were followed with
   * @param snapshot what was known
   */
  record Payload(View view, Replica.Snapshot snapshot) {}

  private CacheFormat() {}

  static byte[] encode(Payload payload, Instant savedAt) {
    JsonObject root = new JsonObject();
    Replica.Snapshot snapshot = payload.snapshot();
    root.addProperty("version", VERSION);
    root.addProperty("view", payload.view().name());
    root.addProperty("epoch", snapshot.epoch());
    root.addProperty("revision", Long.toString(snapshot.revision()));
    root.addProperty("resumeToken", snapshot.resumeToken());
    root.addProperty("savedAt", Long.toString(savedAt.getEpochSecond()));
    JsonObject secrets = new JsonObject();
    snapshot.states().forEach((name, state) -> secrets.add(name, encode(state)));
    root.add("secrets", secrets);
    return root.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static JsonObject encode(SecretState state) {
    JsonArray slots = new JsonArray();
    for (Slot slot : state.slots()) {
      JsonObject one = new JsonObject();
      one.addProperty("slot", Long.toString(slot.number()));
      one.addProperty("revision", Long.toString(slot.revision()));
      one.addProperty("createTime", time(slot.createTime()));
      if (slot.failed()) {
        one.addProperty("failed", true);
      } else {
        one.addProperty("value", Base64.getEncoder().encodeToString(slot.value().view()));
      }
      slots.add(one);
    }
    JsonObject secret = new JsonObject();
    secret.addProperty("revision", Long.toString(state.revision()));
    secret.addProperty("absent", state.absent().map(AbsentReason::name).orElse(""));
    secret.add("slots", slots);
    return secret;
  }

  /** Reads a payload; anything out of order is unreadable as a whole. */
  static Payload decode(byte[] payload) throws CacheFile.UnreadableException {
    try {
      String text = new String(payload, StandardCharsets.UTF_8);
      JsonObject root = JsonParser.parseString(text).getAsJsonObject();
      if (!string(root, "version").equals(VERSION)) {
        throw new CacheFile.UnreadableException("its version is not known");
      }
      String epoch = string(root, "epoch");
      Map<String, SecretState> states = new LinkedHashMap<>();
      for (Map.Entry<String, JsonElement> entry : root.getAsJsonObject("secrets").entrySet()) {
        states.put(
            entry.getKey(), state(entry.getKey(), epoch, entry.getValue().getAsJsonObject()));
      }
      return new Payload(
          View.valueOf(string(root, "view")),
          new Replica.Snapshot(
              epoch, number(root, "revision"), string(root, "resumeToken"), states));
    } catch (RuntimeException e) {
      // Not with its message: that quotes the JSON.
      throw new CacheFile.UnreadableException("its content is malformed");
    }
  }

  private static SecretState state(String name, String epoch, JsonObject secret) {
    List<Slot> slots = new ArrayList<>();
    long last = -1;
    for (JsonElement element : secret.getAsJsonArray("slots")) {
      JsonObject one = element.getAsJsonObject();
      long number = number(one, "slot");
      if (number <= last) {
        throw new IllegalArgumentException("slots ascend");
      }
      last = number;
      boolean failed = one.has("failed") && one.get("failed").getAsBoolean();
      SecretValue value =
          failed ? null : SecretValue.owning(Base64.getDecoder().decode(string(one, "value")));
      slots.add(new Slot(number, number(one, "revision"), time(string(one, "createTime")), value));
    }
    String absent = string(secret, "absent");
    return new SecretState(
        name,
        epoch,
        number(secret, "revision"),
        absent.isEmpty() ? null : AbsentReason.valueOf(absent),
        slots);
  }

  private static String string(JsonObject object, String member) {
    JsonElement element = object.get(member);
    if (!element.isJsonPrimitive() || !element.getAsJsonPrimitive().isString()) {
      throw new IllegalArgumentException("a string is wanted");
    }
    return element.getAsString();
  }

  private static long number(JsonObject object, String member) {
    String text = string(object, member);
    if (!NUMBER.matcher(text).matches()) {
      throw new NumberFormatException("a decimal number is wanted");
    }
    return Long.parseLong(text);
  }

  private static String time(Instant time) {
    return time == null
        ? ""
        : String.format(Locale.ROOT, "%d.%09d", time.getEpochSecond(), time.getNano());
  }

  private static Instant time(String text) {
    if (text.isEmpty()) {
      return null;
    }
    Matcher match = TIME.matcher(text);
    if (!match.matches()) {
      throw new IllegalArgumentException("a time is wanted");
    }
    return Instant.ofEpochSecond(Long.parseLong(match.group(1)), Long.parseLong(match.group(2)));
  }
}

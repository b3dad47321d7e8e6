package io.secretslots.driver;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.secretslots.client.SecretMetadata;
import io.secretslots.client.SecretValue;
import io.secretslots.client.SecretVersion;
import io.secretslots.client.SlotResult;
import java.util.Base64;
import java.util.Collection;
import java.util.OptionalLong;

/** Puts results into JSON. */
final class Answers {
  private Answers() {}

  static JsonObject version(SecretVersion version) {
    JsonObject answer = new JsonObject();
    answer.addProperty("name", version.name());
    number(answer, "slot", version.slot());
    answer.addProperty("value", base64(version.value()));
    number(answer, "revision", version.revision());
    answer.addProperty("epoch", version.epoch());
    return answer;
  }

  static JsonObject slot(SlotResult result) {
    JsonObject answer = new JsonObject();
    number(answer, "slot", result.slot().slot());
    answer.addProperty("state", result.slot().state().name());
    number(answer, "revision", result.revision());
    return answer;
  }

  static JsonObject secret(SecretMetadata secret) {
    JsonObject answer = new JsonObject();
    answer.addProperty("name", secret.name());
    answer.addProperty("comment", secret.comment());
    JsonObject labels = new JsonObject();
    secret.labels().forEach(labels::addProperty);
    answer.add("labels", labels);
    answer.addProperty("etag", secret.etag());
    number(answer, "revision", secret.revision());
    number(answer, "slotCount", secret.slotCount());
    number(answer, "enabledCount", secret.enabledCount());
    optional(answer, "currentSlot", secret.currentSlot());
    return answer;
  }

  static void number(JsonObject answer, String member, long number) {
    answer.addProperty(member, Long.toString(number));
  }

  static void optional(JsonObject answer, String member, OptionalLong number) {
    answer.add(
        member,
        number.isPresent()
            ? new JsonPrimitive(Long.toString(number.getAsLong()))
            : JsonNull.INSTANCE);
  }

  static String base64(SecretValue value) {
    return Base64.getEncoder().encodeToString(value.bytes());
  }

  static JsonArray array(Collection<String> texts) {
    JsonArray array = new JsonArray();
    texts.forEach(array::add);
    return array;
  }
}

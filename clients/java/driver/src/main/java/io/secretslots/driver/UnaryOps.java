package io.secretslots.driver;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.secretslots.client.Conditions;
import io.secretslots.client.ConnectOptions;
import io.secretslots.client.Credentials;
import io.secretslots.client.EffectiveVersion;
import io.secretslots.client.PutResult;
import io.secretslots.client.PutSlot;
import io.secretslots.client.SecretMetadata;
import io.secretslots.client.SecretUpdate;
import io.secretslots.client.ServerInfo;
import io.secretslots.client.SlotMetadata;
import io.secretslots.client.SlotResult;
import io.secretslots.client.SlotsClient;
import io.secretslots.client.Tls;
import io.secretslots.client.Version;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Clients and the unary calls. */
final class UnaryOps {
  private interface SlotCall {
    SlotResult call(SlotsClient client, String name, long slot, Conditions conditions);
  }

  private final Map<String, SlotsClient> clients = new HashMap<>();

  void register(Map<String, Driver.Op> ops) {
    ops.put("hello", this::hello);
    ops.put("connect", this::connect);
    ops.put("get", r -> Answers.version(client(r).getSecret(r.text("name"))));
    ops.put("at", this::at);
    ops.put("put", this::put);
    ops.put("disable", r -> slot(r, SlotsClient::disableSlot));
    ops.put("enable", r -> slot(r, SlotsClient::enableSlot));
    ops.put("destroy", r -> slot(r, SlotsClient::destroySlot));
    ops.put("delete", this::delete);
    ops.put("describe", r -> Answers.secret(client(r).describeSecret(r.text("name"))));
    ops.put("update", this::update);
    ops.put("list", this::list);
    ops.put("listSlots", this::listSlots);
    ops.put("info", this::info);
    ops.put("closeClient", this::closeClient);
  }

  SlotsClient client(Request request) {
    return clients.get(request.text("client"));
  }

  void close() {
    clients.values().forEach(SlotsClient::close);
  }

  private JsonObject hello(Request request) {
    JsonObject answer = new JsonObject();
    answer.addProperty("lang", "java");
    answer.addProperty("version", Version.TEXT);
    return answer;
  }

  private JsonObject connect(Request request) {
    Credentials credentials = Credentials.none();
    if (request.has("token")) {
      credentials = Credentials.token(request.text("token"));
    } else if (request.has("tokenFile")) {
      credentials = Credentials.tokenFile(request.text("tokenFile"));
    }
    if (request.has("ca") || request.has("cert") || request.has("key")) {
      credentials =
          credentials.with(
              new Tls(path(request, "ca"), path(request, "cert"), path(request, "key"), null));
    }
    if (request.flag("allowPlaintext")) {
      credentials = credentials.allowPlaintext();
    }
    ConnectOptions options =
        ConnectOptions.to(request.text("address"), credentials)
            .withWarnings(warning -> System.err.println("warning: " + warning));
    if (request.has("timeoutMs")) {
      options = options.withTimeout(Duration.ofMillis(request.required("timeoutMs")));
    }
    if (request.has("maxAttempts")) {
      options = options.withMaxAttempts(Math.toIntExact(request.required("maxAttempts")));
    }
    SlotsClient before = clients.put(request.text("client"), SlotsClient.connect(options));
    if (before != null) {
      before.close();
    }
    return new JsonObject();
  }

  private static Path path(Request request, String member) {
    String text = request.text(member);
    return text == null ? null : Path.of(text);
  }

  private JsonObject at(Request request) {
    SlotsClient client = client(request);
    String name = request.text("name");
    EffectiveVersion effective =
        request.has("at")
            ? client.getEffectiveAt(name, request.required("at"))
            : client.getEffectiveNow(name);
    JsonObject answer = Answers.version(effective.version());
    Answers.number(answer, "at", effective.at());
    return answer;
  }

  private JsonObject put(Request request) {
    // Not by the factories: the cases send what these would not let through.
    PutResult result =
        client(request)
            .putSlot(
                new PutSlot(
                    request.text("name"),
                    request.number("slot"),
                    PutSlot.Choice.valueOf(request.textOr("autoSlot", "NONE")),
                    request.value("value"),
                    request.flag("overwrite"),
                    request.number("expectedRevision"),
                    request.text("requestId"),
                    "DISABLED".equals(request.text("initialState"))));
    JsonObject answer = new JsonObject();
    Answers.number(answer, "slot", result.slot());
    answer.addProperty("state", result.state().name());
    Answers.number(answer, "revision", result.revision());
    answer.addProperty("created", result.created());
    Answers.optional(answer, "currentSlot", result.currentSlot());
    answer.addProperty("epoch", result.epoch());
    return answer;
  }

  private JsonObject slot(Request request, SlotCall call) {
    return Answers.slot(
        call.call(
            client(request), request.text("name"), request.required("slot"), conditions(request)));
  }

  private JsonObject delete(Request request) {
    JsonObject answer = new JsonObject();
    Answers.number(
        answer,
        "revision",
        client(request).deleteSecret(request.text("name"), conditions(request)));
    return answer;
  }

  private JsonObject update(Request request) {
    SecretUpdate update =
        new SecretUpdate(
            request.text("comment"), request.has("labels") ? request.map("labels") : null);
    return Answers.secret(
        client(request).updateSecret(request.text("name"), update, conditions(request)));
  }

  private JsonObject list(Request request) {
    List<String> names =
        client(request)
            .listSecrets(request.textOr("prefix", ""), pageSize(request))
            .map(SecretMetadata::name)
            .toList();
    JsonObject answer = new JsonObject();
    answer.add("names", Answers.array(names));
    return answer;
  }

  private JsonObject listSlots(Request request) {
    JsonArray slots = new JsonArray();
    client(request)
        .listSlots(request.text("name"), pageSize(request))
        .forEach(slot -> slots.add(slot(slot)));
    JsonObject answer = new JsonObject();
    answer.add("slots", slots);
    return answer;
  }

  private static JsonObject slot(SlotMetadata slot) {
    JsonObject one = new JsonObject();
    Answers.number(one, "slot", slot.slot());
    one.addProperty("state", slot.state().name());
    Answers.number(one, "revision", slot.revision());
    Answers.number(one, "size", slot.size());
    return one;
  }

  private JsonObject info(Request request) {
    ServerInfo info = client(request).getServerInfo();
    JsonObject answer = new JsonObject();
    answer.addProperty("version", info.version());
    answer.addProperty("epoch", info.epoch());
    Answers.number(answer, "revision", info.revision());
    return answer;
  }

  private JsonObject closeClient(Request request) {
    clients.get(request.text("client")).close();
    return new JsonObject();
  }

  private static int pageSize(Request request) {
    return Math.toIntExact(request.number("pageSize").orElse(0));
  }

  private static Conditions conditions(Request request) {
    return new Conditions(request.textOr("etag", ""), request.text("requestId"));
  }
}

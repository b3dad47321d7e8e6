package io.secretslots.driver;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.secretslots.client.Change;
import io.secretslots.client.FakeSecrets;
import io.secretslots.client.OpenOptions;
import io.secretslots.client.SecretHandle;
import io.secretslots.client.SecretSet;
import io.secretslots.client.SecretState;
import io.secretslots.client.SecretValue;
import io.secretslots.client.SecretVersion;
import io.secretslots.client.SlotsException;
import io.secretslots.client.View;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** Sets, handles and what hangs on them. */
final class SetOps {
  /** A set and what its callbacks got. */
  private record Opened(SecretSet set, Map<String, List<Change>> changes) {}

  private final UnaryOps unary;
  private final Map<String, Opened> sets = new HashMap<>();
  private final Map<String, DerivedProbe> derived = new HashMap<>();
  private final Map<String, Hammer> hammers = new HashMap<>();

  SetOps(UnaryOps unary) {
    this.unary = unary;
  }

  void register(Map<String, Driver.Op> ops) {
    ops.put("open", this::open);
    ops.put("fakeOpen", this::fakeOpen);
    ops.put("fakeRotate", this::fakeRotate);
    ops.put("current", r -> Answers.version(handle(r).current()));
    ops.put("effectiveAt", r -> Answers.version(handle(r).effectiveAt(r.required("at"))));
    ops.put("acceptable", this::acceptable);
    ops.put("age", this::age);
    ops.put("stale", this::stale);
    ops.put("waitFor", r -> new Wait(r, r.has("name") ? handle(r) : null, set(r)).run());
    ops.put("changes", this::changes);
    ops.put("derive", this::derive);
    ops.put("derivedGet", r -> derived.get(r.text("derived")).report());
    ops.put("repr", this::repr);
    ops.put("bench", this::bench);
    ops.put("hammerStart", this::hammerStart);
    ops.put("hammerStop", r -> hammers.remove(r.text("set")).stop());
    ops.put("closeSet", this::closeSet);
  }

  void close() throws InterruptedException {
    for (Hammer hammer : hammers.values()) {
      hammer.stop();
    }
    sets.values().forEach(opened -> opened.set.close());
  }

  private SecretSet set(Request request) {
    return sets.get(request.text("set")).set;
  }

  private SecretHandle handle(Request request) {
    return set(request).handle(request.text("name"));
  }

  private JsonObject open(Request request) {
    OpenOptions options =
        OpenOptions.defaults().withView(View.valueOf(request.textOr("view", "ALL_ENABLED")));
    if (request.has("timeoutMs")) {
      options = options.withTimeout(Duration.ofMillis(request.required("timeoutMs")));
    }
    if (request.has("cachePath")) {
      options = options.withCache(Path.of(request.text("cachePath")), request.bytes("cacheKey"));
    }
    keep(request, unary.client(request).open(request.texts("names"), options));
    return new JsonObject();
  }

  private JsonObject fakeOpen(Request request) {
    Map<String, Map<Long, SecretValue>> secrets = new HashMap<>();
    request
        .json()
        .getAsJsonObject("secrets")
        .entrySet()
        .forEach(
            secret -> {
              Map<Long, SecretValue> slots = new HashMap<>();
              secret
                  .getValue()
                  .getAsJsonObject()
                  .entrySet()
                  .forEach(
                      slot ->
                          slots.put(
                              Request.parse("slot", slot.getKey()),
                              SecretValue.of(
                                  Base64.getDecoder().decode(slot.getValue().getAsString()))));
              secrets.put(secret.getKey(), slots);
            });
    keep(request, FakeSecrets.ofSlots(secrets));
    return new JsonObject();
  }

  /** Remembers the set and records every change, each after the delay asked for. */
  private void keep(Request request, SecretSet set) {
    long delay = request.number("callbackDelayMs").orElse(0);
    Map<String, List<Change>> changes = new ConcurrentHashMap<>();
    for (String name : set.names()) {
      List<Change> got = new CopyOnWriteArrayList<>();
      changes.put(name, got);
      set.handle(name)
          .onChange(
              change -> {
                pause(delay);
                got.add(change);
              });
    }
    sets.put(request.text("set"), new Opened(set, changes));
  }

  private static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private JsonObject fakeRotate(Request request) {
    FakeSecrets fake = (FakeSecrets) set(request);
    OptionalLong slot = request.number("slot");
    if (slot.isPresent()) {
      fake.rotate(request.text("name"), request.value("value"), slot.getAsLong());
    } else {
      fake.rotate(request.text("name"), request.value("value"));
    }
    return new JsonObject();
  }

  private JsonObject acceptable(Request request) {
    List<SecretVersion> versions =
        handle(request).acceptable(request.required("t"), request.required("overlap"));
    JsonObject answer = new JsonObject();
    answer.add(
        "slots", Answers.array(versions.stream().map(v -> Long.toString(v.slot())).toList()));
    answer.add(
        "values", Answers.array(versions.stream().map(v -> Answers.base64(v.value())).toList()));
    return answer;
  }

  private JsonObject age(Request request) {
    JsonObject answer = new JsonObject();
    answer.add(
        "ageMs",
        set(request)
            .age()
            .<com.google.gson.JsonElement>map(
                age -> new JsonPrimitive(Long.toString(age.toMillis())))
            .orElse(JsonNull.INSTANCE));
    return answer;
  }

  private JsonObject stale(Request request) {
    JsonObject answer = new JsonObject();
    answer.addProperty("stale", set(request).stale());
    return answer;
  }

  private JsonObject changes(Request request) {
    JsonArray all = new JsonArray();
    handle(request); // an undeclared name is an error
    for (Change change : sets.get(request.text("set")).changes.get(request.text("name"))) {
      SecretState state = change.current();
      JsonObject one = new JsonObject();
      Answers.number(one, "revision", state.revision());
      one.addProperty("epoch", state.epoch());
      one.addProperty("absent", state.absent().map(Enum::name).orElse(""));
      one.addProperty("currentChanged", change.currentChanged());
      try {
        SecretVersion current = state.current();
        Answers.number(one, "slot", current.slot());
        one.addProperty("value", Answers.base64(current.value()));
      } catch (SlotsException e) {
        one.add("slot", JsonNull.INSTANCE);
        one.add("value", JsonNull.INSTANCE);
      }
      all.add(one);
    }
    JsonObject answer = new JsonObject();
    answer.add("changes", all);
    return answer;
  }

  private JsonObject derive(Request request) throws Exception {
    DerivedProbe probe = new DerivedProbe(handle(request), request.value("failOn"));
    derived.put(request.text("derived"), probe);
    JsonObject answer = new JsonObject();
    answer.addProperty("value", Answers.base64(probe.value()));
    return answer;
  }

  private JsonObject repr(Request request) {
    SecretHandle handle = handle(request);
    List<Object> things = new ArrayList<>();
    things.add(handle);
    things.add(handle.state());
    things.addAll(handle.state().slots());
    try {
      things.add(handle.current());
      things.add(handle.current().value());
    } catch (SlotsException e) {
      things.add(e);
    }
    things.add(set(request));
    things.addAll(sets.get(request.text("set")).changes.get(request.text("name")));
    if (request.has("client")) {
      things.add(unary.client(request));
    }
    List<String> texts = new ArrayList<>();
    for (Object thing : things) {
      texts.add(thing.toString());
      texts.add(String.format("%s %10s", thing, List.of(thing)));
      texts.add(new IllegalStateException("" + thing, null).toString());
      texts.add(Gsons.tryJson(thing));
    }
    JsonObject answer = new JsonObject();
    answer.add("texts", Answers.array(texts));
    return answer;
  }

  private JsonObject bench(Request request) {
    Bench.Result result = Bench.run(handle(request), request.number("ms").orElse(1000));
    JsonObject answer = new JsonObject();
    answer.addProperty("currentNs", result.currentNs());
    answer.addProperty("effectiveAtNs", result.effectiveAtNs());
    return answer;
  }

  private JsonObject hammerStart(Request request) {
    List<SecretHandle> handles = request.texts("names").stream().map(set(request)::handle).toList();
    hammers.put(request.text("set"), Hammer.start(handles, request.required("perSecond")));
    return new JsonObject();
  }

  private JsonObject closeSet(Request request) {
    Opened opened = sets.get(request.text("set"));
    if (opened != null) { // its open may have failed
      opened.set.close();
    }
    return new JsonObject();
  }
}

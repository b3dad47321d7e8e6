package io.secretslots.driver;

import com.google.gson.JsonObject;
import io.grpc.Status.Code;
import io.secretslots.client.SecretHandle;
import io.secretslots.client.SecretSet;
import io.secretslots.client.SecretState;
import io.secretslots.client.SecretVersion;
import io.secretslots.client.SlotsException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Waits until all that the request names holds. */
record Wait(Request request, SecretHandle handle, SecretSet set) {
  JsonObject run() throws InterruptedException {
    long start = System.nanoTime();
    long bound = request.required("boundMs");
    while (true) {
      List<String> unmet = unmet();
      long waited = (System.nanoTime() - start) / 1_000_000;
      if (unmet.isEmpty()) {
        JsonObject answer = new JsonObject();
        Answers.number(answer, "waitedMs", waited);
        return answer;
      }
      if (waited >= bound) {
        throw new SlotsException(
            Code.DEADLINE_EXCEEDED, "WAIT_TIMEOUT", String.join("; ", unmet), Map.of());
      }
      Thread.sleep(5);
    }
  }

  private List<String> unmet() {
    List<String> unmet = new ArrayList<>();
    if (request.has("stale") && set.stale() != request.flag("stale")) {
      unmet.add("stale is " + set.stale());
    }
    if (handle == null) {
      return unmet;
    }
    SecretState state = handle.state();
    SecretVersion current = null;
    String failure = "";
    try {
      current = state.current();
    } catch (SlotsException e) {
      failure = e.code() + " " + e.reason();
    }
    String now = current == null ? failure : "slot " + current.slot();
    if (request.has("value")
        && (current == null || !current.value().equals(request.value("value")))) {
      unmet.add("another value: " + now);
    }
    if (request.has("slot") && (current == null || current.slot() != request.required("slot"))) {
      unmet.add("another slot: " + now);
    }
    if (request.has("revision") && state.revision() < request.required("revision")) {
      unmet.add("revision is " + state.revision());
    }
    if (request.has("absent")
        && !request.text("absent").equals(state.absent().map(Enum::name).orElse(""))) {
      unmet.add("absent is " + state.absent() + ": " + now);
    }
    if (request.flag("failed") && !failure.startsWith("DATA_LOSS")) {
      unmet.add("not failed: " + now);
    }
    return unmet;
  }
}

package io.secretslots.driver;

import com.google.gson.JsonObject;
import io.secretslots.client.SecretHandle;
import io.secretslots.client.SecretState;
import io.secretslots.client.SecretVersion;
import io.secretslots.client.SlotsException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Reads handles about so often in the background, and counts what must not be. */
final class Hammer implements Runnable {
  private final List<SecretHandle> handles;
  private final long perSecond;
  private final Map<String, SecretState> last = new HashMap<>();
  private final Thread thread = new Thread(this, "hammer");
  private volatile boolean stopping;
  private long reads;
  private long failures;
  private long backwards;
  private String firstFailure = "";

  private Hammer(List<SecretHandle> handles, long perSecond) {
    this.handles = handles;
    this.perSecond = perSecond;
  }

  static Hammer start(List<SecretHandle> handles, long perSecond) {
    Hammer hammer = new Hammer(handles, perSecond);
    hammer.thread.start();
    return hammer;
  }

  JsonObject stop() throws InterruptedException {
    stopping = true;
    thread.join();
    JsonObject answer = new JsonObject();
    Answers.number(answer, "reads", reads);
    Answers.number(answer, "failures", failures);
    Answers.number(answer, "backwards", backwards);
    answer.addProperty("firstFailure", firstFailure);
    return answer;
  }

  @Override
  public void run() {
    long start = System.nanoTime();
    for (long round = 1; !stopping; round++) {
      handles.forEach(this::read);
      // Rounds that a busy machine made late are made up for.
      long ahead = start + round * 1_000_000_000L / perSecond - System.nanoTime();
      if (ahead > 0) {
        try {
          Thread.sleep(ahead / 1_000_000, (int) (ahead % 1_000_000));
        } catch (InterruptedException e) {
          return;
        }
      }
    }
  }

  private void read(SecretHandle handle) {
    SecretState state = handle.state();
    SecretState before = last.put(handle.name(), state);
    if (before != null
        && before.epoch().equals(state.epoch())
        && state.revision() < before.revision()) {
      backwards++;
    }
    try {
      SecretVersion current = handle.current();
      handle.effectiveAt(current.slot());
      reads += 2;
    } catch (SlotsException e) {
      failures++;
      if (firstFailure.isEmpty()) {
        firstFailure = e.toString();
      }
    }
  }
}

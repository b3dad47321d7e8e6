package io.secretslots.driver;

import com.google.gson.JsonObject;
import io.secretslots.client.Derived;
import io.secretslots.client.SecretHandle;
import io.secretslots.client.SecretValue;
import io.secretslots.client.SecretVersion;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/** A derived resource that notes what was built and closed, and what should not have been. */
final class DerivedProbe {
  /** Holds a copy of the value. */
  private static final class Resource {
    final SecretValue value;
    boolean closed;

    Resource(SecretValue value) {
      this.value = value;
    }
  }

  private final SecretValue failOn;
  private final AtomicBoolean building = new AtomicBoolean();
  // Guarded by this.
  private final List<String> closed = new ArrayList<>();
  private int builds;
  private String wrong;
  private final Derived<Resource> derived;

  DerivedProbe(SecretHandle handle, SecretValue failOn) {
    this.failOn = failOn;
    derived = handle.derived(this::build, this::close);
  }

  SecretValue value() {
    return derived.get().value;
  }

  private Resource build(SecretVersion version) {
    if (building.getAndSet(true)) {
      fail("built while another build ran");
    }
    try {
      if (version.value().equals(failOn)) {
        throw new IllegalStateException("told to fail");
      }
      synchronized (this) {
        builds++;
      }
      return new Resource(SecretValue.of(version.value().bytes()));
    } finally {
      building.set(false);
    }
  }

  private synchronized void close(Resource resource) {
    if (resource.closed) {
      fail("closed twice");
    }
    resource.closed = true;
    closed.add(Answers.base64(resource.value));
  }

  private synchronized void fail(String what) {
    wrong = what;
  }

  synchronized JsonObject report() {
    if (wrong != null) {
      throw new IllegalStateException(wrong);
    }
    JsonObject answer = new JsonObject();
    answer.addProperty("value", Answers.base64(value()));
    Answers.number(answer, "builds", builds);
    answer.add("closed", Answers.array(closed));
    return answer;
  }
}

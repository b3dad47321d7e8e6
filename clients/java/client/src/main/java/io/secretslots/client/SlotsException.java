package io.secretslots.client;

import io.grpc.Status.Code;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The one error of this client: from the server, or made here with the code and the reason that the
 * server would give. It never holds a value or a token.
 */
public final class SlotsException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /**
   * One field of a request that was refused.
   *
   * @param field the field's path
   * @param description what is wrong with it
   */
  public record FieldViolation(String field, String description) {}

  private final Code code;
  private final String reason;
  private final transient Map<String, String> metadata;
  private final transient List<FieldViolation> violations;
  private final transient Duration retryDelay;

  /** An error without a cause. */
  public SlotsException(Code code, String reason, String message, Map<String, String> metadata) {
    this(code, reason, message, metadata, List.of(), null, null);
  }

  SlotsException(
      Code code,
      String reason,
      String message,
      Map<String, String> metadata,
      List<FieldViolation> violations,
      Duration retryDelay,
      Throwable cause) {
    super(message, cause);
    this.code = code;
    this.reason = reason;
    this.metadata = Map.copyOf(metadata);
    this.violations = List.copyOf(violations);
    this.retryDelay = retryDelay;
  }

  static SlotsException invalid(String message) {
    return invalid("INVALID_ARGUMENT", message);
  }

  static SlotsException invalid(String reason, String message) {
    return new SlotsException(Code.INVALID_ARGUMENT, reason, message, Map.of());
  }

  /** Slots, revisions and points on the slot axis: 0 to 2^63-1. */
  static long checkNumber(long number, String what) {
    if (number < 0) {
      throw invalid(what + " must be 0 to 2^63-1");
    }
    return number;
  }

  /** gRPC's canonical code. */
  public Code code() {
    return code;
  }

  /** The stable word for what went wrong, such as {@code SECRET_NOT_FOUND}; "" when none came. */
  public String reason() {
    return reason;
  }

  /** The dynamic parts of the message. */
  public Map<String, String> metadata() {
    return metadata == null ? Map.of() : metadata;
  }

  /** The fields of the request that the server refused. */
  public List<FieldViolation> fieldViolations() {
    return violations == null ? List.of() : violations;
  }

  /** How long the server asks to wait before another attempt. */
  public Optional<Duration> retryDelay() {
    return Optional.ofNullable(retryDelay);
  }

  @Override
  public String toString() {
    return "%s: %s%s: %s"
        .formatted(
            SlotsException.class.getName(),
            code,
            reason.isEmpty() ? "" : " " + reason,
            getMessage());
  }
}

package io.secretslots.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Turns what gRPC reports into {@link SlotsException}. */
final class Errors {
  private Errors() {}

  static SlotsException from(StatusRuntimeException e) {
    return from(e.getStatus(), e.getTrailers(), e);
  }

  static SlotsException from(Status status, Metadata trailers, Throwable cause) {
    String reason = "";
    Map<String, String> metadata = Map.of();
    List<SlotsException.FieldViolation> violations = new ArrayList<>();
    Duration retryDelay = null;
    for (Any detail : details(status, trailers)) {
      try {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          reason = info.getReason();
          metadata = info.getMetadataMap();
        } else if (detail.is(BadRequest.class)) {
          for (var violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
            violations.add(
                new SlotsException.FieldViolation(
                    violation.getField(), violation.getDescription()));
          }
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryDelay = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      } catch (InvalidProtocolBufferException e) {
        // Details are an extra: an error with damaged ones is still that error.
      }
    }
    String message = status.getDescription();
    if (status.getCause() != null && status.getCode() == Code.UNAVAILABLE) {
      // gRPC says "io exception" and keeps what happened in the cause.
      message = (message == null ? "" : message + ": ") + status.getCause().getMessage();
    }
    return new SlotsException(
        status.getCode(),
        reason,
        message == null ? status.getCode().name() : message,
        metadata,
        violations,
        retryDelay,
        cause);
  }

  private static List<Any> details(Status status, Metadata trailers) {
    if (trailers == null) {
      return List.of();
    }
    try {
      com.google.rpc.Status full = StatusProto.fromStatusAndTrailers(status, trailers);
      return full == null ? List.of() : full.getDetailsList();
    } catch (RuntimeException e) {
      return List.of(); // a damaged trailer; see above
    }
  }
}

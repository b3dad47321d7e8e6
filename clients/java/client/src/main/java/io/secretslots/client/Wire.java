package io.secretslots.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import io.secretslots.v1.DescribeSecretResponse;
import io.secretslots.v1.GetEffectiveAtResponse;
import io.secretslots.v1.GetSecretResponse;
import io.secretslots.v1.GetServerInfoResponse;
import io.secretslots.v1.PutSlotRequest;
import io.secretslots.v1.PutSlotResponse;
import io.secretslots.v1.UpdateSecretResponse;
import java.security.SecureRandom;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.HexFormat;
import java.util.OptionalLong;

/** Converts between the messages and this client's types. */
final class Wire {
  private static final SecureRandom RANDOM = new SecureRandom();

  private Wire() {}

  /** 32 hex characters: what makes each attempt of a mutation the same request. */
  static String requestId(String given) {
    if (given != null) {
      return given;
    }
    byte[] bytes = new byte[16];
    RANDOM.nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  static Instant instant(boolean has, Timestamp time) {
    try {
      return has ? Instant.ofEpochSecond(time.getSeconds(), time.getNanos()) : null;
    } catch (DateTimeException | ArithmeticException e) {
      return null;
    }
  }

  static SecretVersion version(GetSecretResponse r) {
    return new SecretVersion(
        r.getName(),
        r.getSlot(),
        Checksum.verified(r.getName(), r.getValue(), r.getCrc32C()),
        r.getRevision(),
        r.getEpoch(),
        instant(r.hasCreateTime(), r.getCreateTime()));
  }

  static EffectiveVersion version(GetEffectiveAtResponse r) {
    SecretVersion version =
        new SecretVersion(
            r.getName(),
            r.getSlot(),
            Checksum.verified(r.getName(), r.getValue(), r.getCrc32C()),
            r.getRevision(),
            r.getEpoch(),
            instant(r.hasCreateTime(), r.getCreateTime()));
    return new EffectiveVersion(version, r.getAt());
  }

  static PutSlotRequest request(PutSlot put) {
    PutSlotRequest.Builder request =
        PutSlotRequest.newBuilder()
            .setName(put.name())
            .setAutoSlot(put.choice().wire)
            .setOverwrite(put.overwrite())
            .setRequestId(requestId(put.requestId()));
    put.slot().ifPresent(request::setSlot);
    put.expectedRevision().ifPresent(request::setExpectedRevision);
    if (put.value() != null) {
      request
          .setValue(ByteString.copyFrom(put.value().view()))
          .setCrc32C(Checksum.of(put.value().view()));
    }
    if (put.disabled()) {
      request.setInitialState(io.secretslots.v1.SlotState.SLOT_STATE_DISABLED);
    }
    return request.build();
  }

  static PutResult result(PutSlotResponse r) {
    return new PutResult(
        r.getName(),
        r.getSlot(),
        state(r.getState()),
        r.getRevision(),
        r.getCreated(),
        optional(r.hasCurrentSlot(), r.getCurrentSlot()),
        r.getEpoch());
  }

  static SlotState state(io.secretslots.v1.SlotState state) {
    return switch (state) {
      case SLOT_STATE_ENABLED -> SlotState.ENABLED;
      case SLOT_STATE_DISABLED -> SlotState.DISABLED;
      case SLOT_STATE_DESTROYED -> SlotState.DESTROYED;
      case SLOT_STATE_UNSPECIFIED, UNRECOGNIZED -> SlotState.UNKNOWN;
    };
  }

  static AbsentReason reason(io.secretslots.v1.AbsentReason reason) {
    return reason == io.secretslots.v1.AbsentReason.ABSENT_REASON_NOT_EXISTING
        ? AbsentReason.NOT_EXISTING
        : AbsentReason.NO_ENABLED_SLOT;
  }

  static SlotMetadata slot(io.secretslots.v1.SlotMetadata s) {
    return new SlotMetadata(
        s.getSlot(),
        state(s.getState()),
        instant(s.hasCreateTime(), s.getCreateTime()),
        instant(s.hasUpdateTime(), s.getUpdateTime()),
        s.getRevision(),
        s.getSize());
  }

  static SecretMetadata secret(io.secretslots.v1.SecretMetadata s) {
    return new SecretMetadata(
        s.getName(),
        s.getComment(),
        s.getLabelsMap(),
        instant(s.hasCreateTime(), s.getCreateTime()),
        instant(s.hasUpdateTime(), s.getUpdateTime()),
        s.getEtag(),
        s.getRevision(),
        s.getSlotCount(),
        s.getEnabledCount(),
        s.getDisabledCount(),
        s.getDestroyedCount(),
        optional(s.hasCurrentSlot(), s.getCurrentSlot()));
  }

  static SecretMetadata secret(DescribeSecretResponse s) {
    return new SecretMetadata(
        s.getName(),
        s.getComment(),
        s.getLabelsMap(),
        instant(s.hasCreateTime(), s.getCreateTime()),
        instant(s.hasUpdateTime(), s.getUpdateTime()),
        s.getEtag(),
        s.getRevision(),
        s.getSlotCount(),
        s.getEnabledCount(),
        s.getDisabledCount(),
        s.getDestroyedCount(),
        optional(s.hasCurrentSlot(), s.getCurrentSlot()));
  }

  static SecretMetadata secret(UpdateSecretResponse s) {
    return new SecretMetadata(
        s.getName(),
        s.getComment(),
        s.getLabelsMap(),
        instant(s.hasCreateTime(), s.getCreateTime()),
        instant(s.hasUpdateTime(), s.getUpdateTime()),
        s.getEtag(),
        s.getRevision(),
        s.getSlotCount(),
        s.getEnabledCount(),
        s.getDisabledCount(),
        s.getDestroyedCount(),
        optional(s.hasCurrentSlot(), s.getCurrentSlot()));
  }

  static ServerInfo info(GetServerInfoResponse r) {
    var limits = r.getLimits();
    return new ServerInfo(
        r.getVersion(),
        r.getEpoch(),
        r.getRevision(),
        r.getFeaturesList(),
        new ServerInfo.Limits(
            limits.getMaxValueBytes(),
            limits.getMaxNameBytes(),
            limits.getMaxSlotsPerSecret(),
            limits.getMaxWatchNames(),
            limits.getMaxCommentBytes(),
            limits.getMaxLabels(),
            limits.getMaxPageSize()));
  }

  private static OptionalLong optional(boolean has, long number) {
    return has ? OptionalLong.of(number) : OptionalLong.empty();
  }
}

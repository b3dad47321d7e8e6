package io.secretslots.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import io.secretslots.v1.AbsentSecret;
import io.secretslots.v1.Begin;
import io.secretslots.v1.FailedSlot;
import io.secretslots.v1.HistoryReset;
import io.secretslots.v1.LiveSlot;
import io.secretslots.v1.Progress;
import io.secretslots.v1.RemovedSlot;
import io.secretslots.v1.Synced;
import io.secretslots.v1.WatchSlotsResponse;

/** Events of a WatchSlots stream of one epoch. */
record Events(String epoch) {
  private WatchSlotsResponse.Builder at(long revision) {
    return WatchSlotsResponse.newBuilder().setEpoch(epoch).setRevision(revision);
  }

  WatchSlotsResponse begin(long revision, String name) {
    return at(revision).setBegin(Begin.newBuilder().setName(name)).build();
  }

  WatchSlotsResponse slot(long revision, String name, long slot, String value) {
    return slot(revision, name, slot, value, Checksum.of(SecretValue.of(value).bytes()));
  }

  WatchSlotsResponse slot(long revision, String name, long slot, String value, int crc32c) {
    return at(revision)
        .setSlot(
            LiveSlot.newBuilder()
                .setName(name)
                .setSlot(slot)
                .setValue(ByteString.copyFromUtf8(value))
                .setCrc32C(crc32c)
                .setCreateTime(Timestamp.newBuilder().setSeconds(revision)))
        .build();
  }

  WatchSlotsResponse removed(long revision, String name, long slot) {
    return at(revision).setRemoved(RemovedSlot.newBuilder().setName(name).setSlot(slot)).build();
  }

  WatchSlotsResponse failed(long revision, String name, long slot) {
    return at(revision).setFailed(FailedSlot.newBuilder().setName(name).setSlot(slot)).build();
  }

  WatchSlotsResponse notExisting(long revision, String name) {
    return absent(revision, name, io.secretslots.v1.AbsentReason.ABSENT_REASON_NOT_EXISTING);
  }

  WatchSlotsResponse noEnabledSlot(long revision, String name) {
    return absent(revision, name, io.secretslots.v1.AbsentReason.ABSENT_REASON_NO_ENABLED_SLOT);
  }

  private WatchSlotsResponse absent(
      long revision, String name, io.secretslots.v1.AbsentReason reason) {
    return at(revision)
        .setAbsent(AbsentSecret.newBuilder().setName(name).setReason(reason))
        .build();
  }

  WatchSlotsResponse synced(long revision) {
    return at(revision)
        .setResumeToken(token(revision))
        .setSynced(Synced.getDefaultInstance())
        .build();
  }

  WatchSlotsResponse progress(long revision) {
    return at(revision)
        .setResumeToken(token(revision))
        .setProgress(Progress.getDefaultInstance())
        .build();
  }

  WatchSlotsResponse historyReset(long revision) {
    return at(revision).setHistoryReset(HistoryReset.getDefaultInstance()).build();
  }

  WatchSlotsResponse unknown(long revision) {
    return at(revision).build();
  }

  String token(long revision) {
    return epoch + ":" + revision;
  }
}

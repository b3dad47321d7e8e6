package io.secretslots.client;

import com.google.protobuf.FieldMask;
import io.grpc.MethodDescriptor;
import io.secretslots.v1.DeleteSecretRequest;
import io.secretslots.v1.DescribeSecretRequest;
import io.secretslots.v1.DestroySlotRequest;
import io.secretslots.v1.DisableSlotRequest;
import io.secretslots.v1.EnableSlotRequest;
import io.secretslots.v1.GetEffectiveAtRequest;
import io.secretslots.v1.GetSecretRequest;
import io.secretslots.v1.GetServerInfoRequest;
import io.secretslots.v1.ListSecretsRequest;
import io.secretslots.v1.ListSlotsRequest;
import io.secretslots.v1.SecretServiceGrpc;
import io.secretslots.v1.UpdateSecretRequest;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * One channel to the server: the unary calls, and {@link #open} for secrets that stay the newest.
 * May be used by many threads.
 *
 * <p>Every call has one deadline over all its attempts (5 s unless the options say otherwise), is
 * tried again when it fails UNAVAILABLE, and throws {@link SlotsException}. Mutations carry a
 * request id, so that an attempt more changes nothing twice.
 */
public final class SlotsClient implements AutoCloseable {
  private final Connection connection;
  private final Duration timeout;

  private SlotsClient(Connection connection, Duration timeout) {
    this.connection = connection;
    this.timeout = timeout;
  }

  /** A client; does no I/O. */
  public static SlotsClient connect(String address, Credentials credentials) {
    return connect(ConnectOptions.to(address, credentials));
  }

  /** A client; does no I/O. */
  public static SlotsClient connect(ConnectOptions options) {
    return new SlotsClient(new Connection(options), options.timeout());
  }

  /** This client with another deadline: the same channel, closed by closing either. */
  public SlotsClient withTimeout(Duration timeout) {
    return new SlotsClient(connection, ConnectOptions.checkTimeout(timeout));
  }

  /** Follows these secrets; returns when each has a value. As {@link #open(List, OpenOptions)}. */
  public SecretSet open(String... names) {
    return open(Arrays.asList(names), OpenOptions.defaults());
  }

  /**
   * Follows these secrets on one stream; returns when each has a value.
   *
   * @param names 1 to 1,000
   * @throws SlotsException DEADLINE_EXCEEDED with reason SECRETS_MISSING, and the names in the
   *     metadata's {@code missing}, when some have none in time; the server's own error when it
   *     refuses
   */
  public SecretSet open(List<String> names, OpenOptions options) {
    return WatchedSet.open(connection, names, options, Timing.DEFAULT);
  }

  /** The value in the enabled slot with the largest number. */
  public SecretVersion getSecret(String name) {
    GetSecretRequest request = GetSecretRequest.newBuilder().setName(name).build();
    return Wire.version(call(SecretServiceGrpc.getGetSecretMethod(), request));
  }

  /** The value in the enabled slot with the largest number at or below {@code at}. */
  public EffectiveVersion getEffectiveAt(String name, long at) {
    GetEffectiveAtRequest request =
        GetEffectiveAtRequest.newBuilder()
            .setName(name)
            .setAt(SlotsException.checkNumber(at, "at"))
            .build();
    return Wire.version(call(SecretServiceGrpc.getGetEffectiveAtMethod(), request));
  }

  /** The value that is effective by the server's clock, in Unix seconds. */
  public EffectiveVersion getEffectiveNow(String name) {
    GetEffectiveAtRequest request = GetEffectiveAtRequest.newBuilder().setName(name).build();
    return Wire.version(call(SecretServiceGrpc.getGetEffectiveAtMethod(), request));
  }

  /** Writes a value into a slot. */
  public PutResult putSlot(PutSlot put) {
    return Wire.result(call(SecretServiceGrpc.getPutSlotMethod(), Wire.request(put)));
  }

  /** What is known of a secret besides its values. */
  public SecretMetadata describeSecret(String name) {
    DescribeSecretRequest request = DescribeSecretRequest.newBuilder().setName(name).build();
    return Wire.secret(call(SecretServiceGrpc.getDescribeSecretMethod(), request));
  }

  /**
   * One page of the secrets whose names begin with {@code prefix}.
   *
   * @param pageSize 0 for the server's choice
   * @param pageToken of the page before; "" for the first
   */
  public Page<SecretMetadata> listSecrets(String prefix, int pageSize, String pageToken) {
    ListSecretsRequest request =
        ListSecretsRequest.newBuilder()
            .setPrefix(prefix)
            .setPageSize(pageSize)
            .setPageToken(pageToken)
            .build();
    var response = call(SecretServiceGrpc.getListSecretsMethod(), request);
    return new Page<>(
        response.getSecretsList().stream().map(Wire::secret).toList(), response.getNextPageToken());
  }

  /**
   * All secrets whose names begin with {@code prefix}, page after page as they are taken.
   *
   * @param pageSize of each page; 0 for the server's choice
   */
  public Stream<SecretMetadata> listSecrets(String prefix, int pageSize) {
    return Pages.stream(token -> listSecrets(prefix, pageSize, token));
  }

  /**
   * One page of a secret's slots.
   *
   * @param pageSize 0 for the server's choice
   * @param pageToken of the page before; "" for the first
   */
  public Page<SlotMetadata> listSlots(String name, int pageSize, String pageToken) {
    ListSlotsRequest request =
        ListSlotsRequest.newBuilder()
            .setName(name)
            .setPageSize(pageSize)
            .setPageToken(pageToken)
            .build();
    var response = call(SecretServiceGrpc.getListSlotsMethod(), request);
    return new Page<>(
        response.getSlotsList().stream().map(Wire::slot).toList(), response.getNextPageToken());
  }

  /**
   * All slots of a secret, ascending, page after page as they are taken.
   *
   * @param pageSize of each page; 0 for the server's choice
   */
  public Stream<SlotMetadata> listSlots(String name, int pageSize) {
    return Pages.stream(token -> listSlots(name, pageSize, token));
  }

  /** Changes the comment, the labels or both. */
  public SecretMetadata updateSecret(String name, SecretUpdate update) {
    return updateSecret(name, update, Conditions.NONE);
  }

  /** Changes the comment, the labels or both, under conditions. */
  public SecretMetadata updateSecret(String name, SecretUpdate update, Conditions conditions) {
    UpdateSecretRequest.Builder request =
        UpdateSecretRequest.newBuilder()
            .setName(name)
            .setEtag(conditions.etag())
            .setRequestId(Wire.requestId(conditions.requestId()));
    FieldMask.Builder mask = FieldMask.newBuilder();
    if (update.comment() != null) {
      request.setComment(update.comment());
      mask.addPaths("comment");
    }
    if (update.labels() != null) {
      request.putAllLabels(update.labels());
      mask.addPaths("labels");
    }
    request.setUpdateMask(mask);
    return Wire.secret(call(SecretServiceGrpc.getUpdateSecretMethod(), request.build()));
  }

  /** Takes a slot out of resolution until it is enabled again. */
  public SlotResult disableSlot(String name, long slot) {
    return disableSlot(name, slot, Conditions.NONE);
  }

  /** Takes a slot out of resolution until it is enabled again, under conditions. */
  public SlotResult disableSlot(String name, long slot, Conditions conditions) {
    DisableSlotRequest request =
        DisableSlotRequest.newBuilder()
            .setName(name)
            .setSlot(SlotsException.checkNumber(slot, "slot"))
            .setEtag(conditions.etag())
            .setRequestId(Wire.requestId(conditions.requestId()))
            .build();
    var response = call(SecretServiceGrpc.getDisableSlotMethod(), request);
    return new SlotResult(
        Wire.slot(response.getSlot()), response.getRevision(), response.getEpoch());
  }

  /** Puts a disabled slot back. */
  public SlotResult enableSlot(String name, long slot) {
    return enableSlot(name, slot, Conditions.NONE);
  }

  /** Puts a disabled slot back, under conditions. */
  public SlotResult enableSlot(String name, long slot, Conditions conditions) {
    EnableSlotRequest request =
        EnableSlotRequest.newBuilder()
            .setName(name)
            .setSlot(SlotsException.checkNumber(slot, "slot"))
            .setEtag(conditions.etag())
            .setRequestId(Wire.requestId(conditions.requestId()))
            .build();
    var response = call(SecretServiceGrpc.getEnableSlotMethod(), request);
    return new SlotResult(
        Wire.slot(response.getSlot()), response.getRevision(), response.getEpoch());
  }

  /** Removes a slot's value for good; its number stays known. */
  public SlotResult destroySlot(String name, long slot) {
    return destroySlot(name, slot, Conditions.NONE);
  }

  /** Removes a slot's value for good, under conditions. */
  public SlotResult destroySlot(String name, long slot, Conditions conditions) {
    DestroySlotRequest request =
        DestroySlotRequest.newBuilder()
            .setName(name)
            .setSlot(SlotsException.checkNumber(slot, "slot"))
            .setEtag(conditions.etag())
            .setRequestId(Wire.requestId(conditions.requestId()))
            .build();
    var response = call(SecretServiceGrpc.getDestroySlotMethod(), request);
    return new SlotResult(
        Wire.slot(response.getSlot()), response.getRevision(), response.getEpoch());
  }

  /** Removes a secret and all its slots; answers the commit that did it. */
  public long deleteSecret(String name) {
    return deleteSecret(name, Conditions.NONE);
  }

  /** Removes a secret and all its slots, under conditions. */
  public long deleteSecret(String name, Conditions conditions) {
    DeleteSecretRequest request =
        DeleteSecretRequest.newBuilder()
            .setName(name)
            .setEtag(conditions.etag())
            .setRequestId(Wire.requestId(conditions.requestId()))
            .build();
    return call(SecretServiceGrpc.getDeleteSecretMethod(), request).getRevision();
  }

  /** The server's version, its store and its limits. */
  public ServerInfo getServerInfo() {
    return Wire.info(
        call(
            SecretServiceGrpc.getGetServerInfoMethod(), GetServerInfoRequest.getDefaultInstance()));
  }

  private <Q, R> R call(MethodDescriptor<Q, R> method, Q request) {
    return Unary.call(connection, method, request, timeout);
  }

  /**
   * Closes the sets that were opened here, whose handles go on answering with what they had, and
   * cancels calls that are running.
   */
  @Override
  public void close() {
    connection.close();
  }

  @Override
  public String toString() {
    return "SlotsClient[" + connection.options().address() + "]";
  }
}

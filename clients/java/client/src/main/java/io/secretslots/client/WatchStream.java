package io.secretslots.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.secretslots.v1.SecretServiceGrpc;
import io.secretslots.v1.WatchSlotsRequest;
import io.secretslots.v1.WatchSlotsResponse;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** One WatchSlots stream, read by one thread at its own pace. */
final class WatchStream implements AutoCloseable {
  /** Events that may wait here; beyond that the transport's flow control holds the server back. */
  private static final int WINDOW = 16;

  /** An event, or else why there are no more. */
  private record Item(WatchSlotsResponse event, SlotsException end) {}

  private final ClientCall<WatchSlotsRequest, WatchSlotsResponse> call;
  private final BlockingQueue<Item> inbox = new LinkedBlockingQueue<>();

  private WatchStream(ClientCall<WatchSlotsRequest, WatchSlotsResponse> call) {
    this.call = call;
  }

  static WatchStream start(Channel channel, WatchSlotsRequest request) {
    WatchStream stream =
        new WatchStream(
            channel.newCall(SecretServiceGrpc.getWatchSlotsMethod(), CallOptions.DEFAULT));
    stream.call.start(stream.new Inbound(), new Metadata());
    stream.call.request(WINDOW);
    stream.call.sendMessage(request);
    stream.call.halfClose();
    return stream;
  }

  /**
   * The next event; null when there is none for so long.
   *
   * @throws SlotsException when the stream has ended, and why
   */
  WatchSlotsResponse next(Duration patience) throws InterruptedException {
    Item item = inbox.poll(patience.toNanos(), TimeUnit.NANOSECONDS);
    if (item == null) {
      return null;
    }
    if (item.end != null) {
      throw item.end;
    }
    call.request(1);
    return item.event;
  }

  /** Cancels the stream; who waits for an event is told. */
  @Override
  public void close() {
    inbox.add(new Item(null, Connection.closedError()));
    call.cancel("the watch is over", null);
  }

  private final class Inbound extends ClientCall.Listener<WatchSlotsResponse> {
    @Override
    public void onMessage(WatchSlotsResponse event) {
      inbox.add(new Item(event, null));
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      SlotsException end =
          status.isOk()
              ? new SlotsException(Code.UNAVAILABLE, "", "the server ended the stream", Map.of())
              : Errors.from(status, trailers, status.asRuntimeException(trailers));
      inbox.add(new Item(null, end));
    }
  }
}

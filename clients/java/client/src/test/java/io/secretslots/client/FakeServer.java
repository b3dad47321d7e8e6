package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertNotNull;

import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.secretslots.v1.GetSecretRequest;
import io.secretslots.v1.GetSecretResponse;
import io.secretslots.v1.PutSlotRequest;
import io.secretslots.v1.PutSlotResponse;
import io.secretslots.v1.SecretServiceGrpc;
import io.secretslots.v1.WatchSlotsRequest;
import io.secretslots.v1.WatchSlotsResponse;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;

/** A real gRPC server on loopback that does what a test tells it to, faults included. */
final class FakeServer implements AutoCloseable {
  private static final Context.Key<String> AUTHORIZATION = Context.key("authorization");

  /** One WatchSlots call that came in. */
  static final class Watch {
    final WatchSlotsRequest request;
    final String authorization;
    private final ServerCallStreamObserver<WatchSlotsResponse> out;

    Watch(WatchSlotsRequest request, StreamObserver<WatchSlotsResponse> out) {
      this.request = request;
      this.authorization = AUTHORIZATION.get();
      this.out = (ServerCallStreamObserver<WatchSlotsResponse>) out;
    }

    synchronized Watch send(WatchSlotsResponse... events) {
      for (WatchSlotsResponse event : events) {
        if (!out.isCancelled()) {
          out.onNext(event);
        }
      }
      return this;
    }

    synchronized void fail(StatusRuntimeException error) {
      out.onError(error);
    }

    synchronized void end() {
      out.onCompleted();
    }

    boolean isCancelled() {
      return out.isCancelled();
    }
  }

  final List<String> unaryTokens = new CopyOnWriteArrayList<>();
  volatile Function<GetSecretRequest, GetSecretResponse> getSecret;
  volatile Function<PutSlotRequest, PutSlotResponse> putSlot;
  private final BlockingQueue<Watch> watches = new LinkedBlockingQueue<>();
  private Server server;
  private int port;

  private FakeServer() {}

  static FakeServer start() throws IOException {
    FakeServer server = new FakeServer();
    server.resume();
    return server;
  }

  /** Starts, again on the same port: somebody may hold it for a moment meanwhile. */
  void resume() throws IOException {
    long until = System.nanoTime() + Until.BOUND.toNanos();
    while (true) {
      try {
        server =
            NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port))
                .addService(new Service())
                .intercept(new ReadAuthorization())
                .build()
                .start();
        port = server.getPort();
        return;
      } catch (IOException e) {
        if (System.nanoTime() > until) {
          throw e;
        }
        LockSupport.parkNanos(5_000_000);
      }
    }
  }

  /** Cuts every connection. */
  void cut() throws InterruptedException {
    server.shutdownNow();
    server.awaitTermination(20, TimeUnit.SECONDS);
  }

  String address() {
    return "127.0.0.1:" + port;
  }

  Watch nextWatch() throws InterruptedException {
    Watch watch = watches.poll(Until.BOUND.toSeconds(), TimeUnit.SECONDS);
    assertNotNull(watch, "no watch came in");
    return watch;
  }

  /** The next watch, when one is waiting. */
  Watch pollWatch() {
    return watches.poll();
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  static StatusRuntimeException error(Status.Code code, String reason) {
    return error(code, reason, 0);
  }

  static StatusRuntimeException error(Status.Code code, String reason, int retryMillis) {
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage("told to fail")
            .addDetails(
                Any.pack(
                    ErrorInfo.newBuilder()
                        .setDomain("secretslots")
                        .setReason(reason)
                        .putMetadata("name", "app/db")
                        .build()));
    if (retryMillis > 0) {
      status.addDetails(
          Any.pack(
              RetryInfo.newBuilder()
                  .setRetryDelay(
                      Duration.newBuilder()
                          .setSeconds(retryMillis / 1000)
                          .setNanos(retryMillis % 1000 * 1_000_000))
                  .build()));
    }
    return StatusProto.toStatusRuntimeException(status.build());
  }

  private final class Service extends SecretServiceGrpc.SecretServiceImplBase {
    @Override
    public void watchSlots(WatchSlotsRequest request, StreamObserver<WatchSlotsResponse> out) {
      Watch watch = new Watch(request, out);
      watch.out.setOnCancelHandler(() -> {}); // so that sending to a cancelled call is no error
      watches.add(watch);
    }

    @Override
    public void getSecret(GetSecretRequest request, StreamObserver<GetSecretResponse> out) {
      answer(getSecret, request, out);
    }

    @Override
    public void putSlot(PutSlotRequest request, StreamObserver<PutSlotResponse> out) {
      answer(putSlot, request, out);
    }

    private <Q, R> void answer(Function<Q, R> function, Q request, StreamObserver<R> out) {
      unaryTokens.add(String.valueOf(AUTHORIZATION.get()));
      try {
        R response = function.apply(request);
        if (response != null) { // null: never answers
          out.onNext(response);
          out.onCompleted();
        }
      } catch (StatusRuntimeException e) {
        out.onError(e);
      }
    }
  }

  private static final class ReadAuthorization implements ServerInterceptor {
    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
      String authorization =
          headers.get(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER));
      return Contexts.interceptCall(
          Context.current().withValue(AUTHORIZATION, authorization), call, headers, next);
    }
  }
}

package io.secretslots.stubsdriver;

import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.rpc.ErrorInfo;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import io.secretslots.v1.AutoSlot;
import io.secretslots.v1.DeleteSecretRequest;
import io.secretslots.v1.DestroySlotRequest;
import io.secretslots.v1.DisableSlotRequest;
import io.secretslots.v1.EnableSlotRequest;
import io.secretslots.v1.GetEffectiveAtRequest;
import io.secretslots.v1.GetSecretRequest;
import io.secretslots.v1.PutSlotRequest;
import io.secretslots.v1.SecretServiceGrpc;
import io.secretslots.v1.SecretServiceGrpc.SecretServiceBlockingStub;
import io.secretslots.v1.SlotMetadata;
import io.secretslots.v1.SlotState;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * The conformance driver on generated stubs and stock gRPC alone: what a program does that uses
 * nothing of the client.
 */
public final class StubsDriver {
  private final Map<String, ManagedChannel> channels = new HashMap<>();
  private final Map<String, SecretServiceBlockingStub> stubs = new HashMap<>();

  private StubsDriver() {}

  /** Runs until the end of standard input. */
  public static void main(String[] args) throws IOException {
    PrintStream out = System.out;
    System.setOut(System.err);
    StubsDriver driver = new StubsDriver();
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonObject request = JsonParser.parseString(line).getAsJsonObject();
      JsonObject answer = driver.answer(request);
      answer.add("id", request.get("id"));
      out.write((answer + "\n").getBytes(StandardCharsets.UTF_8));
      out.flush();
    }
    driver.channels.values().forEach(ManagedChannel::shutdownNow);
    System.exit(0);
  }

  private JsonObject answer(JsonObject request) {
    try {
      JsonObject answer = run(request);
      answer.addProperty("ok", true);
      return answer;
    } catch (StatusRuntimeException e) {
      return failure(e);
    } catch (NumberFormatException e) {
      return failure("INVALID_ARGUMENT", "INVALID_ARGUMENT", "a number must be 0 to 2^63-1");
    } catch (UnsupportedOperationException e) {
      return failure("UNIMPLEMENTED", "", "no such op");
    } catch (RuntimeException e) {
      e.printStackTrace();
      return failure("INTERNAL", "", e.toString());
    }
  }

  private JsonObject run(JsonObject request) {
    return switch (request.get("op").getAsString()) {
      case "hello" -> hello();
      case "connect" -> connect(request);
      case "get" -> get(request);
      case "at" -> at(request);
      case "put" -> put(request);
      case "disable" -> disable(request);
      case "enable" -> enable(request);
      case "destroy" -> destroy(request);
      case "delete" -> delete(request);
      case "closeClient" -> closeClient(request);
      default -> throw new UnsupportedOperationException();
    };
  }

  private static JsonObject hello() {
    JsonObject answer = new JsonObject();
    answer.addProperty("lang", "java");
    answer.addProperty("version", StubsDriver.class.getPackage().getImplementationVersion());
    return answer;
  }

  private JsonObject connect(JsonObject request) {
    ManagedChannel channel =
        Grpc.newChannelBuilder(text(request, "address"), InsecureChannelCredentials.create())
            .build();
    SecretServiceBlockingStub stub = SecretServiceGrpc.newBlockingStub(channel);
    if (request.has("token")) {
      Metadata headers = new Metadata();
      headers.put(
          Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
          "Bearer " + text(request, "token"));
      stub = stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
    }
    channels.put(text(request, "client"), channel);
    stubs.put(text(request, "client"), stub);
    return new JsonObject();
  }

  private JsonObject closeClient(JsonObject request) {
    channels.get(text(request, "client")).shutdownNow();
    return new JsonObject();
  }

  private JsonObject get(JsonObject request) {
    var got = stub(request).getSecret(GetSecretRequest.newBuilder().setName(name(request)).build());
    return version(got.getName(), got.getSlot(), got.getValue(), got.getRevision(), got.getEpoch());
  }

  private JsonObject at(JsonObject request) {
    GetEffectiveAtRequest.Builder message =
        GetEffectiveAtRequest.newBuilder().setName(name(request));
    if (request.has("at")) {
      message.setAt(number(request, "at"));
    }
    var got = stub(request).getEffectiveAt(message.build());
    JsonObject answer =
        version(got.getName(), got.getSlot(), got.getValue(), got.getRevision(), got.getEpoch());
    answer.addProperty("at", Long.toUnsignedString(got.getAt()));
    return answer;
  }

  private JsonObject put(JsonObject request) {
    PutSlotRequest.Builder message = PutSlotRequest.newBuilder().setName(name(request));
    if (request.has("slot")) {
      message.setSlot(number(request, "slot"));
    }
    if (request.has("autoSlot")) {
      message.setAutoSlot(AutoSlot.valueOf("AUTO_SLOT_" + text(request, "autoSlot")));
    }
    if (request.has("value")) {
      message.setValue(ByteString.copyFrom(Base64.getDecoder().decode(text(request, "value"))));
    }
    if (request.has("overwrite")) {
      message.setOverwrite(request.get("overwrite").getAsBoolean());
    }
    if (request.has("expectedRevision")) {
      message.setExpectedRevision(number(request, "expectedRevision"));
    }
    if (request.has("requestId")) {
      message.setRequestId(text(request, "requestId"));
    }
    if (request.has("initialState")) {
      message.setInitialState(SlotState.valueOf("SLOT_STATE_" + text(request, "initialState")));
    }
    var put = stub(request).putSlot(message.build());
    JsonObject answer = new JsonObject();
    answer.addProperty("slot", Long.toUnsignedString(put.getSlot()));
    answer.addProperty("state", state(put.getState()));
    answer.addProperty("revision", Long.toUnsignedString(put.getRevision()));
    answer.addProperty("created", put.getCreated());
    answer.add(
        "currentSlot",
        put.hasCurrentSlot()
            ? new JsonPrimitive(Long.toUnsignedString(put.getCurrentSlot()))
            : JsonNull.INSTANCE);
    answer.addProperty("epoch", put.getEpoch());
    return answer;
  }

  private JsonObject disable(JsonObject request) {
    DisableSlotRequest message =
        DisableSlotRequest.newBuilder()
            .setName(name(request))
            .setSlot(number(request, "slot"))
            .build();
    var done = stub(request).disableSlot(message);
    return slot(done.getSlot(), done.getRevision());
  }

  private JsonObject enable(JsonObject request) {
    EnableSlotRequest message =
        EnableSlotRequest.newBuilder()
            .setName(name(request))
            .setSlot(number(request, "slot"))
            .build();
    var done = stub(request).enableSlot(message);
    return slot(done.getSlot(), done.getRevision());
  }

  private JsonObject destroy(JsonObject request) {
    DestroySlotRequest message =
        DestroySlotRequest.newBuilder()
            .setName(name(request))
            .setSlot(number(request, "slot"))
            .build();
    var done = stub(request).destroySlot(message);
    return slot(done.getSlot(), done.getRevision());
  }

  private JsonObject delete(JsonObject request) {
    DeleteSecretRequest message = DeleteSecretRequest.newBuilder().setName(name(request)).build();
    JsonObject answer = new JsonObject();
    answer.addProperty(
        "revision", Long.toUnsignedString(stub(request).deleteSecret(message).getRevision()));
    return answer;
  }

  private SecretServiceBlockingStub stub(JsonObject request) {
    return stubs.get(text(request, "client")).withDeadlineAfter(10, TimeUnit.SECONDS);
  }

  private static String name(JsonObject request) {
    return text(request, "name");
  }

  private static String text(JsonObject request, String member) {
    return request.get(member).getAsString();
  }

  /** The wire has uint64: what is above 2^63-1 goes out as it is, for the server to refuse. */
  private static long number(JsonObject request, String member) {
    return Long.parseUnsignedLong(text(request, member));
  }

  private static JsonObject version(
      String name, long slot, ByteString value, long revision, String epoch) {
    JsonObject answer = new JsonObject();
    answer.addProperty("name", name);
    answer.addProperty("slot", Long.toUnsignedString(slot));
    answer.addProperty("value", Base64.getEncoder().encodeToString(value.toByteArray()));
    answer.addProperty("revision", Long.toUnsignedString(revision));
    answer.addProperty("epoch", epoch);
    return answer;
  }

  private static JsonObject slot(SlotMetadata slot, long revision) {
    JsonObject answer = new JsonObject();
    answer.addProperty("slot", Long.toUnsignedString(slot.getSlot()));
    answer.addProperty("state", state(slot.getState()));
    answer.addProperty("revision", Long.toUnsignedString(revision));
    return answer;
  }

  private static String state(SlotState state) {
    return state.name().replaceFirst("^SLOT_STATE_", "");
  }

  private static JsonObject failure(StatusRuntimeException e) {
    String reason = "";
    JsonObject metadata = new JsonObject();
    com.google.rpc.Status status = StatusProto.fromThrowable(e);
    for (Any detail : status.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        try {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          reason = info.getReason();
          info.getMetadataMap().forEach(metadata::addProperty);
        } catch (com.google.protobuf.InvalidProtocolBufferException malformed) {
          reason = "";
        }
      }
    }
    JsonObject answer = failure(e.getStatus().getCode().name(), reason, status.getMessage());
    answer.getAsJsonObject("error").add("metadata", metadata);
    return answer;
  }

  private static JsonObject failure(String code, String reason, String message) {
    JsonObject error = new JsonObject();
    error.addProperty("code", code);
    error.addProperty("reason", reason);
    error.addProperty("message", message);
    error.add("metadata", new JsonObject());
    JsonObject answer = new JsonObject();
    answer.addProperty("ok", false);
    answer.add("error", error);
    return answer;
  }
}

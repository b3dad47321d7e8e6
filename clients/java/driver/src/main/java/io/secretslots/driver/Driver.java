package io.secretslots.driver;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.grpc.Status.Code;
import io.secretslots.client.SlotsException;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** The conformance driver: one JSON request a line on standard input, one answer a line out. */
public final class Driver {
  /** Answers a request. */
  interface Op {
    JsonObject run(Request request) throws Exception;
  }

  private Driver() {}

  /** Runs until the end of standard input. */
  public static void main(String[] args) throws Exception {
    PrintStream out = System.out;
    System.setOut(System.err); // nothing else on standard output
    Map<String, Op> ops = new HashMap<>();
    UnaryOps unary = new UnaryOps();
    SetOps sets = new SetOps(unary);
    unary.register(ops);
    sets.register(ops);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonObject request = JsonParser.parseString(line).getAsJsonObject();
      JsonObject answer = answer(ops.get(request.get("op").getAsString()), new Request(request));
      answer.add("id", request.get("id"));
      out.write((answer + "\n").getBytes(StandardCharsets.UTF_8));
      out.flush();
    }
    sets.close();
    unary.close();
    System.exit(0);
  }

  private static JsonObject answer(Op op, Request request) {
    try {
      if (op == null) {
        throw new SlotsException(Code.UNIMPLEMENTED, "", "no such op", Map.of());
      }
      JsonObject answer = op.run(request);
      answer.addProperty("ok", true);
      return answer;
    } catch (SlotsException e) {
      return failure(e.code().name(), e.reason(), e.getMessage(), e.metadata());
    } catch (Exception | StackOverflowError e) {
      e.printStackTrace();
      return failure("INTERNAL", "", e.toString(), Map.of());
    }
  }

  private static JsonObject failure(
      String code, String reason, String message, Map<String, String> metadata) {
    JsonObject error = new JsonObject();
    error.addProperty("code", code);
    error.addProperty("reason", reason);
    error.addProperty("message", message);
    JsonObject members = new JsonObject();
    metadata.forEach(members::addProperty);
    error.add("metadata", members);
    JsonObject answer = new JsonObject();
    answer.addProperty("ok", false);
    answer.add("error", error);
    return answer;
  }
}

package io.secretslots.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.javalin.Javalin;
import io.secretslots.client.FakeSecrets;
import io.secretslots.client.SecretValue;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import org.junit.jupiter.api.Test;

class JwtServiceTest {
  private static final String KEY_0 = "0123456789abcdef0123456789abcdef";
  private static final String KEY_1 = "fedcba9876543210fedcba9876543210";

  private final HttpClient http = HttpClient.newHttpClient();

  @Test
  void tokensSurviveARollOver() throws Exception {
    FakeSecrets secrets = FakeSecrets.of(Map.of("app/jwt", KEY_0));
    Javalin service = JwtService.start(secrets.handle("app/jwt"), 0);
    try {
      URI base = URI.create("http://127.0.0.1:" + service.port());
      HttpRequest issue =
          HttpRequest.newBuilder(base.resolve("/token?user=ada"))
              .POST(HttpRequest.BodyPublishers.noBody())
              .build();
      String before = send(issue).body();
      secrets.rotate("app/jwt", SecretValue.of(KEY_1));
      String after = send(issue).body();
      for (String token : new String[] {before, after}) {
        assertEquals("hello ada", hello(base, token).body());
      }
      secrets.disable("app/jwt", 0);
      assertEquals(401, hello(base, before).statusCode());
      assertEquals(200, hello(base, after).statusCode());
      assertEquals(401, hello(base, "nonsense").statusCode());
    } finally {
      service.stop();
      secrets.close();
    }
  }

  private HttpResponse<String> hello(URI base, String token)
      throws IOException, InterruptedException {
    return send(
        HttpRequest.newBuilder(base.resolve("/hello"))
            .header("Authorization", "Bearer " + token)
            .build());
  }

  private HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
    return http.send(request, HttpResponse.BodyHandlers.ofString());
  }
}

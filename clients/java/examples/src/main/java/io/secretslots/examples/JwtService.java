package io.secretslots.examples;

import com.auth0.jwt.JWT;
import com.auth0.jwt.algorithms.Algorithm;
import com.auth0.jwt.exceptions.JWTVerificationException;
import com.auth0.jwt.interfaces.DecodedJWT;
import io.javalin.Javalin;
import io.javalin.http.Context;
import io.javalin.http.UnauthorizedResponse;
import io.secretslots.client.SecretHandle;
import io.secretslots.client.SecretSet;
import io.secretslots.client.SecretVersion;
import io.secretslots.client.SlotsException;
import java.time.Duration;
import java.time.Instant;

/**
 * A web service whose JWTs survive a roll-over of the signing key: new tokens are signed with the
 * newest value, and name its slot as their key id; old ones are checked against the slot they name.
 */
public final class JwtService {
  private static final Duration LIFETIME = Duration.ofHours(1);

  private final SecretHandle key;

  private JwtService(SecretHandle key) {
    this.key = key;
  }

  /** Serves until it is ended. */
  public static void main(String[] args) {
    SecretSet secrets = SecretSet.open(Settings.address(), Settings.credentials(), "app/jwt");
    start(secrets.handle("app/jwt"), Settings.port());
  }

  static Javalin start(SecretHandle key, int port) {
    JwtService service = new JwtService(key);
    return Javalin.start(
        config -> {
          config.jetty.host = "127.0.0.1";
          config.jetty.port = port;
          config.startup.showJavalinBanner = false;
          config.routes.post("/token", service::issue);
          config.routes.get("/hello", service::hello);
        });
  }

  private void issue(Context request) {
    SecretVersion newest = key.current();
    request.result(
        JWT.create()
            .withKeyId(Long.toString(newest.slot()))
            .withSubject(request.queryParam("user"))
            .withExpiresAt(Instant.now().plus(LIFETIME))
            .sign(algorithm(newest)));
  }

  private void hello(Context request) {
    request.result("hello " + verified(request.header("Authorization")).getSubject());
  }

  private DecodedJWT verified(String authorization) {
    try {
      String token = authorization == null ? "" : authorization.replaceFirst("^Bearer ", "");
      SecretVersion signedWith = key.effectiveAt(Long.parseLong(JWT.decode(token).getKeyId()));
      return JWT.require(algorithm(signedWith)).build().verify(token);
    } catch (JWTVerificationException | NumberFormatException | SlotsException e) {
      throw new UnauthorizedResponse("no valid token");
    }
  }

  private static Algorithm algorithm(SecretVersion version) {
    return Algorithm.HMAC256(version.value().bytes());
  }
}

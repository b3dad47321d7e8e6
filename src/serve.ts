import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { FileAuditLog } from "./audit/file-audit-log.ts";
import { RefusalCounter } from "./audit/refusal-counter.ts";
import { Auditor } from "./core/auditor.ts";
import { Authenticator } from "./core/authenticator.ts";
import { Authorizer } from "./core/authorizer.ts";
import { auditedUpTo, completeAudit } from "./core/complete-audit.ts";
import { Core } from "./core/core.ts";
import { KeyManager } from "./core/master-keys.ts";
import { OpenedSecrets } from "./core/opened-secrets.ts";
import { RequestDigester } from "./crypto/request-digest.ts";
import { NO_REVISION } from "./domain/numbers.ts";
import { keepAudit } from "./keep-audit.ts";
import { checkedListenAddress, listening } from "./listen.ts";
import type { Logger } from "./log.ts";
import { messageOf } from "./message-of.ts";
import { endInDoubt, openStore, pruneNowAndThen } from "./open-store.ts";
import { BoundSource } from "./server/connections/bound-source.ts";
import type { ConnectionSource } from "./server/connections/connection-source.ts";
import type { JwtVerifier } from "./server/identity/jwt.ts";
import { ConcurrencyLimit, type ConcurrencyOptions, FailedLogins } from "./server/limits.ts";
import { Metrics } from "./server/metrics.ts";
import { SlotsServer } from "./server/slots-server.ts";
import { createTls, type Tls } from "./server/tls/tls.ts";
import { type Settings, StartError } from "./settings.ts";
import type { Pipe } from "./storage/sqlite/remote-channel.ts";
import { VERSION } from "./version.ts";

/** A server that runs. */
export interface RunningServer {
  /** As in the ready line; undefined in a worker, which has none. */
  readonly address: string | undefined;
  /** Reads TLS files again. */
  reload(): void;
  /** Ends in order within 5 s. */
  stop(): Promise<void>;
}

const PROGRESS_MS = 5_000;
const STOP_GRACE_MS = 4_000;

/** What a worker is given by the process that started it. */
export interface WorkerRole {
  /** To the writer of the store, which the workers share. */
  readonly writer: Pipe;
  readonly connections: ConnectionSource;
}

/** Puts the parts together and starts them. The only place that knows all of them. */
export async function serve(settings: Settings, log: Logger, role?: WorkerRole): Promise<RunningServer> {
  const source = role?.connections ?? new BoundSource(checkedListenAddress(settings));
  // TLS and issuers first: a mistake in them must not find a store made already.
  let strangers: RefusalCounter | undefined;
  const tls = tlsOf(settings, log, (peer) => strangers?.refused(peer, "UNAUTHENTICATED"));
  const jwt = await jwtOf(settings, log);

  const now = Date.now;
  const { dataDir, storage, keyring, storeKeys } = await openStore(settings, log, role?.writer);
  const metrics = new Metrics(storage);
  const authenticator = new Authenticator({ storage, now, ...(jwt === undefined ? {} : { jwt }) });
  const opened = new OpenedSecrets({ storage, keyring, maxBytes: settings["cache-bytes"] });
  const audited = auditedUpTo(storage);
  let auditor: Auditor | undefined;
  const auditLog = await FileAuditLog.open({
    directory: resolve(settings["audit-dir"] ?? join(dataDir, "audit")),
    storeKey: storeKeys.audit,
    anchor: (anchor) => storage.putAuditAnchors([anchor]),
    covered: () => auditor?.covered() ?? audited,
    sync: settings["audit-sync"],
    segmentBytes: settings["audit-segment-bytes"],
    reserveBytes: settings["audit-reserve-bytes"],
    onState: (state, cause) =>
      log[state === "closed" ? "debug" : state === "ok" ? "info" : "warn"](
        { state, cause: messageOf(cause) },
        "audit log",
      ),
    onFatal: (cause) => endInDoubt("the audit log", cause),
    onAnchorError: (cause) => log.warn({ cause: messageOf(cause) }, "an audit anchor could not be kept"),
  });
  const completed = await completeAudit(storage, auditLog, audited, now);
  // A new store has no log yet: what its first start did is no sign of a process that was killed.
  if (completed > 0)
    log[audited === NO_REVISION ? "debug" : "info"](
      { completed },
      "completed the audit log with changes that were not in it",
    );
  const audit = new Auditor(auditLog, storage);
  auditor = audit;

  const core = new Core({
    storage,
    keyring,
    digester: new RequestDigester(storeKeys["request-digest"]),
    opened,
    authenticator,
    authorizer: new Authorizer(storage),
    audit,
    auditLog,
    limits: {
      maxValueBytes: settings["max-value-bytes"],
      maxSlotsPerSecret: settings["max-slots-per-secret"],
    },
    scratchDirectory: dataDir,
    now,
    // Whole numbers: a fraction for each of ten thousand streams is that many objects for the collector.
    steadyNow: () => Math.trunc(performance.now()),
    progressMs: PROGRESS_MS,
    version: VERSION,
  });
  tls?.onRevocation(() => core.bell.ring("all"));

  const refusals = new RefusalCounter(auditLog);
  strangers = refusals;
  const server = new SlotsServer({
    core,
    keys: new KeyManager(core),
    strangers: refusals,
    source,
    tls,
    failedLogins: new FailedLogins({
      burst: settings["failed-logins-burst"],
      perSecond: settings["failed-logins-per-second"],
      now,
    }),
    calls: limit(settings["max-calls-per-identity"], "TOO_MANY_CALLS"),
    watches: limit(settings["max-watches-per-identity"], "TOO_MANY_WATCHES"),
    connections: limit(settings["max-connections-per-address"], "TOO_MANY_CONNECTIONS"),
    features: tls === undefined ? [] : ["tls"],
    maxStreamsPerConnection: settings["max-streams-per-connection"],
    maxMessageBytes: settings["max-message-bytes"],
    slowConsumerMs: settings["slow-consumer-seconds"] * 1000,
    onCall: (rpc, code, millis) => metrics.call(rpc, code, millis),
    onInternalError: (rpc, error) =>
      log.error({ rpc, error: messageOf(error), stack: stackOf(error) }, "internal error"),
    onConnectionRefused: (address) => metrics.connectionRefused(address),
  });
  const stopPruning = role === undefined ? pruneNowAndThen(storage, settings, log) : () => {};
  const stopKeeping = keepAudit(auditLog, storage, settings["audit-keep-days"], log);
  const metricsServer = await metrics.listen(settings["metrics-listen"]);
  const address = await listening(settings, server.start());

  return {
    address,
    reload: () => {
      tls?.reload();
      jwt?.reload();
    },
    stop: async () => {
      stopPruning();
      stopKeeping();
      metricsServer?.close();
      await server.stop(STOP_GRACE_MS);
      core.close();
      tls?.close();
      jwt?.close();
      await refusals.flush();
      if (await audit.repay()) await auditLog.close();
      await storage.close();
    },
  };
}

function tlsOf(settings: Settings, log: Logger, onRefused: (peer: string) => void): Tls | undefined {
  const { "tls-cert": certFile, "tls-key": keyFile, "tls-client-ca": caFile, "tls-crl": crlFile } = settings;
  const when = settings["tls-client-certificates"] ?? (caFile === undefined ? "none" : "optional");
  if (certFile === undefined || keyFile === undefined) {
    if ((certFile ?? keyFile ?? caFile ?? crlFile) !== undefined) {
      throw new StartError(
        "--tls-cert and --tls-key are needed together, and before any other --tls- setting",
      );
    }
    return undefined;
  }
  if (when !== "none" && caFile === undefined) {
    throw new StartError("--tls-client-certificates: needs --tls-client-ca, the authorities that sign them");
  }
  try {
    return createTls({
      certFile,
      keyFile,
      ...(caFile === undefined ? {} : { caFile }),
      ...(crlFile === undefined ? {} : { crlFile }),
      clientCertificates: when,
      report: (level, message) => log[level](message),
      onRefused,
    });
  } catch (error) {
    throw new StartError(`TLS: ${messageOf(error)}`);
  }
}

async function jwtOf(settings: Settings, log: Logger): Promise<JwtVerifier | undefined> {
  const file = settings["jwt-issuers"];
  if (file === undefined) return undefined;
  try {
    // Loaded only where they are used: a sixth of all modules come with them.
    const { JwtVerifier: Verifier } = await import("./server/identity/jwt.ts");
    const { readJwtIssuers } = await import("./server/identity/jwt-issuers.ts");
    const issuers = readJwtIssuers(file, readFileSync(file, "utf8"));
    return new Verifier({ issuers, report: (level, message) => log[level](message) });
  } catch (error) {
    throw new StartError(`--jwt-issuers: ${messageOf(error)}`);
  }
}

function limit(max: number, reason: ConcurrencyOptions["reason"]): ConcurrencyLimit {
  return new ConcurrencyLimit({ max, reason, retryAfterMs: 1000 });
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}

import type { AuditLog } from "../audit/audit-log.ts";
import type { Keyring } from "../crypto/keyring.ts";
import type { RequestDigester } from "../crypto/request-digest.ts";
import type { Revision } from "../domain/numbers.ts";
import type { Storage } from "../storage/storage.ts";
import { Alarms } from "./alarms.ts";
import type { Auditor } from "./auditor.ts";
import type { Authenticator } from "./authenticator.ts";
import type { Authorizer } from "./authorizer.ts";
import { Bell } from "./bell.ts";
import type { Call } from "./call.ts";
import type { Limits } from "./limits.ts";
import type { OpenedSecrets } from "./opened-secrets.ts";
import { Serial } from "./serial.ts";
import { Session } from "./session.ts";
import { StateEvents } from "./state-events.ts";

export interface CoreOptions {
  readonly storage: Storage;
  readonly keyring: Keyring;
  readonly digester: RequestDigester;
  readonly opened: OpenedSecrets;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly audit: Auditor;
  readonly auditLog: AuditLog;
  readonly limits: Limits;
  /** Where a backup is put together before it is sent; its files are as sealed as the store. */
  readonly scratchDirectory: string;
  /** The server's clock, Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds that go on evenly, from wherever, when somebody sets the clock (W7). */
  readonly steadyNow: () => number;
  /** How long a stream may be silent, milliseconds (W7 promises 10 s). */
  readonly progressMs: number;
  readonly version: string;
}

const NO_COMMIT = new Uint8Array(16);

/** The parts that every operation works with, put together once. Operations are functions over it, a file each. */
export class Core {
  readonly storage: Storage;
  readonly keyring: Keyring;
  readonly digester: RequestDigester;
  readonly opened: OpenedSecrets;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly audit: Auditor;
  readonly auditLog: AuditLog;
  readonly limits: Limits;
  readonly scratchDirectory: string;
  readonly now: () => number;
  readonly steadyNow: () => number;
  readonly progressMs: number;
  readonly version: string;
  /** For everything that waits with a limit. */
  readonly alarms = new Alarms();
  readonly bell: Bell;
  readonly events: StateEvents;
  /** For operations that would only make each other try again side by side. */
  readonly turns = new Serial();
  readonly #stopListening: () => void;

  constructor(options: CoreOptions) {
    this.storage = options.storage;
    this.keyring = options.keyring;
    this.digester = options.digester;
    this.opened = options.opened;
    this.authenticator = options.authenticator;
    this.authorizer = options.authorizer;
    this.audit = options.audit;
    this.auditLog = options.auditLog;
    this.scratchDirectory = options.scratchDirectory;
    this.limits = options.limits;
    this.now = options.now;
    this.steadyNow = options.steadyNow;
    this.progressMs = options.progressMs;
    this.version = options.version;
    this.bell = new Bell(this.alarms, () => this.opened.trySync());
    this.events = new StateEvents(this.opened);
    this.opened.onChanged((names) => this.bell.ring(names));
    this.#stopListening = this.storage.onCommit(() => this.opened.trySync());
  }

  sessionOf(call: Call): Session {
    return new Session(this.authenticator, this.authorizer, call);
  }

  /** The random id of the commit that made this revision; zeros for revision 0. */
  commitIdAt(revision: Revision): Uint8Array {
    return this.opened.commitIdAt(revision) ?? NO_COMMIT;
  }

  close(): void {
    this.#stopListening();
  }
}

export type {
  ChangeOptions,
  ListOptions,
  ListPageOptions,
  Page,
  PutSlotInput,
  PutSlotResult,
  ServerInfo,
  SlotChangeResult,
} from "./client.ts";
export { type Client, connect, open } from "./client.ts";
export type { Derived } from "./derived.ts";
export { type Code, type FieldViolation, SlotsError } from "./errors.ts";
export { type FakeInput, type FakeSecrets, fakeSecrets } from "./fake.ts";
export type { ChangeListener, SecretChange, SecretHandle } from "./handle.ts";
export type { SecretInfo, SlotInfo, SlotStateName } from "./metadata.ts";
export type { NumberInput } from "./numbers.ts";
export type { CacheOptions, OpenOptions } from "./open.ts";
export type { CallOptions, ConnectOptions, Warn } from "./options.ts";
export type { FailedVersion, SecretState } from "./secret-state.ts";
export { SecretValue } from "./secret-value.ts";
export type { SecretVersion } from "./secret-version.ts";
export type { Secrets } from "./secrets.ts";
export type { ServiceClient } from "./service-client.ts";
export type { TlsOptions } from "./tls-files.ts";
export type { TokenOptions } from "./token-source.ts";
export { VERSION } from "./version.ts";
export type { ViewName } from "./watch-loop.ts";
export type { AbsentReasonName, WatchEvent, WatchOptions } from "./watch-secret.ts";

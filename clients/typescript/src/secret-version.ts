import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { crc32c } from "./crc32c.ts";
import { SlotsError } from "./errors.ts";
import { SecretValue } from "./secret-value.ts";

/** A value together with where it stands. */
export type SecretVersion = {
  readonly name: string;
  readonly slot: bigint;
  readonly value: SecretValue;
  /** From a call: the last change of the secret. From a handle: the commit that made the secret's state so. */
  readonly revision: bigint;
  /** The identity of the store's history; revisions compare within one epoch. */
  readonly epoch: string;
  /** When this version of the slot was written. */
  readonly createTime: Date | undefined;
};

type Received = {
  readonly name: string;
  readonly slot?: bigint | undefined;
  readonly value: Uint8Array;
  readonly crc32c?: number | undefined;
};

/** The value of a message, checked against its checksum; DATA_LOSS when they differ. */
export function receivedValue({ name, slot, value, crc32c: sum }: Received): SecretValue {
  if (sum !== undefined && sum !== crc32c(value)) {
    throw new SlotsError("DATA_LOSS", `the value of "${name}" does not match its checksum`, {
      reason: "DATA_LOSS",
      metadata: { name, slot: String(slot ?? 0n) },
    });
  }
  return new SecretValue(value);
}

export function toDate(time: Timestamp | undefined): Date | undefined {
  return time && new Date(Number(time.seconds) * 1000 + Math.trunc(time.nanos / 1e6));
}

/** The version in a message that carries one. */
export function receivedVersion(
  message: Received & {
    readonly revision: bigint;
    readonly epoch: string;
    readonly createTime?: Timestamp | undefined;
  },
): SecretVersion {
  return {
    name: message.name,
    slot: message.slot ?? 0n,
    value: receivedValue(message),
    revision: message.revision,
    epoch: message.epoch,
    createTime: toDate(message.createTime),
  };
}

import {
  AbsentReason,
  type WatchSecretResponse,
  type WatchSlotsResponse,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { readValue } from "./calls.ts";
import type { Event, Watch } from "./history.ts";

export type Message = WatchSecretResponse | WatchSlotsResponse;

/** A message of a stream in the terms of a history. */
export function eventOf(message: Message, watch: Watch): Omit<Event, "at" | "ms"> {
  const { event, epoch, revision, resumeToken } = message;
  const value = (event.value ?? {}) as {
    name?: string;
    slot?: bigint;
    value?: Uint8Array;
    reason?: AbsentReason;
  };
  const name = value.name ?? (watch.rpc === "secret" ? watch.names[0] : undefined);
  const reason = {
    [AbsentReason.NOT_EXISTING]: "NOT_EXISTING",
    [AbsentReason.NO_ENABLED_SLOT]: "NO_ENABLED_SLOT",
  };
  return {
    type: "event",
    stream: watch.stream,
    kind: event.case === "historyReset" ? "history_reset" : ((event.case ?? "progress") as Event["kind"]),
    epoch,
    revision,
    hasToken: resumeToken !== "",
    ...(name === undefined || name === "" ? {} : { name }),
    ...(value.slot === undefined ? {} : { slot: value.slot }),
    ...(value.value === undefined ? {} : { value: readValue(value.value) }),
    ...(value.reason === undefined ? {} : { reason: reason[value.reason as keyof typeof reason] }),
  };
}

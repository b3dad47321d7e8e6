import type { AuditCaller, AuditRecord, DeliveryRecord } from "./audit-log.ts";

/** The log's own lines: one opens each segment, one ends a chain that was closed in order. */
export type OwnLine =
  | {
      readonly kind: "segment";
      readonly format: "slots-audit-v1";
      readonly chain: string;
      readonly segment: number;
      /** The mac of the line before, so that this segment can be checked when those before it were pruned. */
      readonly previous: string;
      /** The largest time of the chain so far: bounds the times in the segments before. */
      readonly latest: string;
    }
  | { readonly kind: "end" };

/** A record with thousands of streams becomes several, so that a reader can bound a line. */
const STREAMS_PER_LINE = 256;

/**
 * The JSON of a record without `seq` and `mac`, which it gets when it is written: one text a line. Numbers
 * that may pass 2^53 are strings, as in protobuf's JSON. Fields without a value are left out.
 */
export function bodiesOf(record: AuditRecord, time: string): readonly string[] {
  if (record.kind !== "delivery") return [bodyOf(fieldsOf(record), time)];
  const bodies: string[] = [];
  let at = 0;
  do {
    const streams = record.streams.slice(at, at + STREAMS_PER_LINE).map(jsonOf);
    bodies.push(`${bodyOf(deliveryFields(record), time)},"streams":[${streams.join(",")}]`);
    at += STREAMS_PER_LINE;
  } while (at < record.streams.length);
  return bodies;
}

export function bodyOf(fields: { readonly kind: string }, time: string): string {
  return `"time":"${time}",${JSON.stringify(fields).slice(1, -1)}`;
}

function fieldsOf(record: Exclude<AuditRecord, DeliveryRecord>): { readonly kind: string } {
  switch (record.kind) {
    case "call":
      return {
        kind: record.kind,
        ...callerFields(record.caller),
        rpc: record.rpc,
        secret: record.secret,
        slot: record.slot?.toString(),
        revision: record.revision?.toString(),
        subject: record.subject,
        code: record.code,
        reason: record.reason,
        request_id: record.requestId,
        changed: record.changed,
      } as { kind: string };
    case "refusals": {
      const { kind, address, count, code } = record;
      return { kind, address, count, code } as { kind: string };
    }
    case "pruned": {
      const { kind, chain, segment, all } = record;
      return { kind, chain, segment, all } as { kind: string };
    }
    case "completed":
      return {
        kind: record.kind,
        principal: record.principal,
        rpc: record.rpc,
        secret: record.secret,
        slot: record.slot?.toString(),
        revision: record.revision.toString(),
        subject: record.subject,
        request_id: record.requestId,
        change: record.change,
        change_time: new Date(record.changeTime).toISOString(),
        changed: true,
      } as { kind: string };
  }
}

function deliveryFields(record: DeliveryRecord): { readonly kind: string } {
  return {
    kind: record.kind,
    rpc: record.rpc,
    event: record.event,
    secret: record.secret,
    slot: record.slot?.toString(),
    revision: record.revision.toString(),
  } as { kind: string };
}

function jsonOf(caller: AuditCaller): string {
  caller.json ??= JSON.stringify(callerFields(caller));
  return caller.json;
}

function callerFields(caller: AuditCaller): Record<string, string> {
  return { principal: caller.principal, method: caller.method, proof: caller.proofId, peer: caller.peer };
}

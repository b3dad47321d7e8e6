import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Metadata } from "@grpc/grpc-js";
import { codeOf, type FieldViolation, SlotsError } from "./errors.ts";

// google.rpc.Status and its details are read field by field: three small, frozen messages are not worth a
// dependency on their generated code.

type Visit = (field: number, reader: BinaryReader) => boolean;

function readMessage(bytes: Uint8Array, visit: Visit): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!visit(field, reader)) reader.skip(wireType, field);
  }
}

function readMapEntry(bytes: Uint8Array): [string, string] {
  const entry: [string, string] = ["", ""];
  readMessage(bytes, (field, reader) => {
    if (field !== 1 && field !== 2) return false;
    entry[field - 1] = reader.string();
    return true;
  });
  return entry;
}

type Details = {
  reason: string;
  metadata: Record<string, string>;
  fieldViolations: FieldViolation[];
  retryDelayMs: number | undefined;
};

function readErrorInfo(bytes: Uint8Array, into: Details): void {
  readMessage(bytes, (field, reader) => {
    if (field === 1) into.reason = reader.string();
    else if (field === 3) {
      const [key, value] = readMapEntry(reader.bytes());
      into.metadata[key] = value;
    } else return false;
    return true;
  });
}

function readBadRequest(bytes: Uint8Array, into: Details): void {
  readMessage(bytes, (field, reader) => {
    if (field !== 1) return false;
    const violation = { field: "", description: "" };
    readMessage(reader.bytes(), (inner, innerReader) => {
      if (inner === 1) violation.field = innerReader.string();
      else if (inner === 2) violation.description = innerReader.string();
      else return false;
      return true;
    });
    into.fieldViolations.push(violation);
    return true;
  });
}

function readRetryInfo(bytes: Uint8Array, into: Details): void {
  readMessage(bytes, (field, reader) => {
    if (field !== 1) return false;
    let ms = 0;
    readMessage(reader.bytes(), (inner, innerReader) => {
      if (inner === 1) ms += Number(innerReader.int64()) * 1000;
      else if (inner === 2) ms += innerReader.int32() / 1e6;
      else return false;
      return true;
    });
    into.retryDelayMs = Math.max(0, Math.ceil(ms));
    return true;
  });
}

const DETAIL_READERS: Readonly<Record<string, (bytes: Uint8Array, into: Details) => void>> = {
  "google.rpc.ErrorInfo": readErrorInfo,
  "google.rpc.BadRequest": readBadRequest,
  "google.rpc.RetryInfo": readRetryInfo,
};

function readAny(bytes: Uint8Array, into: Details): void {
  let type = "";
  let value: Uint8Array = new Uint8Array();
  readMessage(bytes, (field, reader) => {
    if (field === 1) type = reader.string();
    else if (field === 2) value = reader.bytes();
    else return false;
    return true;
  });
  DETAIL_READERS[type.slice(type.lastIndexOf("/") + 1)]?.(value, into);
}

/** The typed error for a failed call: status, and the details of `grpc-status-details-bin` where they parse. */
export function errorFromStatus(status: { code: number; details: string; metadata?: Metadata }): SlotsError {
  const details: Details = { reason: "", metadata: {}, fieldViolations: [], retryDelayMs: undefined };
  const raw = status.metadata?.get("grpc-status-details-bin")[0];
  if (raw instanceof Uint8Array) {
    try {
      readMessage(raw, (field, reader) => {
        if (field !== 3) return false;
        readAny(reader.bytes(), details);
        return true;
      });
    } catch {
      // Details are extra: an error whose details are damaged is still the error that its code says.
    }
  }
  const { retryDelayMs, ...rest } = details;
  return new SlotsError(codeOf(status.code), status.details, {
    ...rest,
    ...(retryDelayMs === undefined ? {} : { retryDelayMs }),
  });
}

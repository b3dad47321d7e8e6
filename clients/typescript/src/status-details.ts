import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Metadata } from "@grpc/grpc-js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../../gen/ts/google/rpc/error_details_pb.ts";
import { type Status, StatusSchema } from "../../../gen/ts/google/rpc/status_pb.ts";
import { codeOf, SlotsError, type SlotsErrorDetails } from "./errors.ts";

/** The typed error for a failed call: its status, and the details of `grpc-status-details-bin`. */
export function errorFromStatus(status: { code: number; details: string; metadata?: Metadata }): SlotsError {
  const raw = status.metadata?.get("grpc-status-details-bin")[0];
  let details: SlotsErrorDetails = {};
  if (raw instanceof Uint8Array) {
    try {
      details = detailsOf(fromBinary(StatusSchema, raw));
    } catch {
      // Details are extra: an error whose details are damaged is still the error that its code says.
    }
  }
  return new SlotsError(codeOf(status.code), status.details, details);
}

function detailsOf({ details }: Status): SlotsErrorDetails {
  const info = details.map((any) => anyUnpack(any, ErrorInfoSchema)).find(Boolean);
  const badRequest = details.map((any) => anyUnpack(any, BadRequestSchema)).find(Boolean);
  const delay = details.map((any) => anyUnpack(any, RetryInfoSchema)).find(Boolean)?.retryDelay;
  return {
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    fieldViolations: (badRequest?.fieldViolations ?? []).map(({ field, description }) => ({
      field,
      description,
    })),
    ...(delay && { retryDelayMs: Math.max(0, Number(delay.seconds) * 1000 + Math.ceil(delay.nanos / 1e6)) }),
  };
}

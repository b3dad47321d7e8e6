import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";
import { type ErrorCode, SlotsError } from "../domain/errors.ts";

const GRPC_CODE = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  NOT_FOUND: status.NOT_FOUND,
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  FAILED_PRECONDITION: status.FAILED_PRECONDITION,
  ABORTED: status.ABORTED,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  DATA_LOSS: status.DATA_LOSS,
  UNAVAILABLE: status.UNAVAILABLE,
  UNIMPLEMENTED: status.UNIMPLEMENTED,
  CANCELLED: status.CANCELLED,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  INTERNAL: status.INTERNAL,
} as const satisfies Record<ErrorCode, status>;

const ERROR_DOMAIN = "secretslots";

export interface GrpcStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Whatever was thrown, as one of ours. What nobody foresaw says nothing of itself to the caller. */
export function toSlotsError(error: unknown): SlotsError {
  if (error instanceof SlotsError) return error;
  return new SlotsError("INTERNAL", "internal error; the server's log has more", { cause: error });
}

const statuses = new WeakMap<SlotsError, GrpcStatus>();

/** An error that is answered over and over: its status is encoded once. */
export function prepared(error: SlotsError): SlotsError {
  statuses.set(error, encode(error));
  return error;
}

/** The status, with google.rpc.Status and its details in the trailer that gRPC libraries know. */
export function grpcStatus(error: SlotsError): GrpcStatus {
  return statuses.get(error) ?? encode(error);
}

function encode(error: SlotsError): GrpcStatus {
  const code = GRPC_CODE[error.code];
  const details = [
    anyPack(
      ErrorInfoSchema,
      create(ErrorInfoSchema, {
        reason: error.reason,
        domain: ERROR_DOMAIN,
        metadata: { ...error.metadata },
      }),
    ),
  ];
  if (error.violations.length > 0) {
    const fieldViolations = error.violations.map(({ field, rule }) => ({
      field,
      description: rule,
      reason: error.reason,
    }));
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  if (error.retryAfterMs !== undefined) {
    const seconds = BigInt(Math.floor(error.retryAfterMs / 1000));
    const nanos = Math.round((error.retryAfterMs % 1000) * 1e6);
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds, nanos } })));
  }
  const metadata = new Metadata();
  const message = create(StatusSchema, { code, message: error.message, details });
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, message)));
  return { code, details: error.message, metadata };
}

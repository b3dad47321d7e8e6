"""From gRPC's errors to SlotsError, with the details of ``grpc-status-details-bin``."""

from __future__ import annotations

from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from ._errors import FieldViolation, SlotsError


def from_rpc_error(error: grpc.RpcError) -> SlotsError:
    """The typed error for a failed call."""
    call = cast(grpc.Call, error)  # every error of a call is one, which its type does not say
    return SlotsError(call.code().name, call.details() or "", **_details(call))


def _details(call: grpc.Call) -> dict[str, Any]:
    raw = next((value for key, value in call.trailing_metadata() or () if key == "grpc-status-details-bin"), b"")
    found: dict[str, Any] = {}
    try:
        for detail in status_pb2.Status.FromString(raw).details:
            info = error_details_pb2.ErrorInfo()
            bad = error_details_pb2.BadRequest()
            retry = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                found.update(reason=info.reason, metadata=dict(info.metadata))
            elif detail.Unpack(bad):
                found["field_violations"] = tuple(FieldViolation(v.field, v.description) for v in bad.field_violations)
            elif detail.Unpack(retry):
                found["retry_delay"] = max(0.0, retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9)
    except DecodeError:
        # Details are extra: an error whose details are damaged is still the error that its code says.
        pass
    return found

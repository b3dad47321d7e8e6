"""The conformance driver on stubs and grpc alone: no code of the client."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from typing import Any, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

from secretslots_stubs.v1 import secret_service_pb2 as pb
from secretslots_stubs.v1 import secret_service_pb2_grpc as rpc

Json = dict[str, Any]
TIMEOUT = 10


class Session:
    def __init__(self, request: Json) -> None:
        self.channel = grpc.insecure_channel(request["address"])
        self.stub = rpc.SecretServiceStub(self.channel)
        self.metadata = (("authorization", f"Bearer {request['token']}"),) if "token" in request else ()

    def call(self, method: Any, request: Any) -> Any:
        return method(request, timeout=TIMEOUT, metadata=self.metadata)


def version(response: pb.GetSecretResponse | pb.GetEffectiveAtResponse) -> Json:
    return {
        "name": response.name,
        "slot": str(response.slot),
        "value": base64.b64encode(response.value).decode(),
        "revision": str(response.revision),
        "epoch": response.epoch,
    }


def get(session: Session, r: Json) -> Json:
    return version(session.call(session.stub.GetSecret, pb.GetSecretRequest(name=r["name"])))


def at(session: Session, r: Json) -> Json:
    number = int(r["at"]) if "at" in r else None
    response = session.call(session.stub.GetEffectiveAt, pb.GetEffectiveAtRequest(name=r["name"], at=number))
    return {**version(response), "at": str(response.at)}


def put(session: Session, r: Json) -> Json:
    request = pb.PutSlotRequest(
        name=r["name"],
        slot=int(r["slot"]) if "slot" in r else None,
        auto_slot=pb.AutoSlot.Value(f"AUTO_SLOT_{r.get('autoSlot', 'UNSPECIFIED')}"),
        value=base64.b64decode(r["value"]) if "value" in r else None,
        overwrite=r.get("overwrite", False),
        expected_revision=int(r["expectedRevision"]) if "expectedRevision" in r else None,
        request_id=r.get("requestId", ""),
        initial_state=pb.SlotState.Value(f"SLOT_STATE_{r.get('initialState', 'UNSPECIFIED')}"),
    )
    response = session.call(session.stub.PutSlot, request)
    return {
        "slot": str(response.slot),
        "state": state_name(response.state),
        "revision": str(response.revision),
        "created": response.created,
        "currentSlot": str(response.current_slot) if response.HasField("current_slot") else None,
        "epoch": response.epoch,
    }


def change_slot(rpc_name: str) -> Callable[[Session, Json], Json]:
    def change(session: Session, r: Json) -> Json:
        request = getattr(pb, f"{rpc_name}Request")(
            name=r["name"], slot=int(r["slot"]), etag=r.get("etag", ""), request_id=r.get("requestId", "")
        )
        response = session.call(getattr(session.stub, rpc_name), request)
        slot = response.slot
        return {"slot": str(slot.slot), "state": state_name(slot.state), "revision": str(response.revision)}

    return change


def delete(session: Session, r: Json) -> Json:
    request = pb.DeleteSecretRequest(name=r["name"], etag=r.get("etag", ""), request_id=r.get("requestId", ""))
    return {"revision": str(session.call(session.stub.DeleteSecret, request).revision)}


def state_name(state: int) -> str:
    return pb.SlotState.Name(cast("pb.SlotState.ValueType", state)).removeprefix("SLOT_STATE_")


def told(error: Exception) -> Json:
    if isinstance(error, ValueError):  # what protobuf says to a number that does not fit
        return {"code": "INVALID_ARGUMENT", "reason": "", "message": str(error), "metadata": {}}
    if not isinstance(error, grpc.RpcError):
        return {"code": "INTERNAL", "reason": "", "message": type(error).__name__, "metadata": {}}
    call = cast(grpc.Call, error)
    trailer = dict(call.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(cast(bytes, trailer)).details:
        detail.Unpack(info)
    return {
        "code": call.code().name,
        "reason": info.reason,
        "message": call.details() or "",
        "metadata": dict(info.metadata),
    }


OPS: dict[str, Callable[[Session, Json], Json]] = {
    "get": get,
    "at": at,
    "put": put,
    "disable": change_slot("DisableSlot"),
    "enable": change_slot("EnableSlot"),
    "destroy": change_slot("DestroySlot"),
    "delete": delete,
}


def main() -> None:
    sessions: dict[str, Session] = {}

    def act(r: Json) -> Json:
        if r["op"] == "hello":
            return {"lang": "python", "version": "stubs"}
        if r["op"] == "connect":
            sessions[r["client"]] = Session(r)
            return {}
        if r["op"] == "closeClient":
            sessions.pop(r["client"]).channel.close()
            return {}
        return OPS[r["op"]](sessions[r["client"]], r)

    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer: Json = {"ok": True, **act(request)}
        except KeyError:
            error = {"code": "UNIMPLEMENTED", "reason": "", "message": request["op"], "metadata": {}}
            answer = {"ok": False, "error": error}
        except Exception as error:
            answer = {"ok": False, "error": told(error)}
        print(json.dumps({"id": request["id"], **answer}), flush=True)
    for session in sessions.values():
        session.channel.close()


main()

"""A gRPC server in this process that does what a test tells it, faults included."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from secretslots._version import crc32c
from secretslots_stubs.v1 import secret_service_pb2 as pb
from secretslots_stubs.v1 import secret_service_pb2_grpc as rpc

BOUND = 20.0


class Refusal(Exception):
    """What a handler raises to end a call with a typed error."""

    def __init__(self, code: grpc.StatusCode, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.code = code
        details = [error_details_pb2.ErrorInfo(reason=reason, domain="secretslots", metadata={"name": "n"})]
        packed = [_packed(detail) for detail in details]
        if retry_after is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromNanoseconds(int(retry_after * 1e9))
            packed.append(_packed(retry))
        status = status_pb2.Status(code=code.value[0], message=reason, details=packed)
        self.trailer = (("grpc-status-details-bin", status.SerializeToString()),)


def _packed(detail: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def event(revision: int, *, epoch: str = "e1", token: str = "", **events: Any) -> pb.WatchSlotsResponse:
    return pb.WatchSlotsResponse(epoch=epoch, revision=revision, resume_token=token, **events)


def begin(name: str, revision: int = 0, *, epoch: str = "e1") -> pb.WatchSlotsResponse:
    return event(revision, epoch=epoch, begin=pb.Begin(name=name))


def slot(name: str, number: int, value: str, revision: int, *, epoch: str = "e1") -> pb.WatchSlotsResponse:
    data = value.encode()
    return event(revision, epoch=epoch, slot=pb.LiveSlot(name=name, slot=number, value=data, crc32c=crc32c(data)))


def removed(name: str, number: int, revision: int, *, epoch: str = "e1") -> pb.WatchSlotsResponse:
    return event(revision, epoch=epoch, removed=pb.RemovedSlot(name=name, slot=number))


def failed(name: str, number: int, revision: int, *, epoch: str = "e1") -> pb.WatchSlotsResponse:
    return event(revision, epoch=epoch, failed=pb.FailedSlot(name=name, slot=number))


def absent(name: str, reason: str, revision: int, *, epoch: str = "e1") -> pb.WatchSlotsResponse:
    number = pb.AbsentReason.Value(f"ABSENT_REASON_{reason}")
    return event(revision, epoch=epoch, absent=pb.AbsentSecret(name=name, reason=number))


def synced(revision: int, token: str = "", *, epoch: str = "e1") -> pb.WatchSlotsResponse:
    return event(revision, epoch=epoch, token=token or f"t{revision}", synced=pb.Synced())


def progress(revision: int, token: str = "", *, epoch: str = "e1") -> pb.WatchSlotsResponse:
    return event(revision, epoch=epoch, token=token or f"t{revision}", progress=pb.Progress())


def history_reset(revision: int, *, epoch: str = "e1") -> pb.WatchSlotsResponse:
    return event(revision, epoch=epoch, history_reset=pb.HistoryReset())


class Stream:
    """One WatchSlots call, seen from the server."""

    def __init__(self, request: pb.WatchSlotsRequest, context: grpc.ServicerContext) -> None:
        self.request = request
        self.authorization = dict(context.invocation_metadata()).get("authorization")
        self._steps: queue.SimpleQueue[pb.WatchSlotsResponse | Refusal | None] = queue.SimpleQueue()
        self.gone = queue.SimpleQueue[bool]()
        context.add_callback(self._cancelled)

    def send(self, *messages: pb.WatchSlotsResponse) -> None:
        for message in messages:
            self._steps.put(message)

    def fail(self, code: grpc.StatusCode, reason: str = "") -> None:
        self._steps.put(Refusal(code, reason))

    def end(self) -> None:
        self._steps.put(None)

    def wait_gone(self) -> None:
        self.gone.get(timeout=BOUND)

    def _cancelled(self) -> None:
        self.gone.put(True)
        self._steps.put(None)

    def messages(self) -> Iterator[pb.WatchSlotsResponse]:
        while (step := self._steps.get()) is not None:
            if isinstance(step, Refusal):
                raise step
            yield step


class _Service(rpc.SecretServiceServicer):
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def WatchSlots(self, request: Any, context: Any) -> Any:
        stream = Stream(request, context)
        self._server.streams.put(stream)
        try:
            yield from stream.messages()
        except Refusal as refusal:
            _refuse(context, refusal)

    def __getattribute__(self, name: str) -> Any:
        if name in rpc.SecretServiceServicer.__dict__ and name[0].isupper() and name != "WatchSlots":
            return lambda request, context: object.__getattribute__(self, "_answer")(name, request, context)
        return object.__getattribute__(self, name)

    def _answer(self, method: str, request: Any, context: Any) -> Any:
        self._server.calls.append((method, request, dict(context.invocation_metadata()).get("authorization")))
        try:
            return self._server.answer(method, request)
        except Refusal as refusal:
            _refuse(context, refusal)


def _refuse(context: Any, refusal: Refusal) -> None:
    context.set_trailing_metadata(refusal.trailer)
    context.abort(refusal.code, str(refusal))


class ScriptedServer:
    """``answer`` answers unary calls; ``streams`` are the WatchSlots calls as they come in."""

    def __init__(self, address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None) -> None:
        self.streams: queue.SimpleQueue[Stream] = queue.SimpleQueue()
        self.calls: list[tuple[str, Any, str | None]] = []
        self.answer: Callable[[str, Any], Any] = self._unimplemented
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        rpc.add_SecretServiceServicer_to_server(_Service(self), self._server)  # type: ignore[abstract]
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        self.address = address if address.startswith("unix:") else f"127.0.0.1:{port}"
        self._server.start()

    def next_stream(self) -> Stream:
        return self.streams.get(timeout=BOUND)

    def stop(self) -> None:
        """As a kill: every stream is cut at once."""
        self._server.stop(grace=None).wait(BOUND)

    @staticmethod
    def _unimplemented(method: str, _request: Any) -> Any:
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, method)

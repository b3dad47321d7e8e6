from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import grpc

from secretslots_stubs.v1 import secret_service_pb2 as pb

from ._arguments import View
from ._backoff import Reconnect
from ._connection import Connection, bearer
from ._errors import SlotsError
from ._log import logger
from ._replica import Replica
from ._status import from_rpc_error

_FIRST_MESSAGE_WITHIN = 20.0
_NEXT_MESSAGE_WITHIN = 40.0  # the server sends progress every 10 s

_VIEWS = {"ALL_ENABLED": pb.WATCH_VIEW_ALL_ENABLED, "CURRENT": pb.WATCH_VIEW_CURRENT}


class _End:
    """The stream ended; ``error`` is None when OK."""

    def __init__(self, error: SlotsError | None) -> None:
        self.error: Final = error


_Inbox = queue.Queue["pb.WatchSlotsResponse | _End"]


class _Call(Protocol):
    def __iter__(self) -> Iterator[pb.WatchSlotsResponse]: ...

    def cancel(self) -> object: ...


class WatchLoop:
    """Keeps one WatchSlots stream going for a replica, through whatever ends it, until it is closed.

    One thread owns replica and connection state; another, per stream, reads: grpc has no read with a timeout.
    """

    def __init__(
        self,
        connection: Connection,
        names: tuple[str, ...],
        view: View,
        replica: Replica,
        *,
        on_caught_up: Callable[[bool], None],
        on_ended: Callable[[SlotsError | None], None],
    ) -> None:
        """``on_caught_up`` is told whether it was by a synced; ``on_ended`` of each stream that is to be reopened."""
        self._connection = connection
        self._request = pb.WatchSlotsRequest(names=names, view=_VIEWS[view], allow_missing=True)
        self._replica = replica
        self._on_caught_up = on_caught_up
        self._on_ended = on_ended
        self._reconnect = Reconnect()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._call: _Call | None = None
        self._thread = threading.Thread(target=self._run, name="secretslots-watch", daemon=True)

    def age(self) -> float | None:
        return self._reconnect.age()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with self._lock:
            self._closing.set()
            if self._call is not None:
                self._call.cancel()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        refused_tokens = 0
        while not self._closing.is_set():
            error = self._follow_one()
            if self._closing.is_set():
                return
            bad_token = error is not None and error.reason == "BAD_RESUME_TOKEN" and self._replica.resume_token != ""
            if bad_token:
                self._replica.resume_token = ""
            refused_tokens = refused_tokens + 1 if bad_token else 0
            if refused_tokens == 1:
                continue
            self._on_ended(error)
            self._closing.wait(self._reconnect.delay_after(error))

    def _follow_one(self) -> SlotsError | None:
        """Follows one stream to its end; the error it ended with, None for OK."""
        self._reconnect.opened()
        self._replica.stream_opened()
        self._request.resume_token = self._replica.resume_token
        try:
            token = self._connection.token(fresh=True)
            with self._connection.stub(fresh=True) as stub:
                call = stub.WatchSlots(self._request, metadata=bearer(token))
                return self._consume(call)
        except SlotsError as error:
            return error
        except Exception as error:
            # Whatever it is, the handles go on, and so do we.
            logger.warning("the stream of secrets could not be opened: %s", type(error).__name__)
            return SlotsError("INTERNAL", f"the stream could not be opened: {type(error).__name__}")

    def _consume(self, call: _Call) -> SlotsError | None:
        # Bounded, so that a flood is held back by the transport and not kept here.
        inbox: _Inbox = queue.Queue(maxsize=64)
        threading.Thread(target=_read, args=(call, inbox), name="secretslots-read", daemon=True).start()
        with self._lock:
            self._call = call
            if self._closing.is_set():
                call.cancel()
        ended: _End | None = None
        try:
            patience = _FIRST_MESSAGE_WITHIN
            while True:
                try:
                    item = inbox.get(timeout=patience)
                except queue.Empty:
                    return SlotsError("UNAVAILABLE", f"nothing was heard for {patience:.0f} s", reason="SILENCE")
                if isinstance(item, _End):
                    ended = item
                    return item.error
                patience = _NEXT_MESSAGE_WITHIN
                if self._closing.is_set():
                    return None
                self._reconnect.heard()
                received = self._replica.receive(item)
                if received != "pending":
                    self._reconnect.caught_up()
                    self._on_caught_up(received == "synced")
        except SlotsError as error:
            return error
        finally:
            with self._lock:
                self._call = None
            call.cancel()
            while ended is None:  # the reader ends with the call, and may be waiting for room
                item = inbox.get()
                ended = item if isinstance(item, _End) else None


def _read(call: _Call, inbox: _Inbox) -> None:
    error: SlotsError | None = None
    try:
        for message in call:
            inbox.put(message)
    except grpc.RpcError as rpc_error:
        error = from_rpc_error(rpc_error)
    except Exception as unexpected:  # a message that does not decode, for one
        error = SlotsError("INTERNAL", f"the stream could not be read: {type(unexpected).__name__}")
    finally:
        inbox.put(_End(error))

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import grpc

from secretslots_stubs.v1.secret_service_pb2_grpc import SecretServiceStub

from ._backoff import backoff
from ._connection import Connection, bearer
from ._errors import SlotsError, client_closed
from ._status import from_rpc_error

Request = TypeVar("Request")
Response = TypeVar("Response")
Method = Callable[[SecretServiceStub], "grpc.UnaryUnaryMultiCallable[Request, Response]"]


def call_unary(
    connection: Connection, method: Method[Request, Response], request: Request, *, timeout: float, max_attempts: int
) -> Response:
    """A unary call with a deadline over all its attempts.

    UNAVAILABLE is tried again: the request either only reads or has a request id, so that the server acts once.
    UNAUTHENTICATED is tried again once, when the token has changed since.
    """
    deadline = time.monotonic() + timeout
    fresh = reauthenticated = False
    attempts = 0
    while True:
        token = connection.token(fresh=fresh)
        attempts += 1
        error = SlotsError("DEADLINE_EXCEEDED", "the deadline passed before the call was sent")
        try:
            remaining = deadline - time.monotonic()
            if remaining > 0:
                with connection.stub(fresh=fresh) as stub:
                    return method(stub)(request, timeout=remaining, metadata=bearer(token))
        except grpc.RpcError as rpc_error:
            error = from_rpc_error(rpc_error)
        except ValueError:
            # What grpc raises for a call on a channel that is closed meanwhile.
            error = client_closed()
        if error.code == "UNAUTHENTICATED" and not reauthenticated:
            reauthenticated = fresh = True
            if connection.token(fresh=True) != token:
                continue
        if error.code != "UNAVAILABLE" or attempts >= max_attempts:
            raise error
        wait = max(backoff(attempts - 1), error.retry_delay or 0.0)
        if time.monotonic() + wait >= deadline:
            raise error
        if connection.closed.wait(wait):
            raise client_closed()

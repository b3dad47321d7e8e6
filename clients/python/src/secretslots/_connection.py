from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypedDict

import grpc

from secretslots_stubs.v1.secret_service_pb2_grpc import SecretServiceStub

from ._address import parse_address
from ._errors import client_closed, invalid_argument
from ._tls import PathLike, TlsFiles, TlsMaterial
from ._token import token_source
from ._version_number import VERSION

Metadata = tuple[tuple[str, str], ...]

_TLS_CHECK = 10.0

_CHANNEL_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The channel's own backoff must not add to ours.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
    # Retries are ours: a hidden one could repeat what must not be repeated.
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.primary_user_agent", f"secretslots-python/{VERSION}"),
]


class ConnectOptions(TypedDict, total=False):
    """How to reach the server and as whom."""

    #: The token, or a function that gives it before each stream and each unary call.
    token: str | Callable[[], str] | None
    #: A file that holds the token and may change; whitespace around it is dropped.
    token_file: PathLike | None
    #: TLS with the system's roots. Any of the four below switches it on too. Files are PEM, and may change.
    tls: bool
    #: Roots to trust instead of the system's.
    ca: PathLike | None
    #: With ``key``: who we are (mTLS).
    cert: PathLike | None
    key: PathLike | None
    #: The name to check the server's certificate against, when it is not the address's host.
    server_name: str | None
    #: Allows a token over plaintext to an address that is not this machine.
    allow_plaintext: bool


class _Lane:
    """One channel and how many calls are on it: closing a grpc channel would cut them off."""

    def __init__(self, channel: grpc.Channel, material: TlsMaterial | None) -> None:
        self.channel = channel
        self.stub = SecretServiceStub(channel)
        self.material = material
        self.users = 0


class Connection:
    """The channel and what proves who we are, both renewed as their files change."""

    def __init__(
        self,
        address: str,
        *,
        token: str | Callable[[], str] | None = None,
        token_file: PathLike | None = None,
        tls: bool = False,
        ca: PathLike | None = None,
        cert: PathLike | None = None,
        key: PathLike | None = None,
        server_name: str | None = None,
        allow_plaintext: bool = False,
    ) -> None:
        self._address = parse_address(address)
        self._token = token_source(token, token_file)
        if (cert is None) != (key is None):
            raise invalid_argument("cert and key go together")
        self._server_name = server_name
        on = tls or any(option is not None for option in (ca, cert, key, server_name))
        self._tls = TlsFiles(ca, cert, key) if on else None
        if self._token and not on and not self._address.local and not allow_plaintext:
            raise invalid_argument(
                f"a token is not sent to {address} without TLS; set tls, or allow_plaintext if you must",
                "PLAINTEXT_REFUSED",
            )
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._lane: _Lane | None = None
        self._retired: set[_Lane] = set()
        self._checked_at = 0.0

    def token(self, *, fresh: bool) -> str | None:
        """The token of now; ``fresh`` reads its file however lately that was done."""
        return self._token(fresh) if self._token else None

    @contextmanager
    def stub(self, *, fresh: bool) -> Iterator[SecretServiceStub]:
        """The stub to call on, for as long as the call runs; ``fresh`` looks at the TLS files now."""
        with self._lock:
            lane = self._newest_lane(fresh)
            lane.users += 1
        try:
            yield lane.stub
        finally:
            with self._lock:
                lane.users -= 1
                done = lane in self._retired and lane.users == 0
                if done:
                    self._retired.discard(lane)
            if done:
                lane.channel.close()

    def close(self) -> None:
        with self._lock:
            self.closed.set()
            lanes = [*self._retired, *([self._lane] if self._lane else [])]
            self._lane = None
            self._retired.clear()
        for lane in lanes:
            lane.channel.close()

    def _newest_lane(self, fresh: bool) -> _Lane:
        if self.closed.is_set():
            raise client_closed()
        lane = self._lane
        material = lane.material if lane else None
        if self._tls and (lane is None or fresh or time.monotonic() - self._checked_at > _TLS_CHECK):
            material = self._tls.load()
            self._checked_at = time.monotonic()
        if lane is None or material != lane.material:
            if lane is not None and lane.users:
                self._retired.add(lane)
            elif lane is not None:
                lane.channel.close()
            lane = self._lane = _Lane(self._dial(material), material)
        return lane

    def _dial(self, material: TlsMaterial | None) -> grpc.Channel:
        options = list(_CHANNEL_OPTIONS)
        if material is None:
            # A proxy named by the environment must not see a token that was meant to stay on this machine.
            options.append(("grpc.enable_http_proxy", 0))
            return grpc.insecure_channel(self._address.target, options)
        if self._server_name is not None:
            options.append(("grpc.ssl_target_name_override", self._server_name))
            options.append(("grpc.default_authority", self._server_name))
        credentials = grpc.ssl_channel_credentials(material.ca, material.key, material.cert)
        return grpc.secure_channel(self._address.target, credentials, options)


def bearer(token: str | None) -> Metadata:
    return () if token is None else (("authorization", f"Bearer {token}"),)

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask

from secretslots_stubs.v1 import secret_service_pb2 as pb

from ._arguments import View, to_number, to_seconds
from ._connection import Connection, ConnectOptions
from ._errors import client_closed
from ._live import open_secrets
from ._results import (
    Deleted,
    EffectiveVersion,
    Page,
    PutResult,
    SecretInfo,
    ServerInfo,
    SlotChange,
    SlotInfo,
    put_result,
    secret_info,
    server_info,
    slot_change,
    slot_info,
)
from ._secrets import Secrets
from ._tls import PathLike
from ._unary import Method, Request, Response, call_unary
from ._value import SecretValue
from ._version import SecretVersion, crc32c, received_version

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")

_AUTO_SLOTS = {"NEXT_INDEX": pb.AUTO_SLOT_NEXT_INDEX, "NOW": pb.AUTO_SLOT_NOW}
_INITIAL_STATES = {"ENABLED": pb.SLOT_STATE_ENABLED, "DISABLED": pb.SLOT_STATE_DISABLED}


class Client:
    """One channel to a server. Does no I/O before the first call; safe for use by many threads.

    Every call takes ``timeout``, seconds for all its attempts together, and raises SlotsError. UNAVAILABLE is tried
    again; mutations carry a request id, filled in when the caller gives none, so that trying again is safe.
    """

    def __init__(
        self, address: str, *, timeout: float = 5.0, max_attempts: int = 5, **options: Unpack[ConnectOptions]
    ) -> None:
        """``timeout`` (seconds) and ``max_attempts`` are of a unary call. Nothing is sent."""
        self._timeout = to_seconds(timeout, "timeout")
        self._max_attempts = max(1, to_number(max_attempts, "max_attempts"))
        self._sets: list[Secrets] = []
        self._connection = Connection(address, **options)

    def open(
        self,
        names: Iterable[str],
        *,
        timeout: float = 10.0,
        view: View = "ALL_ENABLED",
        cache_path: PathLike | None = None,
        cache_key: bytes | None = None,
    ) -> Secrets:
        """Handles for the names, over one stream; returns when every name has a value.

        DEADLINE_EXCEEDED (SECRETS_MISSING) after ``timeout`` seconds, with the missing names and why. With a cache
        (``cache_key``: 32 bytes) it returns the cached values, stale, when the server is away.
        """
        opened = open_secrets(
            self._connection, names, timeout=timeout, view=view, cache_path=cache_path, cache_key=cache_key
        )
        self._sets = [*(one for one in self._sets if not one.closed), opened]
        if self._connection.closed.is_set():  # by another thread, which may not have seen the set
            opened.close()
            raise client_closed()
        return opened

    def get_secret(self, name: str, *, timeout: float | None = None) -> SecretVersion:
        """The current value: the enabled slot with the largest number."""
        return received_version(self._call(lambda s: s.GetSecret, pb.GetSecretRequest(name=name), timeout))

    def get_effective_at(self, name: str, at: int | None = None, *, timeout: float | None = None) -> EffectiveVersion:
        """The enabled slot with the largest number at or below ``at``; without ``at``, at the server's clock."""
        request = pb.GetEffectiveAtRequest(name=name, at=_optional(at, "at"))
        response = self._call(lambda s: s.GetEffectiveAt, request, timeout)
        version = received_version(response)
        return EffectiveVersion(
            version.name,
            version.value,
            version.slot,
            version.revision,
            version.epoch,
            version.create_time_ns,
            response.at,
        )

    def put_slot(
        self,
        name: str,
        value: bytes | str | SecretValue | None,
        *,
        slot: int | None = None,
        auto_slot: Literal["NEXT_INDEX", "NOW"] | None = None,
        overwrite: bool = False,
        expected_revision: int | None = None,
        request_id: str | None = None,
        initial_state: Literal["ENABLED", "DISABLED"] | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Writes a value into one slot; creates the secret at its first. Give one of ``slot`` and ``auto_slot``."""
        data = None if value is None else (value if isinstance(value, SecretValue) else SecretValue(value)).bytes()
        request = pb.PutSlotRequest(
            name=name,
            slot=_optional(slot, "slot"),
            auto_slot=_AUTO_SLOTS[auto_slot] if auto_slot else pb.AUTO_SLOT_UNSPECIFIED,
            value=data,
            crc32c=None if data is None else crc32c(data),
            overwrite=overwrite,
            expected_revision=_optional(expected_revision, "expected_revision"),
            request_id=_request_id(request_id),
            initial_state=_INITIAL_STATES[initial_state] if initial_state else pb.SLOT_STATE_UNSPECIFIED,
        )
        return put_result(self._call(lambda s: s.PutSlot, request, timeout))

    def describe_secret(self, name: str, *, timeout: float | None = None) -> SecretInfo:
        return secret_info(self._call(lambda s: s.DescribeSecret, pb.DescribeSecretRequest(name=name), timeout))

    def update_secret(
        self,
        name: str,
        *,
        comment: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> SecretInfo:
        """Changes the comment, the labels (as a whole), or both: what is given is the update mask."""
        paths = [path for path, given in (("comment", comment), ("labels", labels)) if given is not None]
        request = pb.UpdateSecretRequest(
            name=name,
            comment=comment or "",
            labels=labels or {},
            update_mask=FieldMask(paths=paths),
            etag=etag,
            request_id=_request_id(request_id),
        )
        return secret_info(self._call(lambda s: s.UpdateSecret, request, timeout))

    def list_secrets_page(
        self, prefix: str = "", *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> Page[SecretInfo]:
        """One page of secrets in byte order of names."""
        request = pb.ListSecretsRequest(prefix=prefix, page_size=page_size, page_token=page_token)
        response = self._call(lambda s: s.ListSecrets, request, timeout)
        return Page(tuple(map(secret_info, response.secrets)), response.next_page_token)

    def list_secrets(
        self, prefix: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[SecretInfo]:
        """All secrets whose names begin with ``prefix``, page after page; ``timeout`` is for each page."""
        return _all_pages(
            lambda token: self.list_secrets_page(prefix, page_size=page_size, page_token=token, timeout=timeout)
        )

    def list_slots_page(
        self, name: str, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> Page[SlotInfo]:
        """One page of a secret's slots in rising order; never values."""
        request = pb.ListSlotsRequest(name=name, page_size=page_size, page_token=page_token)
        response = self._call(lambda s: s.ListSlots, request, timeout)
        return Page(tuple(map(slot_info, response.slots)), response.next_page_token)

    def list_slots(self, name: str, *, page_size: int = 0, timeout: float | None = None) -> Iterator[SlotInfo]:
        """All slots of a secret, page after page; ``timeout`` is for each page."""
        return _all_pages(
            lambda token: self.list_slots_page(name, page_size=page_size, page_token=token, timeout=timeout)
        )

    def disable_slot(
        self, name: str, slot: int, *, etag: str = "", request_id: str | None = None, timeout: float | None = None
    ) -> SlotChange:
        """Takes a slot out of both resolution rules until it is enabled again."""
        request = pb.DisableSlotRequest(
            name=name, slot=to_number(slot, "slot"), etag=etag, request_id=_request_id(request_id)
        )
        return slot_change(self._call(lambda s: s.DisableSlot, request, timeout))

    def enable_slot(
        self, name: str, slot: int, *, etag: str = "", request_id: str | None = None, timeout: float | None = None
    ) -> SlotChange:
        """Puts a disabled slot back."""
        request = pb.EnableSlotRequest(
            name=name, slot=to_number(slot, "slot"), etag=etag, request_id=_request_id(request_id)
        )
        return slot_change(self._call(lambda s: s.EnableSlot, request, timeout))

    def destroy_slot(
        self, name: str, slot: int, *, etag: str = "", request_id: str | None = None, timeout: float | None = None
    ) -> SlotChange:
        """Removes a slot's value for good; its number stays known."""
        request = pb.DestroySlotRequest(
            name=name, slot=to_number(slot, "slot"), etag=etag, request_id=_request_id(request_id)
        )
        return slot_change(self._call(lambda s: s.DestroySlot, request, timeout))

    def delete_secret(
        self, name: str, *, etag: str = "", request_id: str | None = None, timeout: float | None = None
    ) -> Deleted:
        """Removes a secret and all its slots."""
        request = pb.DeleteSecretRequest(name=name, etag=etag, request_id=_request_id(request_id))
        response = self._call(lambda s: s.DeleteSecret, request, timeout)
        return Deleted(response.revision, response.epoch)

    def get_server_info(self, *, timeout: float | None = None) -> ServerInfo:
        return server_info(self._call(lambda s: s.GetServerInfo, pb.GetServerInfoRequest(), timeout))

    def close(self) -> None:
        """Closes the sets that this client opened, and the channel. Handles go on answering."""
        for one in self._sets:
            one.close()
        self._sets = []
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "Client()"

    def _call(self, method: Method[Request, Response], request: Request, timeout: float | None) -> Response:
        seconds = self._timeout if timeout is None else to_seconds(timeout, "timeout")
        return call_unary(self._connection, method, request, timeout=seconds, max_attempts=self._max_attempts)


def connect(address: str, *, timeout: float = 5.0, max_attempts: int = 5, **options: Unpack[ConnectOptions]) -> Client:
    """A client for a server at ``host:port``, ``[v6]:port`` or ``unix:PATH``; nothing is sent before the first call.

    ``timeout`` (seconds) and ``max_attempts`` are of a unary call; the other options are ConnectOptions.
    """
    return Client(address, timeout=timeout, max_attempts=max_attempts, **options)


def open(
    address: str,
    names: Iterable[str],
    *,
    timeout: float = 10.0,
    view: View = "ALL_ENABLED",
    cache_path: PathLike | None = None,
    cache_key: bytes | None = None,
    **options: Unpack[ConnectOptions],
) -> Secrets:
    """``connect`` and ``Client.open`` in one call; closing the set closes the client."""
    client = Client(address, **options)
    try:
        opened = client.open(names, timeout=timeout, view=view, cache_path=cache_path, cache_key=cache_key)
    except BaseException:
        client.close()
        raise
    opened.also_closing(client.close)
    return opened


def _optional(value: int | None, what: str) -> int | None:
    return None if value is None else to_number(value, what)


def _request_id(given: str | None) -> str:
    return given or secrets.token_hex(16)


def _all_pages(page: Callable[[str], Page[T]]) -> Iterator[T]:
    token = ""
    while True:
        one = page(token)
        yield from one.items
        token = one.next_page_token
        if not token:
            return

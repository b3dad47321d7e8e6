"""The cache file of clients/README.md, section 7: lets a program start while the server is down."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._arguments import MAX_NUMBER, View, to_names
from ._errors import SlotsError, invalid_argument
from ._log import logger
from ._replica import Snapshot
from ._state import AbsentReason, SecretState, SlotRecord
from ._tls import PathLike
from ._value import SecretValue
from ._worker import SerialWorker

_MAGIC = b"SSCACHE1"
_NONCE = 12
_PROGRESS_EVERY = 60.0
_ABSENT: Mapping[str, AbsentReason | None] = {
    "": None,
    "NOT_EXISTING": "NOT_EXISTING",
    "NO_ENABLED_SLOT": "NO_ENABLED_SLOT",
}


class CacheFile:
    """One file for a set. Writes are atomic, one at a time, the newest snapshot wins; a failed one is a warning."""

    def __init__(self, path: PathLike, key: bytes, view: View) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise SlotsError(
                "FAILED_PRECONDITION", "the cache needs cryptography: pip install 'secretslots[cache]'"
            ) from error
        if len(key) != 32:
            raise invalid_argument("the cache key must be 32 bytes")
        self._path = Path(path)
        self._view = view
        self._aead = AESGCM(key)
        self._worker = SerialWorker("secretslots-cache")
        self._writing = threading.Lock()
        self._newest: Snapshot | None = None
        self._written: Snapshot | None = None
        self._written_at = 0.0

    def load(self, names: tuple[str, ...], view: View) -> Snapshot | None:
        """What the file holds of the names; None without a file, or when it can't be read (a warning)."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._unreadable(type(error).__name__)
            return None
        try:
            payload = self._open(data)
            snapshot = _decode(payload)
        except Exception as error:
            # Not its text: that may quote what was decrypted.
            self._unreadable(type(error).__name__)
            return None
        same_view = payload["view"] == view
        exact = same_view and set(snapshot.states) == set(names)
        states = {name: state for name, state in snapshot.states.items() if same_view and name in names}
        return Snapshot(snapshot.epoch, snapshot.revision, snapshot.resume_token if exact else "", states)

    def offer(self, snapshot: Snapshot, *, soon: bool) -> None:
        """Takes a newer snapshot, to be written soon, or else once a minute."""
        self._newest = snapshot
        if soon or time.monotonic() - self._written_at >= _PROGRESS_EVERY:
            self._worker.submit(self.flush)

    def flush(self) -> None:
        """Writes what is unwritten."""
        with self._writing:
            snapshot = self._newest
            if snapshot is None or snapshot == self._written:
                return
            self._written_at = time.monotonic()
            try:
                self._replace(_seal(self._aead, _encode(snapshot, self._view)))
                self._written = snapshot
            except OSError as error:
                logger.warning("the cache %s could not be written: %s", self._path, error.strerror)

    def _open(self, data: bytes) -> dict[str, Any]:
        if len(data) < len(_MAGIC) + _NONCE + 16 or not data.startswith(_MAGIC):
            raise ValueError("not a cache file")
        nonce, sealed = data[len(_MAGIC) :][:_NONCE], data[len(_MAGIC) + _NONCE :]
        payload = json.loads(self._aead.decrypt(nonce, sealed, _MAGIC))
        if payload["version"] != "1" or payload["view"] not in ("ALL_ENABLED", "CURRENT"):
            raise ValueError("not a payload of version 1")
        return dict(payload)

    def _unreadable(self, why: str) -> None:
        logger.warning("CACHE_UNREADABLE: the cache %s is not used: %s", self._path, why)

    def _replace(self, data: bytes) -> None:
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _seal(aead: Any, payload: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    sealed: bytes = aead.encrypt(nonce, payload, _MAGIC)
    return _MAGIC + nonce + sealed


def _encode(snapshot: Snapshot, view: View) -> bytes:
    payload = {
        "version": "1",
        "view": view,
        "epoch": snapshot.epoch,
        "revision": str(snapshot.revision),
        "resumeToken": snapshot.resume_token,
        "savedAt": str(int(time.time())),
        "secrets": {
            name: {
                "revision": str(state.revision),
                "absent": state.absent or "",
                "slots": [_encode_slot(record) for record in state.records],
            }
            for name, state in snapshot.states.items()
        },
    }
    return json.dumps(payload).encode()


def _encode_slot(record: SlotRecord) -> dict[str, Any]:
    seconds, nanos = divmod(record.create_time_ns or 0, 10**9)
    slot: dict[str, Any] = {
        "slot": str(record.slot),
        "revision": str(record.commit),
        "createTime": "" if record.create_time_ns is None else f"{seconds}.{nanos:09}",
    }
    if record.value is None:
        slot["failed"] = True
    else:
        slot["value"] = base64.b64encode(record.value.bytes()).decode()
    return slot


def _decode(payload: dict[str, Any]) -> Snapshot:
    epoch = str(payload["epoch"])
    states = {}
    for name in to_names(payload["secrets"]):
        secret = payload["secrets"][name]
        records = tuple(map(_decode_slot, secret["slots"]))
        numbers = [record.slot for record in records]
        absent = _ABSENT[secret["absent"]]
        if numbers != sorted(set(numbers)) or bool(records) == bool(absent):
            raise ValueError("slots that do not ascend, or an absence beside slots")
        states[name] = SecretState(name, epoch, _number(secret["revision"]), absent, records)
    return Snapshot(epoch, _number(payload["revision"]), str(payload["resumeToken"]), states)


def _decode_slot(slot: dict[str, Any]) -> SlotRecord:
    value = None if slot.get("failed") else SecretValue(base64.b64decode(slot["value"], validate=True))
    return SlotRecord(_number(slot["slot"]), _number(slot["revision"]), _time(slot["createTime"]), value)


def _number(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= MAX_NUMBER:
        raise ValueError("a number out of range")
    return number


def _time(text: str) -> int | None:
    if text == "":
        return None
    seconds, nanos = text.split(".")
    return _number(seconds) * 10**9 + _number(nanos)

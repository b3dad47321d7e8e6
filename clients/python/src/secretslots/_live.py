from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from ._arguments import View, to_names, to_seconds
from ._cache import CacheFile
from ._connection import Connection
from ._errors import SlotsError, invalid_argument
from ._log import logger
from ._replica import Replica
from ._secrets import Secrets
from ._tls import PathLike
from ._watch import WatchLoop

_CACHE_AFTER = 2.0
_FATAL_AT_OPEN = frozenset({"PERMISSION_DENIED", "INVALID_ARGUMENT", "UNIMPLEMENTED"})


class LiveSecrets(Secrets):
    """A set that follows a server."""

    def __init__(self, connection: Connection, names: tuple[str, ...], view: View, cache: CacheFile | None) -> None:
        super().__init__(names)
        self._cache = cache
        start = cache.load(names, view) if cache else None
        self._replica = Replica(names, start)
        self._publish(self._replica.states.values())
        self._from_cache = start is not None
        self._complete_cache = self._all_resolve()
        self._condition = threading.Condition()
        self._heard = False
        self._refused: SlotsError | None = None
        self._ended: SlotsError | None = None
        self._unauthenticated = 0
        self._loop = WatchLoop(
            connection, names, view, self._replica, on_caught_up=self._caught_up, on_ended=self._stream_ended
        )
        self._loop.start()

    def age(self) -> float | None:
        return self._loop.age()

    def stale(self) -> bool:
        return self._from_cache and not self._heard

    def wait(self, timeout: float) -> None:
        """Returns when every name has a value; raises what ends the waiting otherwise."""
        begun = time.monotonic()
        with self._condition:
            while not self._ready(time.monotonic() - begun, timeout):
                if self._refused is not None:
                    raise self._refused
                waited = time.monotonic() - begun
                if waited >= timeout:
                    raise self._missing()
                enough = _CACHE_AFTER if self._complete_cache and waited < _CACHE_AFTER else timeout
                self._condition.wait(min(enough, timeout) - waited)
        if self._cache and self._heard:
            self._cache.flush()

    def _ready(self, waited: float, timeout: float) -> bool:
        if self._refused is not None or not self._all_resolve():
            return False
        if self._heard:
            return True
        away = self._ended is not None and self._ended.code == "UNAVAILABLE"
        return self._complete_cache and (away or waited >= min(_CACHE_AFTER, timeout))

    def _all_resolve(self) -> bool:
        return all(handle.state().top is not None for handle in self._handles.values())

    def _missing(self) -> SlotsError:
        missing = [handle.state() for handle in self._handles.values() if handle.state().top is None]
        contact = f"no contact with the server ({self._ended})" if self._ended else "no answer from the server"
        reasons = {"NOT_EXISTING": "does not exist", "NO_ENABLED_SLOT": "has no enabled slot", None: "is damaged"}
        why = [f"{state.name}: {reasons[state.absent] if self._heard else contact}" for state in missing]
        return SlotsError(
            "DEADLINE_EXCEEDED",
            f"no value for {'; '.join(why)}",
            reason="SECRETS_MISSING",
            metadata={"missing": ",".join(state.name for state in missing)},
        )

    def _stop(self) -> None:
        self._loop.close()
        if self._cache:
            self._cache.flush()

    # Called by the stream's thread.

    def _caught_up(self, synced: bool) -> None:
        if self._cache:
            self._cache.offer(self._replica.snapshot(), soon=synced)
        with self._condition:
            if synced:
                self._publish(self._replica.states.values())
            self._heard = True
            self._ended = None
            self._unauthenticated = 0
            self._condition.notify_all()

    def _stream_ended(self, error: SlotsError | None) -> None:
        with self._condition:
            before, self._ended = self._ended, error or SlotsError("UNAVAILABLE", "the server ended the stream")
            if before is None or (before.code, before.reason) != (self._ended.code, self._ended.reason):
                logger.warning("the stream of secrets ended and is opened again: %s", self._ended)
            self._unauthenticated = self._unauthenticated + 1 if self._ended.code == "UNAUTHENTICATED" else 0
            refused = self._ended.code in _FATAL_AT_OPEN and self._ended.reason != "BAD_RESUME_TOKEN"
            if refused or self._unauthenticated == 2 or self._ended.reason == "CLIENT_CLOSED":
                self._refused = self._ended
            self._condition.notify_all()


def open_secrets(
    connection: Connection,
    names: Iterable[str],
    *,
    timeout: float,
    view: View,
    cache_path: PathLike | None,
    cache_key: bytes | None,
) -> Secrets:
    """Opens a set; a failed one leaves no stream and no thread behind."""
    checked = to_names(names)
    seconds = to_seconds(timeout, "timeout")
    if view not in ("ALL_ENABLED", "CURRENT"):
        raise invalid_argument(f"view must be ALL_ENABLED or CURRENT, not {view!r}")
    if (cache_path is None) != (cache_key is None):
        raise invalid_argument("cache_path and cache_key go together")
    cache = None if cache_path is None or cache_key is None else CacheFile(cache_path, cache_key, view)
    live = LiveSecrets(connection, checked, view, cache)
    try:
        live.wait(seconds)
    except BaseException:
        live.close()
        raise
    return live

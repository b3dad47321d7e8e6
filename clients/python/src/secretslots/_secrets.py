from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ._errors import not_declared
from ._handle import SecretHandle
from ._state import SecretState

if TYPE_CHECKING:
    from typing_extensions import Self


class Secrets:
    """The handles that share one stream. Made by ``Client.open``; handles go on answering after ``close``."""

    def __init__(self, names: Iterable[str]) -> None:
        self._handles = {name: SecretHandle(SecretState(name, "", 0, "NOT_EXISTING", ())) for name in names}
        self._closers: list[Callable[[], None]] = []
        self._close_lock = threading.Lock()
        self.closed = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._handles)

    def handle(self, name: str) -> SecretHandle:
        """The handle of a name declared at open; INVALID_ARGUMENT (NAME_NOT_DECLARED) for any other."""
        handle = self._handles.get(name)
        if handle is None:
            raise not_declared(name)
        return handle

    def __getitem__(self, name: str) -> SecretHandle:
        return self.handle(name)

    def age(self) -> float | None:
        """Seconds since the server was last heard, by the monotonic clock; None when never."""
        raise NotImplementedError

    def stale(self) -> bool:
        """True while the values come from the cache and the server has not said more since open."""
        raise NotImplementedError

    def also_closing(self, close: Callable[[], None]) -> None:
        """Adds what is to be closed after the set."""
        self._closers.append(close)

    def close(self) -> None:
        """Ends the stream, the callbacks and what was derived. Closing again does nothing."""
        with self._close_lock:
            if self.closed:
                return
            self.closed = True
        self._stop()
        for handle in self._handles.values():
            handle._release()
        for close in self._closers:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._handles)})"

    def _stop(self) -> None:
        """Ends what feeds the handles."""

    def _publish(self, states: Iterable[SecretState]) -> None:
        """Gives the handles their new states: all of them, before the first callback hears of any."""
        tells = []
        for state in states:
            handle = self._handles[state.name]
            if state is not handle.state():
                tells.append(handle._publish(state))
        for tell in tells:
            tell()

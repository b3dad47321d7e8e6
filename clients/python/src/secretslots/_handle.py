from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ._derived import Derived
from ._errors import where_raised
from ._log import logger
from ._state import SecretState, same_current
from ._version import SecretVersion
from ._worker import SerialWorker

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SecretChange:
    """An applied change of one secret."""

    name: str
    previous: SecretState
    current: SecretState
    #: Whether ``current()`` answers something else than before: other slot, bytes, failure or absence.
    current_changed: bool


class Subscription(Protocol):
    def deliver(self, change: SecretChange) -> None: ...

    def end(self) -> None: ...


class SecretHandle:
    """The always-newest state of one secret.

    Reads are in memory: they never wait, take no lock, and never fail for the server's absence. Any thread may read.
    """

    __slots__ = ("_derived", "_lock", "_state", "_subscriptions", "name")

    def __init__(self, initial: SecretState) -> None:
        self.name = initial.name
        self._state = initial
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] | None = []
        self._derived: list[Derived[object]] = []

    def current(self) -> SecretVersion:
        """The value in the largest slot. NOT_FOUND when the server said so, DATA_LOSS when that slot does not open."""
        state = self._state
        return state.top or state.current()

    def effective_at(self, at: int) -> SecretVersion:
        """The value in the largest slot at or below ``at``. Errors as ``current``."""
        return self._state.effective_at(at)

    def acceptable(self, t: int, overlap: int) -> list[SecretVersion]:
        """What a verifier should accept around a roll-over.

        Every value effective somewhere in [t - overlap, t + overlap], largest slot first. Empty when there is none.
        """
        return self._state.acceptable(t, overlap)

    def state(self) -> SecretState:
        """The whole state, absent or not."""
        return self._state

    def on_change(self, callback: Callable[[SecretChange], object]) -> Callable[[], None]:
        """Calls back once for each applied change, in order, one at a time, on a thread of its own.

        Not called for the state of now. Gives the function that ends it. An exception of the callback is logged.
        """
        return self._subscribe(_Callback(self.name, callback))

    def changes(self) -> Changes:
        """An iterator over the applied changes from now on; it waits for the next one, and ends with the set."""
        waiting = _Queue()
        return Changes(waiting, self._subscribe(waiting))

    def derived(self, build: Callable[[SecretVersion], T], close: Callable[[T], object] | None = None) -> Derived[T]:
        """A resource built from the current version, and rebuilt when its slot or bytes change.

        The new one is built and put in place, then the old one closed. When building fails the old one stays, and
        building is tried again. The first build runs here, and its error is the caller's.
        """
        derived = Derived(self, build, close)
        with self._lock:
            self._derived = [*(one for one in self._derived if not one.closed), derived]  # type: ignore[list-item]
        return derived

    def __repr__(self) -> str:
        return f"SecretHandle({self.name!r}, revision={self._state.revision})"

    def _subscribe(self, subscription: Subscription) -> Callable[[], None]:
        def unsubscribe() -> None:
            with self._lock:
                if self._subscriptions is not None and subscription in self._subscriptions:
                    self._subscriptions.remove(subscription)
            subscription.end()

        with self._lock:
            open_ = self._subscriptions is not None
            if self._subscriptions is not None:
                self._subscriptions.append(subscription)
        if not open_:
            subscription.end()
        return unsubscribe

    # For the set that owns the handle.

    def _publish(self, state: SecretState) -> Callable[[], None]:
        """Gives the handle its next state, and what then tells those that subscribed before it."""
        with self._lock:
            previous, self._state = self._state, state
            told = list(self._subscriptions or ())
        if not told:
            return _nothing

        change = SecretChange(self.name, previous, state, not same_current(previous, state))

        def tell() -> None:
            for subscription in told:
                subscription.deliver(change)

        return tell

    def _release(self) -> None:
        """Ends the subscriptions and closes what was derived."""
        with self._lock:
            ended, self._subscriptions = self._subscriptions or [], None
        for subscription in ended:
            subscription.end()
        for derived in self._derived:
            derived.close()


class _Callback:
    def __init__(self, name: str, callback: Callable[[SecretChange], object]) -> None:
        self._name = name
        self._callback = callback
        self._worker = SerialWorker(f"secretslots-change-{name}")

    def deliver(self, change: SecretChange) -> None:
        self._worker.submit(lambda: self._call(change))

    def end(self) -> None:
        self._worker.stop()

    def _call(self, change: SecretChange) -> None:
        try:
            self._callback(change)
        except Exception as error:
            logger.warning('a callback of "%s" failed: %s', self._name, where_raised(error))


class _Queue:
    def __init__(self) -> None:
        self.changes: queue.SimpleQueue[SecretChange | None] = queue.SimpleQueue()

    def deliver(self, change: SecretChange) -> None:
        self.changes.put(change)

    def end(self) -> None:
        self.changes.put(None)


class Changes(Iterator[SecretChange]):
    """The changes of one secret as they are applied."""

    def __init__(self, waiting: _Queue, unsubscribe: Callable[[], None]) -> None:
        self._waiting = waiting
        self._unsubscribe = unsubscribe

    def close(self) -> None:
        """Ends the iteration, from any thread."""
        self._unsubscribe()

    def __next__(self) -> SecretChange:
        change = self._waiting.changes.get()
        if change is None:
            self._waiting.end()  # whoever asks again is told again
            raise StopIteration
        return change

    def __del__(self) -> None:
        # A loop that was left must not leave a queue that grows.
        self._unsubscribe()


def _nothing() -> None:
    pass

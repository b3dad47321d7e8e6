from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from ._backoff import backoff
from ._errors import where_raised
from ._log import logger
from ._version import SecretVersion
from ._worker import SerialWorker

if TYPE_CHECKING:
    from ._handle import SecretHandle

T = TypeVar("T")


class Derived(Generic[T]):
    """A resource that follows a secret: there is always one that works. Made by ``SecretHandle.derived``."""

    def __init__(
        self,
        handle: SecretHandle,
        build: Callable[[SecretVersion], T],
        close: Callable[[T], object] | None,
    ) -> None:
        self._handle = handle
        self._build = build
        self._close_resource = close
        self._worker = SerialWorker(f"secretslots-derived-{handle.name}")
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self.closed = False
        self._built_from = handle.current()
        self._resource = build(self._built_from)
        self._unsubscribe = handle._subscribe(self)
        # A change between the build and the subscription is seen by this.
        self._worker.submit(self._follow)

    def get(self) -> T:
        """The newest resource that could be built."""
        return self._resource

    def close(self) -> None:
        """Ends following and closes the resource."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            last = self._resource
        self._worker.stop()
        self._changed.set()
        self._unsubscribe()
        self._discard(last)

    def __enter__(self) -> Derived[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Derived({self._handle.name!r})"

    # The subscription's side. Each change wakes the one worker, which looks at what is the newest by then.

    def deliver(self, _change: object) -> None:
        self._changed.set()
        self._worker.submit(self._follow)

    def end(self) -> None:
        pass

    def _wanted(self) -> SecretVersion | None:
        """The version to build from; None while the resource is what it should be."""
        top = self._handle.state().top
        if top is None or (top.slot == self._built_from.slot and top.value == self._built_from.value):
            return None
        return top

    def _follow(self) -> None:
        failures = 0
        while not self.closed:
            # Cleared before the look, so that a change in between still wakes us.
            self._changed.clear()
            version = self._wanted()
            if version is None:
                return
            if self._rebuild(version):
                failures = 0
            else:
                self._changed.wait(backoff(failures))
                failures += 1

    def _rebuild(self, version: SecretVersion) -> bool:
        try:
            built = self._build(version)
        except Exception as error:
            logger.warning(
                'what is derived from "%s" was not rebuilt, the old one stays: %s', version.name, where_raised(error)
            )
            return False
        with self._lock:
            if self.closed:
                superseded = built
            else:
                superseded, self._resource, self._built_from = self._resource, built, version
        self._discard(superseded)
        return True

    def _discard(self, resource: T) -> None:
        if self._close_resource is None:
            return
        try:
            self._close_resource(resource)
        except Exception as error:
            logger.warning('what was derived from "%s" did not close: %s', self._handle.name, where_raised(error))

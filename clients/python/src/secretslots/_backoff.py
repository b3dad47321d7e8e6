from __future__ import annotations

import random
import time

from ._errors import SlotsError

_BASE = 0.1
MAX_DELAY = 10.0

_HEALTHY_AFTER = 5.0
_RECENT = 60.0
_RECENT_MAX_DELAY = 2.0
# What ended a stream does not say that the server is gone for good: these are as UNAVAILABLE.
_LIKE_UNAVAILABLE = frozenset({"UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED"})


def backoff(failures: int, cap: float = MAX_DELAY) -> float:
    """Full jitter: anything from 0 to 100 ms * 2^failures, at most ``cap`` seconds."""
    return random.uniform(0, min(cap, _BASE * 2 ** min(failures, 30)))


class Reconnect:
    """When to connect again.

    A server that was heard within the last minute and is gone is tried at least every 2 s, so that all clients are
    back within 5 s of its restart.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._opened_at = 0.0
        self._heard_at: float | None = None
        self._caught_up = False

    def age(self) -> float | None:
        """Seconds since the server was last heard, by the monotonic clock; None when never."""
        heard_at = self._heard_at
        return None if heard_at is None else time.monotonic() - heard_at

    def opened(self) -> None:
        self._opened_at = time.monotonic()
        self._caught_up = False

    def heard(self) -> None:
        self._heard_at = time.monotonic()

    def caught_up(self) -> None:
        """The stream delivered everything up to now."""
        self._caught_up = True

    def delay_after(self, error: SlotsError | None) -> float:
        """Seconds to wait after a stream that ended so (None: OK)."""
        # A stream that fails right after it caught up is not healthy: it must not be reopened ever so fast.
        if self._caught_up and time.monotonic() - self._opened_at >= _HEALTHY_AFTER:
            self._failures = 0
        away = error is None or error.code in _LIKE_UNAVAILABLE
        age = self.age()
        recent = age is not None and age < _RECENT
        delay = backoff(self._failures, _RECENT_MAX_DELAY if away and recent else MAX_DELAY)
        self._failures += 1
        asked = error.retry_delay if error is not None else None
        return max(delay, asked or 0.0)

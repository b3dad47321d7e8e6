"""Nanoseconds per read of a handle. By hand: ``python -m driver.bench``."""

from __future__ import annotations

import time
from collections.abc import Callable

from secretslots import SecretHandle
from secretslots.testing import fake

_BATCH = 10_000


def bench(handle: SecretHandle, milliseconds: int) -> tuple[float, float]:
    """Of ``current()`` and of ``effective_at(t)``, the loop and the call included."""
    top = handle.current().slot
    current, effective_at = handle.current, handle.effective_at

    def read_current() -> None:
        for _ in range(_BATCH):
            current()

    def read_effective_at() -> None:
        for _ in range(_BATCH):
            effective_at(top)

    return _nanoseconds(read_current, milliseconds), _nanoseconds(read_effective_at, milliseconds)


def _nanoseconds(batch: Callable[[], None], milliseconds: int) -> float:
    """The best of the batches that fit: what the read costs, not what the machine does beside it."""
    end = time.monotonic() + milliseconds / 1000
    best = float("inf")
    while True:
        begun = time.perf_counter_ns()
        batch()
        best = min(best, (time.perf_counter_ns() - begun) / _BATCH)
        if time.monotonic() >= end:
            return best


if __name__ == "__main__":
    with fake({"bench/key": {slot: f"value {slot}" for slot in range(10)}}) as secrets:
        current_ns, effective_at_ns = bench(secrets["bench/key"], 1000)
    print(f"current() {current_ns:.1f} ns, effective_at(t) of 10 slots {effective_at_ns:.1f} ns")

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from secretslots import SecretVersion


class Resource:
    """What is derived: a copy of the value that knows whether it was closed."""

    @dataclass
    class Book:
        """What happened to all resources of one derived."""

        fail_on: bytes | None
        builds: int = 0
        closed: list[bytes] = field(default_factory=list)
        faults: list[str] = field(default_factory=list)
        building: threading.Lock = field(default_factory=threading.Lock)

    def __init__(self, book: Book, version: SecretVersion) -> None:
        if not book.building.acquire(blocking=False):
            book.faults.append("built while another builds")
            raise RuntimeError("built while another builds")
        try:
            self.value = version.value.bytes()
            if self.value == book.fail_on:
                raise RuntimeError("told to fail")
            self._book = book
            self._closed = False
            book.builds += 1
        finally:
            book.building.release()

    def close(self) -> None:
        if self._closed:
            self._book.faults.append("closed twice")
        self._closed = True
        self._book.closed.append(self.value)

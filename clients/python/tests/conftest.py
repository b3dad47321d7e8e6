from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from scripted_server import BOUND, ScriptedServer

import secretslots

Eventually = Callable[..., None]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[secretslots.Client]:
    with secretslots.connect(server.address, token="tok") as connected:
        yield connected


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a condition holds, at most 20 s."""

    def wait(condition: Callable[[], object], what: str = "the condition") -> None:
        deadline = time.monotonic() + BOUND
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true"
            time.sleep(0.005)

    return wait


@pytest.fixture(autouse=True)
def no_thread_left(eventually: Eventually) -> Iterator[None]:
    """A closed set or client leaves no thread behind."""
    yield
    eventually(
        lambda: not [t for t in threading.enumerate() if t.name.startswith("secretslots-")], "the end of our threads"
    )

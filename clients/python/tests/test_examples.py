"""Starts the examples as a user would, against a server whose secret rotates meanwhile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest
from scripted_server import BOUND, ScriptedServer, Stream, begin, slot, synced

from secretslots_stubs.v1 import secret_service_pb2 as pb

EXAMPLES = Path(__file__).parent.parent / "examples"


class Program:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._more = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def has(self, pattern: str) -> bool:
        with self._more:
            return any(re.search(pattern, line) for line in self._lines)

    def line(self, pattern: str) -> re.Match[str]:
        """The first line that holds the pattern."""
        deadline = time.monotonic() + BOUND
        with self._more:
            while True:
                for line in self._lines:
                    if found := re.search(pattern, line):
                        return found
                left = deadline - time.monotonic()
                assert left > 0, f"no line {pattern!r} in {self._lines}"
                self._more.wait(left)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more:
                self._lines.append(line)
                self._more.notify_all()


@contextmanager
def running(server: ScriptedServer, *arguments: str, cwd: Path) -> Iterator[Program]:
    env = {**os.environ, "SLOTS_ADDRESS": server.address, "SLOTS_TOKEN_FILE": "admin.token", "PORT": "0"}
    (cwd / "admin.token").write_text("tok\n")
    (cwd / "value").write_text("x")
    with (
        (cwd / "value").open() as value,
        subprocess.Popen(
            [sys.executable, "-u", *arguments],
            cwd=cwd,
            env=env,
            stdin=value,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            yield Program(process)
        finally:
            process.kill()


def first(server: ScriptedServer, name: str, number: int, value: str) -> Stream:
    stream = server.next_stream()
    assert (list(stream.request.names), stream.authorization) == ([name], "Bearer tok")
    stream.send(begin(name), slot(name, number, value, 1), synced(1))
    return stream


def test_five_lines(server: ScriptedServer, tmp_path: Path) -> None:
    text = (EXAMPLES / "five_lines.py").read_text()
    assert len([line for line in text.splitlines() if line]) == 5
    text = text.replace("127.0.0.1:50051", server.address).replace("data/admin.token", "admin.token")
    with running(server, "-c", text, cwd=tmp_path) as program:
        stream = first(server, "app/db", 0, "hunter2")
        program.line("slot 0 is current")
        # Until the loop over the changes has begun, a rotation is only seen by the next read.
        revision = 1
        while not program.has(r"rotated to slot \d+ with the value \[secret\]"):
            revision += 1
            assert revision < BOUND / 0.02
            stream.send(slot("app/db", revision, "hunter3", revision), synced(revision))
            time.sleep(0.02)


def test_database_pool(server: ScriptedServer, tmp_path: Path) -> None:
    with running(server, str(EXAMPLES / "database_pool.py"), cwd=tmp_path) as program:
        stream = first(server, "examples/db", 0, "one.db")
        program.line("0 tables in the database of slot 0")
        stream.send(slot("examples/db", 1, "no/such/folder.db", 2), synced(2))
        stream.send(slot("examples/db", 2, "two.db", 3), synced(3))
        program.line("0 tables in the database of slot 2")


def test_jwt_service(server: ScriptedServer, tmp_path: Path) -> None:
    with running(server, str(EXAMPLES / "jwt_service.py"), cwd=tmp_path) as program:
        stream = first(server, "examples/jwt-key", 1_700_000_000, "1" * 32)
        origin = program.line(r"running on (http://\S+)")[1]

        def ask(method: str, path: str, token: str = "") -> dict[str, str]:
            headers = {"authorization": f"Bearer {token}"}
            request = urllib.request.Request(f"{origin}{path}", method=method, headers=headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=BOUND) as response:  # noqa: S310
                answer: dict[str, str] = json.load(response)
                return answer

        before = ask("POST", "/login/ada")["token"]
        assert ask("GET", "/me", before) == {"name": "ada"}
        rolled = int(time.time()) + 1
        stream.send(slot("examples/jwt-key", rolled, "2" * 32, 2), synced(2))
        deadline = time.monotonic() + BOUND
        while issued_at(after := ask("POST", "/login/grace")["token"]) < rolled:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert ask("GET", "/me", after) == {"name": "grace"}
        assert ask("GET", "/me", before) == {"name": "ada"}
        for wrong in ("nonsense", before[:-2] + "AA"):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                ask("GET", "/me", wrong)


def test_put(server: ScriptedServer, tmp_path: Path) -> None:
    server.answer = lambda _, request: pb.PutSlotResponse(name=request.name, slot=request.slot, current_slot=7)
    with running(server, str(EXAMPLES / "put.py"), "app/db", "3", cwd=tmp_path) as program:
        program.line("app/db has slot 3, and 7 is current")
    assert server.calls[0][1].value == b"x"


def issued_at(token: str) -> int:
    return int(jwt.decode(token, options={"verify_signature": False})["iat"])

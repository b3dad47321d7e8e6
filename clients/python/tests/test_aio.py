from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from scripted_server import BOUND, ScriptedServer, begin, slot, synced
from test_unary import value_response

import secretslots
from secretslots import SecretVersion, SlotsError, aio
from secretslots.testing import fake


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, BOUND))


def test_a_set_and_a_call(server: ScriptedServer) -> None:
    server.answer = lambda *_: value_response()

    async def main() -> None:
        def serve() -> None:
            server.next_stream().send(begin("a"), slot("a", 0, "x", 1), synced(1))

        threading.Thread(target=serve).start()
        async with aio.connect(server.address, token="tok") as client, await client.open(["a"]) as secrets:
            assert secrets["a"].current().value.text() == "x"
            assert (await client.get_secret("a")).slot == 3
            server.answer = server._unimplemented
            with pytest.raises(SlotsError, match="UNIMPLEMENTED"):
                await client.get_server_info()

    run(main())


def test_changes_and_derived_run_on_the_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        faked = fake({"db": "one"})
        closed: list[str] = []

        async def build(version: SecretVersion) -> str:
            assert asyncio.get_running_loop() is loop
            return version.value.text()

        async def close(resource: str) -> None:
            closed.append(resource)

        secrets = aio.AsyncSecrets(faked)
        changes = secrets["db"].changes()
        derived = await secrets["db"].derived(build, close)
        faked.rotate("db", "two")
        assert (await anext(changes)).current.current().value.text() == "two"
        while closed != ["one"]:
            await asyncio.sleep(0.005)
        assert derived.get() == "two"
        await secrets.close()
        assert closed == ["one", "two"]
        assert [change async for change in changes] == []

    run(main())


def test_a_cancelled_open_leaves_nothing_behind(server: ScriptedServer) -> None:
    async def main() -> None:
        opening = asyncio.create_task(aio.open(server.address, ["a"], timeout=BOUND))
        stream = await asyncio.to_thread(server.next_stream)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await asyncio.to_thread(stream.wait_gone)

    run(main())


def test_one_call_form(server: ScriptedServer) -> None:
    async def main() -> None:
        def serve() -> None:
            server.next_stream().send(begin("a"), slot("a", 0, "x", 1), synced(1))

        threading.Thread(target=serve).start()
        async with await aio.open(server.address, ["a"], token="tok") as secrets:
            assert secrets["a"].effective_at(9).value.text() == "x"

    run(main())
    assert isinstance(aio.connect("localhost:1")._client, secretslots.Client)

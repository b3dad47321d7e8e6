"""Handles over a real channel, against a scripted server."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import Eventually
from scripted_server import (
    BOUND,
    ScriptedServer,
    Stream,
    absent,
    begin,
    failed,
    history_reset,
    progress,
    removed,
    slot,
    synced,
)

import secretslots
from secretslots import SecretChange, Secrets, SlotsError
from secretslots._live import LiveSecrets

KEY = bytes(range(32))


def opened(
    client: secretslots.Client,
    server: ScriptedServer,
    *messages: object,
    names: tuple[str, ...] = ("a",),
    **options: object,
) -> tuple[Secrets, Stream]:
    """Opens a set against a stream that begins with the messages."""
    found: list[Secrets | SlotsError] = []

    def run() -> None:
        try:
            found.append(client.open(list(names), **options))  # type: ignore[arg-type]
        except SlotsError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    stream = server.next_stream()
    stream.send(*messages)  # type: ignore[arg-type]
    thread.join(BOUND)
    assert isinstance(found[0], Secrets), found
    return found[0], stream


FIRST = (begin("a"), slot("a", 0, "x", 1), synced(1))


def test_open_asks_for_the_names_and_the_view_with_the_token(
    client: secretslots.Client, server: ScriptedServer
) -> None:
    secrets, stream = opened(client, server, *FIRST, names=("a", "a"))
    assert list(stream.request.names) == ["a"]
    assert stream.request.allow_missing
    assert stream.authorization == "Bearer tok"
    assert secrets["a"].current().value.text() == "x"
    assert secrets.age() is not None
    assert not secrets.stale()


def test_a_change_is_seen_and_told_once(
    client: secretslots.Client, server: ScriptedServer, eventually: Eventually
) -> None:
    secrets, stream = opened(client, server, *FIRST)
    seen: list[SecretChange] = []
    changes = secrets["a"].changes()
    secrets["a"].on_change(seen.append)
    stream.send(slot("a", 1, "y", 2), synced(2), progress(3), slot("a", 1, "y", 4), removed("a", 0, 4), synced(4))
    assert [next(changes).current.revision, next(changes).current.revision] == [2, 4]
    eventually(lambda: len(seen) == 2)
    assert [change.current_changed for change in seen] == [True, False]
    assert seen[0].previous.current().value.text() == "x"
    secrets.close()
    assert list(changes) == []
    assert secrets["a"].current().value.text() == "y"


def test_all_names_are_new_before_the_first_callback(client: secretslots.Client, server: ScriptedServer) -> None:
    secrets, stream = opened(client, server, *FIRST[:2], begin("b"), slot("b", 0, "x", 1), synced(1), names=("a", "b"))
    seen: list[str] = []
    done = threading.Event()

    def look(_: SecretChange) -> None:
        seen.append(secrets["b"].current().value.text())
        done.set()

    secrets["a"].on_change(look)
    stream.send(slot("a", 1, "y", 2), slot("b", 1, "y", 2), synced(2))
    assert done.wait(BOUND)
    assert seen == ["y"]


def test_a_slow_or_failing_callback_delays_neither_values_nor_others(
    client: secretslots.Client, server: ScriptedServer, eventually: Eventually
) -> None:
    secrets, stream = opened(client, server, *FIRST)
    release = threading.Event()
    order: list[int] = []

    def slow(change: SecretChange) -> None:
        release.wait(BOUND)
        order.append(change.current.revision)
        raise RuntimeError

    quick: list[int] = []
    secrets["a"].on_change(slow)
    unsubscribe = secrets["a"].on_change(lambda change: quick.append(change.current.revision))
    stream.send(slot("a", 1, "y", 2), synced(2), slot("a", 2, "z", 3), synced(3))
    eventually(lambda: quick == [2, 3])
    assert secrets["a"].current().value.text() == "z"
    assert order == []
    release.set()
    eventually(lambda: order == [2, 3])
    unsubscribe()
    stream.send(slot("a", 3, "w", 4), synced(4))
    eventually(lambda: order == [2, 3, 4])
    assert quick == [2, 3]


@pytest.mark.parametrize("cut", ["end", "UNAVAILABLE", "INTERNAL", "CANCELLED", "UNAUTHENTICATED", "PERMISSION_DENIED"])
def test_a_cut_stream_is_resumed_by_token(
    client: secretslots.Client,
    server: ScriptedServer,
    eventually: Eventually,
    cut: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    secrets, stream = opened(client, server, *FIRST)
    if cut == "end":
        stream.end()
    else:
        stream.fail(grpc.StatusCode[cut], "DRAINING")
    again = server.next_stream()
    assert "opened again" in caplog.text
    assert again.request.resume_token == "t1"
    assert secrets["a"].current().value.text() == "x"
    again.send(slot("a", 1, "y", 2), synced(2))
    eventually(lambda: secrets["a"].current().value.text() == "y")


def test_a_refused_token_is_forgotten_at_once(client: secretslots.Client, server: ScriptedServer) -> None:
    secrets, stream = opened(client, server, *FIRST)
    stream.end()
    server.next_stream().fail(grpc.StatusCode.INVALID_ARGUMENT, "BAD_RESUME_TOKEN")
    again = server.next_stream()
    assert again.request.resume_token == ""
    assert secrets["a"].current().value.text() == "x"


def test_a_server_that_is_behind_is_left(
    client: secretslots.Client, server: ScriptedServer, eventually: Eventually
) -> None:
    secrets, stream = opened(client, server, begin("a"), slot("a", 0, "x", 9), synced(9))
    stream.end()
    behind = server.next_stream()
    behind.send(begin("a"), slot("a", 0, "old", 3), synced(5))
    behind.wait_gone()
    again = server.next_stream()
    assert again.request.resume_token == ""
    assert secrets["a"].current().value.text() == "x"
    again.send(history_reset(5), begin("a"), slot("a", 0, "restored", 3), synced(5))
    eventually(lambda: secrets["a"].current().value.text() == "restored")


def test_a_damaged_value_ends_the_stream_and_is_never_shown(client: secretslots.Client, server: ScriptedServer) -> None:
    secrets, stream = opened(client, server, *FIRST)
    damaged = slot("a", 1, "y", 2)
    damaged.slot.value = b"z"
    stream.send(damaged, synced(2))
    stream.wait_gone()
    assert server.next_stream().request.resume_token == "t1"
    assert secrets["a"].current().value.text() == "x"


def test_values_outlive_the_server_and_its_return_is_noticed(eventually: Eventually) -> None:
    first = ScriptedServer()
    with secretslots.connect(first.address) as client:
        secrets, _ = opened(client, first, *FIRST)
        first.stop()
        age = secrets.age()
        assert age is not None
        eventually(lambda: (secrets.age() or 0) > age + 0.2)
        assert secrets["a"].current().value.text() == "x"
        second = ScriptedServer(first.address)
        again = second.next_stream()
        again.send(slot("a", 1, "y", 2), synced(2))
        eventually(lambda: secrets["a"].current().value.text() == "y")
    second.stop()


def test_absence_is_typed_and_ends(client: secretslots.Client, server: ScriptedServer, eventually: Eventually) -> None:
    secrets, stream = opened(client, server, *FIRST)
    stream.send(absent("a", "NOT_EXISTING", 2), synced(2))
    eventually(lambda: secrets["a"].state().absent)
    with pytest.raises(SlotsError) as gone:
        secrets["a"].current()
    assert (gone.value.code, gone.value.reason) == ("NOT_FOUND", "SECRET_NOT_FOUND")
    stream.send(slot("a", 0, "again", 3), synced(3))
    eventually(lambda: not secrets["a"].state().absent)
    assert secrets["a"].current().value.text() == "again"


def test_open_names_what_is_missing_and_why(
    client: secretslots.Client, server: ScriptedServer, eventually: Eventually
) -> None:
    secrets = LiveSecrets(client._connection, ("c", "a", "b"), "ALL_ENABLED", None)
    server.next_stream().send(
        begin("a"), slot("a", 0, "x", 1), absent("b", "NOT_EXISTING", 0), failed("c", 0, 1), synced(1)
    )
    eventually(lambda: secrets["a"].state().top)
    with secrets, pytest.raises(SlotsError) as missing:
        secrets.wait(0.01)
    assert (missing.value.code, missing.value.reason) == ("DEADLINE_EXCEEDED", "SECRETS_MISSING")
    assert missing.value.metadata["missing"] == "c,b"
    assert "b: does not exist" in missing.value.message


def test_open_without_a_server_says_so() -> None:
    with secretslots.connect("127.0.0.1:1") as client, pytest.raises(SlotsError) as missing:
        client.open(["a"], timeout=2)
    assert missing.value.metadata == {"missing": "a"}
    assert "UNAVAILABLE" in missing.value.message


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "UNIMPLEMENTED", "INVALID_ARGUMENT"])
def test_a_server_that_says_no_ends_open_at_once(client: secretslots.Client, server: ScriptedServer, code: str) -> None:
    threading.Thread(target=lambda: server.next_stream().fail(grpc.StatusCode[code], "WHY")).start()
    with pytest.raises(SlotsError) as refused:
        client.open(["a"], timeout=BOUND)
    assert (refused.value.code, refused.value.reason) == (code, "WHY")


def test_unauthenticated_twice_ends_open_and_the_file_is_read_in_between(
    server: ScriptedServer, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(" one\n")
    seen: list[str | bytes | None] = []

    def serve() -> None:
        for _ in range(2):
            stream = server.next_stream()
            seen.append(stream.authorization)
            token_file.write_text("two")
            stream.fail(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")

    threading.Thread(target=serve).start()
    with secretslots.connect(server.address, token_file=token_file) as client, pytest.raises(SlotsError) as refused:
        client.open(["a"], timeout=BOUND)
    assert refused.value.code == "UNAUTHENTICATED"
    assert seen == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("first", [(), (begin("a"),)])
def test_a_silent_stream_is_left(
    client: secretslots.Client, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, first: tuple[Any, ...]
) -> None:
    secrets, stream = opened(client, server, *FIRST)
    monkeypatch.setattr("secretslots._watch._FIRST_MESSAGE_WITHIN", 0.1)
    monkeypatch.setattr("secretslots._watch._NEXT_MESSAGE_WITHIN", 0.1)
    stream.end()
    silent = server.next_stream()
    silent.send(*first)
    silent.wait_gone()
    server.next_stream()
    assert secrets["a"].current().value.text() == "x"


def test_a_callback_may_close_and_may_exit(
    client: secretslots.Client, server: ScriptedServer, eventually: Eventually
) -> None:
    secrets, stream = opened(client, server, *FIRST)
    calls: list[int] = []

    def leave(_: SecretChange) -> None:
        calls.append(1)
        sys.exit()

    secrets["a"].on_change(leave)
    stream.send(slot("a", 1, "y", 2), synced(2), slot("a", 2, "z", 3), synced(3))
    eventually(lambda: len(calls) == 2)
    secrets["a"].on_change(lambda _: secrets.close())
    stream.send(slot("a", 3, "w", 4), synced(4))
    stream.wait_gone()
    eventually(lambda: secrets.closed)


def test_a_loop_that_was_left_is_forgotten(client: secretslots.Client, server: ScriptedServer) -> None:
    secrets, stream = opened(client, server, *FIRST)
    changes = secrets["a"].changes()
    stream.send(slot("a", 1, "y", 2), synced(2))
    for _ in changes:
        break
    del changes
    assert secrets["a"]._subscriptions == []


def test_a_program_that_closes_nothing_ends(server: ScriptedServer) -> None:
    program = f"import secretslots; secretslots.open({server.address!r}, ['a'], token='tok'); print('end')"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        server.next_stream().send(*FIRST)
        output, errors = process.communicate(timeout=BOUND)
    assert (output, errors, process.returncode) == ("end\n", "", 0)


def test_closing_ends_the_stream_and_twice_is_once(client: secretslots.Client, server: ScriptedServer) -> None:
    secrets, stream = opened(client, server, *FIRST)
    secrets.close()
    secrets.close()
    stream.wait_gone()
    assert secrets["a"].current().value.text() == "x"


@pytest.mark.parametrize(
    "names", [[], ["a/"], ["a/../b"], ["é"], [""], ["x" * 256], [f"n{i}" for i in range(1001)], "a"]
)
def test_ill_formed_names_are_refused(client: secretslots.Client, names: list[str]) -> None:
    with pytest.raises(SlotsError) as refused:
        client.open(names)
    assert refused.value.code == "INVALID_ARGUMENT"


def test_a_name_that_was_not_declared(client: secretslots.Client, server: ScriptedServer) -> None:
    secrets, _ = opened(client, server, *FIRST)
    with pytest.raises(SlotsError) as refused:
        secrets.handle("b")
    assert (refused.value.code, refused.value.reason) == ("INVALID_ARGUMENT", "NAME_NOT_DECLARED")


def test_a_cache_starts_without_the_server_and_is_stale_until_contact(tmp_path: Path, eventually: Eventually) -> None:
    path = tmp_path / "cache"
    server = ScriptedServer()
    with secretslots.connect(server.address) as client:
        opened(client, server, *FIRST, cache_path=path, cache_key=KEY)
    server.stop()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["cache"]
    with secretslots.connect(server.address) as client:
        secrets = client.open(["a"], cache_path=path, cache_key=KEY)
        assert (secrets.stale(), secrets.age(), secrets["a"].current().value.text()) == (True, None, "x")
        back = ScriptedServer(server.address)
        stream = back.next_stream()
        assert stream.request.resume_token == "t1"
        stream.send(progress(1))
        eventually(lambda: not secrets.stale())
        assert secrets.age() is not None
    back.stop()


def test_a_cache_does_not_overrule_a_server_that_says_no(
    client: secretslots.Client, server: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "cache"
    secrets, _ = opened(client, server, *FIRST, cache_path=path, cache_key=KEY)
    secrets.close()
    threading.Thread(target=lambda: server.next_stream().fail(grpc.StatusCode.PERMISSION_DENIED)).start()
    with pytest.raises(SlotsError) as refused:
        client.open(["a"], cache_path=path, cache_key=KEY)
    assert refused.value.code == "PERMISSION_DENIED"


def test_a_cache_whose_token_is_refused_twice_does_not_end_open(
    client: secretslots.Client, server: ScriptedServer, tmp_path: Path, eventually: Eventually
) -> None:
    path = tmp_path / "cache"
    secrets, _ = opened(client, server, *FIRST, cache_path=path, cache_key=KEY)
    secrets.close()

    def serve() -> None:
        for _ in range(2):
            server.next_stream().fail(grpc.StatusCode.INVALID_ARGUMENT, "BAD_RESUME_TOKEN")
        server.next_stream().send(begin("a"), slot("a", 1, "y", 2), synced(2))

    threading.Thread(target=serve).start()
    secrets = client.open(["a"], timeout=BOUND, cache_path=path, cache_key=KEY)
    eventually(lambda: secrets["a"].current().value.text() == "y")


def test_a_silent_server_is_overtaken_by_the_cache(
    client: secretslots.Client, server: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "cache"
    secrets, _ = opened(client, server, *FIRST, cache_path=path, cache_key=KEY)
    secrets.close()
    secrets = client.open(["a"], timeout=BOUND, cache_path=path, cache_key=KEY)
    assert secrets.stale()


def test_hammered_with_cuts_resets_and_old_answers_nothing_goes_back(
    client: secretslots.Client, server: ScriptedServer, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W14 through the whole client: readers never see an older revision in an epoch, nor a failing read."""
    monkeypatch.setattr("secretslots._backoff._RECENT_MAX_DELAY", 0.05)
    secrets, stream = opened(client, server, begin("a"), slot("a", 0, "1", 1), synced(1))
    stop = threading.Event()
    wrong: list[str] = []
    told: list[tuple[str, int]] = []
    secrets["a"].on_change(lambda change: told.append((change.current.epoch, change.current.revision)))

    def read() -> None:
        last = secrets["a"].current()
        while not stop.is_set():
            version = secrets["a"].current()
            if version.epoch == last.epoch and version.revision < last.revision:
                wrong.append(f"{last.revision} then {version.revision}")
            if version.value.text() != str(version.revision):
                wrong.append(f"a mixture at {version.revision}")
            last = version
            time.sleep(0)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    revision, epoch = 1, "e1"
    for round_ in range(12):
        for _ in range(20):
            revision += 1
            stream.send(slot("a", revision, str(revision), revision, epoch=epoch), synced(revision, epoch=epoch))
        stream.end()
        stream = server.next_stream()
        if round_ % 4 == 1:  # an old answer first
            stream.send(begin("a", epoch=epoch), slot("a", 0, "2", 2, epoch=epoch), synced(2, epoch=epoch))
            stream.wait_gone()
            stream = server.next_stream()
        revision += 1
        if round_ % 4 == 3:
            epoch, revision = f"e{round_}", 1
            stream.send(history_reset(1, epoch=epoch))
        stream.send(begin("a", epoch=epoch), slot("a", revision, str(revision), revision, epoch=epoch))
        stream.send(synced(revision, epoch=epoch))
    eventually(lambda: secrets["a"].current().value.text() == str(revision))
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    eventually(lambda: told[-1] == (epoch, revision))
    assert len(told) == len(set(told))

"""Resolution, derived values and the fake; the rules of the server's own cases are in the conformance suite."""

from __future__ import annotations

import threading

import pytest
from conftest import Eventually
from scripted_server import BOUND

from secretslots import FailedSlot, SecretChange, SecretValue, SecretVersion, SlotsError
from secretslots._arguments import MAX_NUMBER
from secretslots._state import SecretState, SlotRecord
from secretslots.testing import fake


def state(*slots: tuple[int, str | None]) -> SecretState:
    records = [SlotRecord(n, 1, None, None if v is None else SecretValue(v)) for n, v in slots]
    return SecretState("a", "e", 7, None if slots else "NO_ENABLED_SLOT", records)


def texts(versions: list[SecretVersion]) -> list[str]:
    return [version.value.text() for version in versions]


def test_effective_at_is_exact_over_the_whole_range() -> None:
    found = state((0, "zero"), (2**53, "even"), (2**53 + 1, "odd"), (MAX_NUMBER, "top"))
    for at, expected in [
        (0, "zero"),
        (2**53, "even"),
        (2**53 + 1, "odd"),
        (MAX_NUMBER - 1, "odd"),
        (MAX_NUMBER, "top"),
    ]:
        assert found.effective_at(at).value.text() == expected
    assert found.current().revision == found.effective_at(0).revision == 7


@pytest.mark.parametrize("at", [-1, 2**63, 2**64, 1.0, "1", None, True])
def test_what_is_no_slot_number_is_refused(at: int) -> None:
    with pytest.raises(SlotsError) as refused:
        state((0, "x")).effective_at(at)
    assert refused.value.code == "INVALID_ARGUMENT"


def test_what_does_not_resolve_is_typed() -> None:
    for found, at, code, reason in [
        (state(), 0, "NOT_FOUND", "NO_EFFECTIVE_SLOT"),
        (state((5, "x")), 4, "NOT_FOUND", "NO_EFFECTIVE_SLOT"),
        (state((0, "x"), (5, None)), 5, "DATA_LOSS", "DATA_LOSS"),
        (SecretState("a", "e", 0, "NOT_EXISTING", ()), 1, "NOT_FOUND", "SECRET_NOT_FOUND"),
    ]:
        with pytest.raises(SlotsError) as refused:
            found.effective_at(at)
        assert (refused.value.code, refused.value.reason) == (code, reason)
    assert state((0, "x"), (5, None)).slots[1] == FailedSlot("a", 5)


@pytest.mark.parametrize(
    ("t", "overlap", "expected"),
    [
        (10, 0, ["b"]),
        (9, 0, ["a"]),
        (9, 1, ["b", "a"]),
        (20, 5, ["c", "b"]),
        (20, 100, ["c", "b", "a"]),
        (35, 0, []),
        (35, 10, ["c"]),
        (MAX_NUMBER, MAX_NUMBER, ["c", "b", "a"]),
        (0, 3, []),
    ],
)
def test_acceptable(t: int, overlap: int, expected: list[str]) -> None:
    assert texts(state((5, "a"), (10, "b"), (20, "c"), (30, None)).acceptable(t, overlap)) == expected


def test_the_fake_behaves_as_a_server(eventually: Eventually) -> None:
    secrets = fake({"a": {0: "old", 5: "new"}, "b": b""})
    told: list[SecretChange] = []
    secrets["a"].on_change(told.append)
    secrets.rotate("a", "newer")
    secrets.rotate("a", "between", 3)
    secrets.disable("a", 6)
    secrets.delete("a")
    secrets.rotate("a", "again")
    eventually(lambda: len(told) == 5)
    assert [change.current.top and change.current.top.slot for change in told] == [6, 6, 5, None, 0]
    assert [change.current_changed for change in told] == [True, False, True, True, True]
    assert told[3].current.absent == "NOT_EXISTING"
    assert [change.current.revision for change in told] == [4, 5, 6, 7, 8]
    assert (secrets.age(), secrets.stale(), secrets["a"].current().epoch) == (0.0, False, "fake")
    with pytest.raises(SlotsError, match="NAME_NOT_DECLARED"):
        secrets.rotate("c", "x")
    with pytest.raises(SlotsError, match="SLOT_NOT_FOUND"):
        secrets.disable("b", 9)


class Pool:
    """What is built of a secret, as a connection pool would be."""

    def __init__(self, version: SecretVersion, log: list[str]) -> None:
        self.password = version.value.text()
        if self.password.startswith("bad"):
            raise ConnectionError
        self._log = log
        log.append(f"open {self.password}")

    def close(self) -> None:
        self._log.append(f"close {self.password}")


def test_derived_swaps_closes_keeps_and_tries_again(eventually: Eventually) -> None:
    secrets = fake({"db": "one"})
    log: list[str] = []
    pool = secrets["db"].derived(lambda version: Pool(version, log), Pool.close)
    assert pool.get().password == "one"
    secrets.rotate("db", "two")
    eventually(lambda: log == ["open one", "open two", "close one"])
    secrets.rotate("db", "two")  # another slot, the same bytes
    eventually(lambda: log[3:] == ["open two", "close two"])
    secrets.rotate("db", "bad")
    secrets.rotate("db", "unseen", 0)
    assert pool.get().password == "two"
    secrets.disable("db", 3)
    secrets.rotate("db", "three")
    eventually(lambda: log[5:] == ["open three", "close two"])
    secrets.delete("db")
    assert pool.get().password == "three"
    secrets.close()
    assert log[7:] == ["close three"]
    pool.close()
    assert log[8:] == []


def test_a_build_that_fails_is_tried_again_while_it_is_the_newest(eventually: Eventually) -> None:
    secrets = fake({"db": "one"})
    tries: list[str] = []

    def build(version: SecretVersion) -> str:
        tries.append(version.value.text())
        if version.value.equals("two") and len(tries) < 4:
            raise ConnectionError
        return version.value.text()

    with secrets["db"].derived(build) as derived:
        secrets.rotate("db", "two")
        eventually(lambda: derived.get() == "two")
    assert tries == ["one", "two", "two", "two"]


def test_the_first_build_fails_in_the_callers_hands() -> None:
    with fake({"db": "bad"}) as secrets, pytest.raises(ConnectionError):
        secrets["db"].derived(lambda version: Pool(version, []))


def test_closing_while_a_build_runs_closes_both(eventually: Eventually) -> None:
    secrets = fake({"db": "one"})
    log: list[str] = []
    building, go_on = threading.Event(), threading.Event()

    def build(version: SecretVersion) -> Pool:
        if not version.value.equals("one"):
            building.set()
            go_on.wait(BOUND)
        return Pool(version, log)

    secrets["db"].derived(build, Pool.close)
    secrets.rotate("db", "two")
    assert building.wait(BOUND)
    secrets.close()
    go_on.set()
    eventually(lambda: log == ["open one", "close one", "open two", "close two"])


def test_warnings_name_the_place_and_not_the_text(eventually: Eventually, caplog: pytest.LogCaptureFixture) -> None:
    def fails(change: SecretChange) -> None:
        raise ValueError(change.current.current().value.text())

    with fake({"a": "x"}) as secrets:
        secrets["a"].on_change(fails)
        secrets.rotate("a", "hunter2-is-plain")
        eventually(lambda: "ValueError at" in caplog.text)
    assert "test_handles.py" in caplog.text
    assert "hunter2" not in caplog.text


def test_changes_end_for_whoever_waits() -> None:
    secrets = fake({"a": "x"})
    changes = secrets["a"].changes()
    found: list[SecretChange] = []
    reader = threading.Thread(target=lambda: found.extend(changes))
    reader.start()
    secrets.rotate("a", "y")
    secrets.close()
    reader.join(BOUND)
    assert len(found) == 1
    assert list(secrets["a"].changes()) == []

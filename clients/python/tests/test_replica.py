"""The WatchSlots state machine, without a transport (W14)."""

from __future__ import annotations

import random

import pytest
from scripted_server import absent, begin, event, failed, history_reset, progress, removed, slot, synced

from secretslots import SlotsError
from secretslots._replica import Replica
from secretslots_stubs.v1 import secret_service_pb2 as pb


def fed(*messages: pb.WatchSlotsResponse, names: tuple[str, ...] = ("a",)) -> Replica:
    replica = Replica(names)
    for message in messages:
        replica.receive(message)
    return replica


def text(replica: Replica, name: str = "a") -> str:
    return replica.states[name].current().value.text()


def test_nothing_is_applied_before_synced() -> None:
    replica = fed(begin("a"), slot("a", 0, "x", 1))
    assert replica.states == {}
    assert replica.receive(synced(3)) == "synced"
    assert text(replica) == "x"
    assert replica.states["a"].revision == 1
    assert replica.resume_token == "t3"


def test_the_slot_falls_and_the_revision_rises() -> None:
    replica = fed(begin("a"), slot("a", 0, "x", 1), slot("a", 5, "y", 2), synced(2), removed("a", 5, 3), synced(3))
    assert (replica.states["a"].current().slot, replica.states["a"].revision) == (0, 3)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([absent("a", "NOT_EXISTING", 2)], "NOT_EXISTING"),
        ([absent("a", "NO_ENABLED_SLOT", 2)], "NO_ENABLED_SLOT"),
        ([removed("a", 0, 2)], "NO_ENABLED_SLOT"),
        ([begin("a", 2)], "NOT_EXISTING"),
        ([history_reset(2)], "NOT_EXISTING"),
    ],
)
def test_absence(messages: list[pb.WatchSlotsResponse], reason: str) -> None:
    replica = fed(begin("a"), slot("a", 0, "x", 1), synced(1), *messages, synced(2))
    state = replica.states["a"]
    assert (state.absent, state.records, state.revision) == (reason, (), 2)


def test_a_value_after_absence_is_a_value() -> None:
    replica = fed(begin("a"), absent("a", "NOT_EXISTING", 0), synced(1), slot("a", 0, "", 2), synced(2))
    assert text(replica) == ""
    assert replica.states["a"].absent is None


def test_pending_dies_with_its_stream_and_what_was_applied_does_not() -> None:
    replica = fed(begin("a"), slot("a", 0, "x", 1), synced(1), slot("a", 1, "y", 2))
    replica.stream_opened()
    replica.receive(synced(2))
    assert text(replica) == "x"


def test_an_older_synced_of_the_same_epoch_is_refused_whole() -> None:
    replica = fed(begin("a"), slot("a", 0, "new", 9), synced(9))
    replica.stream_opened()
    replica.receive(begin("a"))
    replica.receive(slot("a", 0, "old", 4))
    with pytest.raises(SlotsError) as refused:
        replica.receive(synced(5))
    assert refused.value.code == "UNAVAILABLE"
    assert (text(replica), replica.resume_token) == ("new", "")


def test_an_older_event_outside_of_begin_is_ignored() -> None:
    replica = fed(begin("a"), slot("a", 0, "new", 9), synced(9))
    state = replica.states["a"]
    for older in (slot("a", 0, "old", 4), removed("a", 0, 4), failed("a", 0, 4)):
        replica.receive(older)
    replica.receive(synced(10))
    assert replica.states["a"] is state


def test_lower_revisions_are_accepted_after_a_history_reset() -> None:
    replica = fed(begin("a"), slot("a", 0, "new", 9), synced(9), history_reset(3))
    assert (text(replica), replica.resume_token) == ("new", "")
    replica.receive(begin("a"))
    replica.receive(slot("a", 0, "restored", 2))
    replica.receive(synced(3))
    assert text(replica) == "restored"


def test_another_epoch_is_a_reset_of_its_own() -> None:
    replica = fed(begin("a"), begin("b"), slot("a", 7, "old", 90), slot("b", 0, "b", 91), synced(91), names=("a", "b"))
    for message in (begin("a", epoch="e2"), slot("a", 0, "new", 2, epoch="e2"), synced(2, epoch="e2")):
        replica.receive(message)
    assert (text(replica), replica.states["a"].epoch, replica.states["a"].revision) == ("new", "e2", 2)
    assert replica.states["b"].absent == "NOT_EXISTING"


def test_a_state_that_was_rebuilt_as_it_was_is_kept() -> None:
    replica = fed(begin("a"), slot("a", 0, "x", 1), synced(1))
    state = replica.states["a"]
    for message in (history_reset(5), begin("a"), slot("a", 0, "x", 1), synced(5)):
        replica.receive(message)
    assert replica.states["a"] is state


def test_a_rebuilt_state_without_a_newer_event_has_the_revision_of_its_synced() -> None:
    replica = fed(begin("a"), slot("a", 0, "x", 1), slot("a", 5, "y", 4), synced(4))
    replica.stream_opened()
    for message in (begin("a"), slot("a", 0, "x", 1), synced(8)):
        replica.receive(message)
    assert (replica.states["a"].current().slot, replica.states["a"].revision) == (0, 8)


def test_a_failed_slot_is_not_skipped_but_the_same_commit_keeps_its_value() -> None:
    replica = fed(begin("a"), slot("a", 0, "x", 1), slot("a", 5, "y", 2), synced(2), failed("a", 5, 2), synced(3))
    assert text(replica) == "y"
    replica.receive(failed("a", 5, 4))
    replica.receive(synced(4))
    with pytest.raises(SlotsError) as refused:
        replica.states["a"].current()
    assert (refused.value.code, refused.value.metadata) == ("DATA_LOSS", {"name": "a", "slot": "5"})
    assert replica.states["a"].effective_at(4).value.text() == "x"


def test_names_not_asked_for_and_unknown_events_are_ignored() -> None:
    replica = fed(begin("a"), slot("a", 0, "x", 1), slot("z", 0, "z", 1), event(1), synced(1))
    assert list(replica.states) == ["a"]


def test_a_progress_beside_pending_changes_keeps_the_older_token() -> None:
    replica = fed(begin("a"), slot("a", 0, "x", 1), synced(1), slot("a", 1, "y", 2), progress(2))
    assert replica.resume_token == "t1"
    assert replica.receive(synced(2)) == "synced"
    assert text(replica) == "y"


def test_a_value_that_does_not_match_its_checksum_stops_the_stream() -> None:
    damaged = slot("a", 0, "x", 1)
    damaged.slot.crc32c ^= 1
    with pytest.raises(SlotsError, match="checksum"):
        fed(begin("a"), damaged)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_server_says_nothing_older_replaces_newer(seed: int) -> None:
    """W14 against a server that cuts, repeats, reorders and lies: the revision of a name never falls in an epoch."""
    random_ = random.Random(seed)
    replica = Replica(("a", "b"))
    highest: dict[str, tuple[str, int]] = {}
    resets = 0
    for _ in range(2000):
        name, number, revision = random_.choice("ab"), random_.randrange(4), random_.randrange(1, 60)
        message = random_.choice(
            [
                begin(name, revision),
                slot(name, number, str(revision), revision),
                slot(name, number, str(revision), revision),
                removed(name, number, revision),
                failed(name, number, revision),
                absent(name, "NO_ENABLED_SLOT", revision),
                synced(revision),
                synced(revision),
                progress(revision),
                history_reset(revision, epoch=f"e{resets + 1}"),
            ]
        )
        if message.WhichOneof("event") == "history_reset":
            if random_.random() < 0.9:
                continue
            resets += 1
        message.epoch = f"e{resets}"
        try:
            replica.receive(message)
        except SlotsError:
            replica.stream_opened()
        for state in replica.states.values():
            epoch, revision = highest.get(state.name, ("", 0))
            assert state.epoch != epoch or state.revision >= revision
            highest[state.name] = (state.epoch, state.revision)
            assert [record.slot for record in state.records] == sorted({record.slot for record in state.records})
            assert bool(state.records) != bool(state.absent)

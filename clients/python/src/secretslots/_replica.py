from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from secretslots_stubs.v1 import secret_service_pb2 as pb

from ._errors import SlotsError
from ._state import AbsentReason, SecretState, SlotRecord
from ._version import received_value, to_ns


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a watch can be taken up again, and everything that was applied up to there."""

    epoch: str
    revision: int
    resume_token: str
    states: Mapping[str, SecretState]


@dataclass(slots=True)
class _Pending:
    #: Starts from nothing: a begin, or a reset of the history.
    rebuilt: bool
    records: dict[int, SlotRecord] = field(default_factory=dict)
    absent: AbsentReason | None = None
    #: Largest revision among the events applied.
    revision: int = 0
    touched: bool = True

    def touch(self, revision: int) -> None:
        self.touched = True
        self.revision = max(self.revision, revision)


class Replica:
    """The WatchSlots state machine of clients/README.md, section 4.

    Collects what a stream says and applies it as one step at ``synced``. Nothing older ever replaces newer within an
    epoch (W14), unless the server said that the history was cut. One thread owns it.
    """

    def __init__(self, names: Iterable[str], start: Snapshot | None = None) -> None:
        self._names = dict.fromkeys(names)
        self.states: dict[str, SecretState] = {}
        self.resume_token = ""
        self._epoch = ""
        # What nothing may fall below; None while there is no order yet, or no longer.
        self._revision: int | None = None
        if start is not None:
            self.states = {name: state for name, state in start.states.items() if name in self._names}
            self.resume_token = start.resume_token
            self._epoch = start.epoch
            self._revision = start.revision
        self.stream_opened()

    def stream_opened(self) -> None:
        """What was pending dies with its stream."""
        self._pending: dict[str, _Pending] = {}
        # Set by a reset until its synced: every name starts from nothing.
        self._reset = False
        self._stream_epoch: str | None = None

    def snapshot(self) -> Snapshot:
        return Snapshot(self._epoch, self._revision or 0, self.resume_token, dict(self.states))

    def receive(self, message: pb.WatchSlotsResponse) -> Literal["pending", "synced", "progress"]:
        """Takes one message; after ``synced``, ``states`` is new. Raises when the stream must not be trusted."""
        kind = message.WhichOneof("event")
        if kind is None:
            return "pending"
        known = self._stream_epoch or (message.epoch if self._revision is None else self._epoch)
        if kind == "history_reset" or message.epoch != known:
            self._forget()
        self._stream_epoch = message.epoch
        if kind == "synced":
            self._apply(message)
            return "synced"
        if kind == "progress":
            self._hold_order(message.revision)
            if self._pending or self._reset:
                return "pending"  # its token would skip what is still pending
            self._keep(message)
            return "progress"
        self._collect(kind, message)
        return "pending"

    def _collect(self, kind: str, message: pb.WatchSlotsResponse) -> None:
        if kind == "begin":
            if message.begin.name in self._names:
                self._pending[message.begin.name] = _Pending(rebuilt=True)
        elif kind == "slot":
            live = message.slot
            self._put(live.name, SlotRecord(live.slot, message.revision, to_ns(live.create_time), received_value(live)))
        elif kind == "failed":
            self._put(message.failed.name, self._failed_record(message))
        elif kind == "removed":
            pending = self._pending_of(message.removed.name)
            if pending and not _is_older(pending, message.removed.slot, message.revision):
                pending.records.pop(message.removed.slot, None)
                pending.touch(message.revision)
        elif kind == "absent" and (pending := self._pending_of(message.absent.name)):
            missing = message.absent.reason == pb.ABSENT_REASON_NOT_EXISTING
            pending.records.clear()
            pending.absent = "NOT_EXISTING" if missing else "NO_ENABLED_SLOT"
            pending.touch(message.revision)

    def _put(self, name: str, record: SlotRecord) -> None:
        pending = self._pending_of(name)
        if pending is None or _is_older(pending, record.slot, record.commit):
            return
        pending.records[record.slot] = record
        pending.absent = None
        pending.touch(record.commit)

    def _pending_of(self, name: str) -> _Pending | None:
        if name not in self._names:
            return None
        pending = self._pending.get(name)
        if pending is None:
            applied = None if self._reset else self.states.get(name)
            if applied is None:
                pending = _Pending(rebuilt=True)
            else:
                records = {record.slot: record for record in applied.records}
                pending = _Pending(rebuilt=False, records=records, absent=applied.absent, touched=False)
            self._pending[name] = pending
        return pending

    def _failed_record(self, message: pb.WatchSlotsResponse) -> SlotRecord:
        """A record damaged after it was read here: the value of the same commit is still the right one."""
        applied = self.states.get(message.failed.name)
        if applied is not None and applied.epoch == message.epoch:
            for record in applied.records:
                if record.slot == message.failed.slot and record.commit == message.revision and record.value:
                    return record
        return SlotRecord(message.failed.slot, message.revision, None, None)

    def _forget(self) -> None:
        """The history is another one: order and token are worth nothing; what is applied stays readable."""
        self._pending.clear()
        self._reset = True
        self._revision = None
        self.resume_token = ""

    def _hold_order(self, revision: int) -> None:
        if self._revision is not None and revision < self._revision:
            self.resume_token = ""
            raise SlotsError(
                "UNAVAILABLE",
                "the server is behind what it said before, in the same history",
                reason="REVISION_WENT_BACK",
            )

    def _keep(self, message: pb.WatchSlotsResponse) -> None:
        self._epoch = message.epoch
        self._revision = message.revision
        self.resume_token = message.resume_token

    def _apply(self, message: pb.WatchSlotsResponse) -> None:
        self._hold_order(message.revision)
        if self._reset:
            for name in self._names:
                self._pending.setdefault(name, _Pending(rebuilt=True))
        applied = {
            name: _sealed(name, pending, self.states.get(name), message)
            for name, pending in self._pending.items()
            if pending.touched
        }
        self.states = {**self.states, **applied}
        self._pending = {}
        self._reset = False
        self._keep(message)


def _is_older(pending: _Pending, slot: int, revision: int) -> bool:
    known = pending.records.get(slot)
    return not pending.rebuilt and known is not None and revision < known.commit


def _sealed(name: str, pending: _Pending, previous: SecretState | None, synced: pb.WatchSlotsResponse) -> SecretState:
    records = tuple(sorted(pending.records.values(), key=lambda record: record.slot))
    empty: AbsentReason = "NOT_EXISTING" if pending.rebuilt else "NO_ENABLED_SLOT"
    absent = None if records else pending.absent or empty
    # An event cannot be newer than the revision that the server closes it with; W14 leans on that one.
    revision = min(pending.revision, synced.revision)
    if previous is not None and previous.epoch == synced.epoch:
        if pending.rebuilt and previous.absent == absent and _same_records(previous.records, records):
            return previous
        if revision <= previous.revision:
            revision = synced.revision
    return SecretState(name, synced.epoch, revision, absent, records)


def _same_records(a: tuple[SlotRecord, ...], b: tuple[SlotRecord, ...]) -> bool:
    return len(a) == len(b) and all(
        x.slot == y.slot and x.commit == y.commit and (x.value is None) == (y.value is None)
        for x, y in zip(a, b, strict=True)
    )

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ._arguments import MAX_NUMBER, to_number
from ._errors import SlotsError
from ._value import SecretValue
from ._version import SecretVersion

#: Why a secret has no value.
AbsentReason = Literal["NOT_EXISTING", "NO_ENABLED_SLOT"]


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """One live slot as it was received; shared by all states that hold it."""

    slot: int
    #: The commit that made the slot so.
    commit: int
    create_time_ns: int | None
    #: None: the record does not open on the server.
    value: SecretValue | None


@dataclass(frozen=True, slots=True)
class FailedSlot:
    """A live slot whose record does not open on the server; resolving to it is DATA_LOSS."""

    name: str
    slot: int


class SecretState:
    """The state of one secret at one revision.

    Never changes: a newer state is a new object, so that whoever reads gets one state that the store really had,
    never a mixture.
    """

    __slots__ = ("_numbers", "_versions", "absent", "epoch", "name", "records", "revision", "top")

    def __init__(
        self, name: str, epoch: str, revision: int, absent: AbsentReason | None, records: Iterable[SlotRecord]
    ) -> None:
        self.name = name
        self.epoch = epoch
        self.revision = revision
        #: Why there is no live slot; None when there is one.
        self.absent = absent
        #: The live slots in rising order.
        self.records = tuple(records)
        self._numbers = [record.slot for record in self.records]
        self._versions = [
            None
            if record.value is None
            else SecretVersion(name, record.value, record.slot, revision, epoch, record.create_time_ns)
            for record in self.records
        ]
        #: The version in the largest slot; None when absent or failed.
        self.top: SecretVersion | None = self._versions[-1] if self._versions else None

    @property
    def slots(self) -> tuple[SecretVersion | FailedSlot, ...]:
        """The live slots in rising order."""
        return tuple(
            version or FailedSlot(self.name, number)
            for number, version in zip(self._numbers, self._versions, strict=True)
        )

    @property
    def failed(self) -> bool:
        """Whether the largest slot does not open."""
        return self.top is None and bool(self.records)

    def current(self) -> SecretVersion:
        """The version in the largest slot. NOT_FOUND when absent, DATA_LOSS when that slot does not open."""
        if self.top is None:
            raise self._unresolved(len(self._numbers) - 1, None)
        return self.top

    def effective_at(self, at: int) -> SecretVersion:
        """The version in the largest slot at or below ``at``. Errors as ``current``."""
        if at.__class__ is not int or not 0 <= at <= MAX_NUMBER:
            at = to_number(at, "at")
        index = bisect_right(self._numbers, at) - 1
        version = self._versions[index] if index >= 0 else None
        if version is None:
            raise self._unresolved(index, at)
        return version

    def acceptable(self, t: int, overlap: int) -> list[SecretVersion]:
        """Every version effective somewhere in [t - overlap, t + overlap], largest slot first; failed ones left out."""
        t, overlap = to_number(t, "t"), to_number(overlap, "overlap")
        lowest = max(0, bisect_right(self._numbers, max(0, t - overlap)) - 1)
        end = bisect_right(self._numbers, min(MAX_NUMBER, t + overlap))
        return [version for version in reversed(self._versions[lowest:end]) if version is not None]

    def __repr__(self) -> str:
        what = self.absent or f"{len(self.records)} slots"
        return f"SecretState({self.name!r}, revision={self.revision}, {what})"

    def _unresolved(self, index: int, at: int | None) -> SlotsError:
        if index >= 0:
            slot = self._numbers[index]
            return SlotsError(
                "DATA_LOSS",
                f'slot {slot} of "{self.name}" does not open on the server',
                reason="DATA_LOSS",
                metadata={"name": self.name, "slot": str(slot)},
            )
        if self.absent == "NOT_EXISTING":
            message, reason, at = f'there is no secret "{self.name}"', "SECRET_NOT_FOUND", None
        else:
            below = "" if at is None or self.absent else f" at or below {at}"
            message, reason = f'"{self.name}" has no enabled slot{below}', "NO_EFFECTIVE_SLOT"
        metadata = {"name": self.name} if at is None else {"name": self.name, "at": str(at)}
        return SlotsError("NOT_FOUND", message, reason=reason, metadata=metadata)


def same_current(a: SecretState, b: SecretState) -> bool:
    """Whether ``current()`` answers the same in both: slot and bytes, or the same failure or absence."""
    if not a.records or not b.records:
        return not a.records and not b.records and a.absent == b.absent
    x, y = a.records[-1], b.records[-1]
    return x.slot == y.slot and x.value == y.value

"""A set without a server, for tests: its handles behave as real ones.

>>> from secretslots.testing import fake
>>> secrets = fake({"app/db": "hunter2"})
>>> secrets["app/db"].current().value.text()
'hunter2'
>>> secrets.rotate("app/db", "hunter3")
>>> secrets["app/db"].current().slot
1
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from ._arguments import MAX_NUMBER, to_names, to_number
from ._errors import SlotsError, invalid_argument, not_declared
from ._secrets import Secrets
from ._state import AbsentReason, SecretState, SlotRecord
from ._value import SecretValue

__all__ = ["FakeSecrets", "fake"]

Value = bytes | str
_EPOCH = "fake"


class FakeSecrets(Secrets):
    """Made by ``fake``."""

    def __init__(self, values: Mapping[str, Value | Mapping[int, Value]]) -> None:
        super().__init__(to_names(values))
        self._change_lock = threading.Lock()
        self._revision = 0
        #: The largest number ever used of each secret.
        self._largest: dict[str, int] = {}
        for name, given in values.items():
            slots = given if isinstance(given, Mapping) else {0: given}
            for slot, value in sorted(slots.items()):
                self.rotate(name, value, slot)

    def rotate(self, name: str, value: Value, slot: int | None = None) -> None:
        """Puts a value, without ``slot`` one past the largest; callbacks run as after a change on a server."""

        def put(slots: dict[int, SlotRecord]) -> AbsentReason | None:
            number = self._largest.get(name, -1) + 1 if slot is None else to_number(slot, "slot")
            if number > MAX_NUMBER:
                raise SlotsError("FAILED_PRECONDITION", "there is no slot past 2^63-1")
            self._largest[name] = max(number, self._largest.get(name, -1))
            slots[number] = SlotRecord(number, self._revision, None, SecretValue(value))
            return None

        self._change(name, put)

    def disable(self, name: str, slot: int) -> None:
        """Takes a slot away."""

        def take(slots: dict[int, SlotRecord]) -> AbsentReason | None:
            if slots.pop(slot, None) is None:
                raise SlotsError("NOT_FOUND", f'"{name}" has no slot {slot}', reason="SLOT_NOT_FOUND")
            return None if slots else "NO_ENABLED_SLOT"

        self._change(name, take)

    def delete(self, name: str) -> None:
        """Takes the whole secret away."""

        def clear(slots: dict[int, SlotRecord]) -> AbsentReason | None:
            slots.clear()
            self._largest.pop(name, None)
            return "NOT_EXISTING"

        self._change(name, clear)

    def age(self) -> float | None:
        return 0.0

    def stale(self) -> bool:
        return False

    def _change(self, name: str, change: Callable[[dict[int, SlotRecord]], AbsentReason | None]) -> None:
        if name not in self._handles:
            raise not_declared(name)
        with self._change_lock:
            if self.closed:
                raise invalid_argument("the set is closed", "CLIENT_CLOSED")
            self._revision += 1
            slots = {record.slot: record for record in self.handle(name).state().records}
            absent = change(slots)
            records = [slots[number] for number in sorted(slots)]
            self._publish([SecretState(name, _EPOCH, self._revision, absent, records)])


def fake(values: Mapping[str, Value | Mapping[int, Value]]) -> FakeSecrets:
    """A set of the values: name to value (slot 0), or name to slot to value."""
    return FakeSecrets(values)

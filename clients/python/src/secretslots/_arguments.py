"""What the caller gives, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from ._errors import invalid_argument

MAX_NUMBER = 2**63 - 1
MAX_NAMES = 1000

#: Which slots a set follows: every enabled one, or the current one alone.
View = Literal["ALL_ENABLED", "CURRENT"]

_NAME = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*", re.ASCII)


def to_number(value: int, what: str) -> int:
    """A slot, revision or point on the slot axis: 0 ... 2^63-1, never wrapped or rounded."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_argument(f"{what} must be an int")
    if not 0 <= value <= MAX_NUMBER:
        raise invalid_argument(f"{what} must be 0 to 2^63-1")
    return int(value)


def to_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names without repeats, in the order given."""
    if isinstance(names, str):
        raise invalid_argument("names must be a list of names, not one string")
    distinct = tuple(dict.fromkeys(names))
    if not 1 <= len(distinct) <= MAX_NAMES:
        raise invalid_argument(f"give 1 to {MAX_NAMES} names, not {len(distinct)}")
    for name in distinct:
        well_formed = isinstance(name, str) and _NAME.fullmatch(name) and len(name) <= 255
        if not well_formed or not {".", ".."}.isdisjoint(name.split("/")):
            raise invalid_argument(f"{name!r} is not a secret's name")
    return distinct


def to_seconds(value: float, what: str) -> float:
    if not value > 0:
        raise invalid_argument(f"{what} must be above 0")
    return float(value)

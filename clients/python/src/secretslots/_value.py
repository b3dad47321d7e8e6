from __future__ import annotations

import builtins
import hmac
from typing import NoReturn

SHOWN = "[secret]"


class SecretValue:
    """The bytes of a secret. Prints ``[secret]`` in every form; reading it is explicit: ``bytes()`` or ``text()``."""

    __slots__ = ("_bytes",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: builtins.bytes | bytearray | memoryview | str) -> None:
        """Keeps a copy of the bytes; a string is taken as UTF-8."""
        self._bytes = value.encode() if isinstance(value, str) else builtins.bytes(value)

    def bytes(self) -> builtins.bytes:
        """The bytes."""
        return self._bytes

    def text(self) -> str:
        """The bytes as UTF-8 text; a ValueError when they are no UTF-8."""
        text = _utf8(self._bytes)
        if text is None:
            raise ValueError("the value is not UTF-8 text")
        return text

    def equals(self, other: SecretValue | builtins.bytes | str) -> bool:
        """Whether the bytes are equal, in time that depends on the lengths only."""
        value = other if isinstance(other, SecretValue) else SecretValue(other)
        return hmac.compare_digest(self._bytes, value._bytes)

    def __eq__(self, other: object) -> bool:
        return self.equals(other) if isinstance(other, SecretValue) else NotImplemented

    def __len__(self) -> int:
        return len(self._bytes)

    def __bool__(self) -> bool:
        """True: an empty value is a value, and never looks like a missing one."""
        return True

    def __repr__(self) -> str:
        return SHOWN

    def __str__(self) -> str:
        return SHOWN

    def __format__(self, spec: str) -> str:
        return format(SHOWN, spec)

    def __copy__(self) -> SecretValue:
        return self

    def __deepcopy__(self, memo: object) -> SecretValue:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretValue is not pickled; pickle its bytes() if you must")


def _utf8(value: builtins.bytes) -> str | None:
    # A UnicodeDecodeError carries and prints the bytes: it must not become the context of another error.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None

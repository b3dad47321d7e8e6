from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What the server says about one field of a request that it refused."""

    field: str
    description: str


class SlotsError(Exception):
    """The one error type of this client: from the server, or made here with the same codes and reasons.

    ``code`` is gRPC's canonical name, such as ``"NOT_FOUND"``; ``reason`` the stable word to switch on, such as
    ``"SECRET_NOT_FOUND"`` (``""`` when the server gave none); ``metadata`` the dynamic parts of the message.
    None of them ever holds a value or a token.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: tuple[FieldViolation, ...] = (),
        retry_delay: float | None = None,
    ) -> None:
        # Both arguments are kept in args, so that the exception survives pickling.
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.field_violations = field_violations
        #: Seconds that the server asks to wait before another try.
        self.retry_delay = retry_delay

    def __str__(self) -> str:
        label = f"{self.code} ({self.reason})" if self.reason else self.code
        return f"{label}: {self.message}"

    def __repr__(self) -> str:
        return f"SlotsError({str(self)!r})"


def invalid_argument(message: str, reason: str = "INVALID_ARGUMENT") -> SlotsError:
    """An argument that is refused before anything is sent."""
    return SlotsError("INVALID_ARGUMENT", message, reason=reason)


def client_closed() -> SlotsError:
    return SlotsError("CANCELLED", "the client is closed", reason="CLIENT_CLOSED")


def not_declared(name: str) -> SlotsError:
    return invalid_argument(f'"{name}" was not declared at open', "NAME_NOT_DECLARED")


def where_raised(error: BaseException) -> str:
    """The type and place of an error of the user's code. Not its text: that may hold a secret."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
    return f"{type(error).__name__}{place}"

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol

import google_crc32c
from google.protobuf.timestamp_pb2 import Timestamp

from ._errors import SlotsError
from ._value import SecretValue

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """A value together with where it stands."""

    name: str
    value: SecretValue
    slot: int
    #: From a call: the last change of the secret. From a handle: the commit that made the secret's state so.
    revision: int
    #: The identity of the store's history; revisions compare within one epoch.
    epoch: str
    #: When this version of the slot was written, Unix time in nanoseconds.
    create_time_ns: int | None

    @property
    def create_time(self) -> datetime | None:
        """When this version of the slot was written, UTC, to the microsecond."""
        return to_datetime(self.create_time_ns)


class CarriesValue(Protocol):
    """Any message with a value in it."""

    name: str
    slot: int
    value: bytes
    crc32c: int

    @property
    def create_time(self) -> Timestamp: ...


class CarriesVersion(CarriesValue, Protocol):
    revision: int
    epoch: str


def crc32c(value: bytes) -> int:
    return int(google_crc32c.value(value))


def received_value(message: CarriesValue) -> SecretValue:
    """The value of a message, checked against its checksum; DATA_LOSS when they differ."""
    if message.crc32c != crc32c(message.value):
        raise SlotsError(
            "DATA_LOSS",
            f'the value of "{message.name}" does not match its checksum',
            reason="DATA_LOSS",
            metadata={"name": message.name, "slot": str(message.slot)},
        )
    return SecretValue(message.value)


def received_version(message: CarriesVersion) -> SecretVersion:
    return SecretVersion(
        name=message.name,
        value=received_value(message),
        slot=message.slot,
        revision=message.revision,
        epoch=message.epoch,
        create_time_ns=to_ns(message.create_time),
    )


def to_ns(time: Timestamp) -> int | None:
    """Unix nanoseconds; None for a time that is not set."""
    return (time.seconds * 10**9 + time.nanos) or None


def to_datetime(ns: int | None) -> datetime | None:
    return None if ns is None else _UNIX_EPOCH + timedelta(microseconds=ns // 1000)

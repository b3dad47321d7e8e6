"""What the unary helpers answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

from secretslots_stubs.v1 import secret_service_pb2 as pb

from ._version import SecretVersion, to_datetime, to_ns

T = TypeVar("T")

SlotStateName = Literal["ENABLED", "DISABLED", "DESTROYED"]

_SLOT_STATES: Mapping[int, SlotStateName] = {
    pb.SLOT_STATE_ENABLED: "ENABLED",
    pb.SLOT_STATE_DISABLED: "DISABLED",
    pb.SLOT_STATE_DESTROYED: "DESTROYED",
}


@dataclass(frozen=True, slots=True)
class EffectiveVersion(SecretVersion):
    """The version effective at ``at``."""

    at: int


@dataclass(frozen=True, slots=True)
class PutResult:
    name: str
    slot: int
    state: SlotStateName
    #: The commit that wrote this version of the slot, also when the call changed nothing.
    revision: int
    #: True when the slot number was not known before.
    created: bool
    #: None when no slot is enabled.
    current_slot: int | None
    epoch: str


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """What is known of a secret besides its values."""

    name: str
    comment: str
    labels: Mapping[str, str]
    create_time: datetime | None
    update_time: datetime | None
    #: Changes with every change of the secret.
    etag: str
    revision: int
    slot_count: int
    enabled_count: int
    disabled_count: int
    destroyed_count: int
    #: None when no slot is enabled.
    current_slot: int | None


@dataclass(frozen=True, slots=True)
class SlotInfo:
    """What is known of a slot besides its value."""

    slot: int
    state: SlotStateName
    create_time: datetime | None
    update_time: datetime | None
    #: The commit that last changed the slot.
    revision: int
    #: Bytes of the value; 0 for a destroyed slot.
    size: int


@dataclass(frozen=True, slots=True)
class SlotChange:
    """A slot after it was disabled, enabled or destroyed."""

    slot: SlotInfo
    #: The last change of the secret.
    revision: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Deleted:
    #: The commit that deleted the secret.
    revision: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: tuple[T, ...]
    #: Asks for the next page; empty on the last.
    next_page_token: str


@dataclass(frozen=True, slots=True)
class ServerInfo:
    version: str
    epoch: str
    revision: int
    #: The bounds that requests are held to, by their names on the wire.
    limits: Mapping[str, int]
    features: tuple[str, ...]


def put_result(message: pb.PutSlotResponse) -> PutResult:
    return PutResult(
        name=message.name,
        slot=message.slot,
        state=slot_state(message.state),
        revision=message.revision,
        created=message.created,
        current_slot=message.current_slot if message.HasField("current_slot") else None,
        epoch=message.epoch,
    )


def secret_info(message: pb.SecretMetadata | pb.DescribeSecretResponse | pb.UpdateSecretResponse) -> SecretInfo:
    return SecretInfo(
        name=message.name,
        comment=message.comment,
        labels=dict(message.labels),
        create_time=to_datetime(to_ns(message.create_time)),
        update_time=to_datetime(to_ns(message.update_time)),
        etag=message.etag,
        revision=message.revision,
        slot_count=message.slot_count,
        enabled_count=message.enabled_count,
        disabled_count=message.disabled_count,
        destroyed_count=message.destroyed_count,
        current_slot=message.current_slot if message.HasField("current_slot") else None,
    )


def slot_info(message: pb.SlotMetadata) -> SlotInfo:
    return SlotInfo(
        slot=message.slot,
        state=slot_state(message.state),
        create_time=to_datetime(to_ns(message.create_time)),
        update_time=to_datetime(to_ns(message.update_time)),
        revision=message.revision,
        size=message.size,
    )


def slot_change(message: pb.DisableSlotResponse | pb.EnableSlotResponse | pb.DestroySlotResponse) -> SlotChange:
    return SlotChange(slot_info(message.slot), message.revision, message.epoch)


def server_info(message: pb.GetServerInfoResponse) -> ServerInfo:
    limits = {field.name: getattr(message.limits, field.name) for field in pb.Limits.DESCRIPTOR.fields}
    return ServerInfo(message.version, message.epoch, message.revision, limits, tuple(message.features))


def slot_state(state: int) -> SlotStateName:
    return _SLOT_STATES.get(state, "ENABLED")

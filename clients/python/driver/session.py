from __future__ import annotations

import base64
import time
from typing import Any

from driver.hammer import Hammer
from driver.resource import Resource
from secretslots import Client, Derived, SecretChange, Secrets, SecretVersion
from secretslots.testing import FakeSecrets

Json = dict[str, Any]


class Session:
    """What the runner has opened, by the names that it chose."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.sets: dict[str, Secrets | FakeSecrets] = {}
        self.changes: dict[tuple[str, str], list[SecretChange]] = {}
        self.derived: dict[str, tuple[Derived[Resource], Resource.Book]] = {}
        self.hammers: dict[str, Hammer] = {}

    def keep(self, name: str, opened: Secrets | FakeSecrets, callback_delay: float = 0) -> None:
        self.sets[name] = opened
        for secret in opened.names:
            told: list[SecretChange] = []
            self.changes[name, secret] = told

            def record(change: SecretChange, told: list[SecretChange] = told) -> None:
                time.sleep(callback_delay)
                told.append(change)

            opened[secret].on_change(record)

    def close(self) -> None:
        for hammer in self.hammers.values():
            hammer.close()
        for secrets in self.sets.values():
            secrets.close()
        for client in self.clients.values():
            client.close()


def version(found: SecretVersion) -> Json:
    return {
        "name": found.name,
        "slot": str(found.slot),
        "value": encoded(found.value.bytes()),
        "revision": str(found.revision),
        "epoch": found.epoch,
    }


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def number(request: Json, member: str) -> int | None:
    return int(request[member]) if member in request else None


def seconds(request: Json, member: str) -> Json:
    """A keyword argument ``timeout`` of milliseconds that may be left out."""
    return {"timeout": int(request[member]) / 1000} if member in request else {}

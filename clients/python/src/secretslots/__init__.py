"""The Python client of Secret Slots: handles that always hold the newest value of a secret.

>>> import secretslots
>>> secrets = secretslots.open("127.0.0.1:50051", ["app/db"], token_file="data/admin.token")  # doctest: +SKIP
>>> secrets["app/db"].current().value.text()  # doctest: +SKIP
'hunter2'
"""

from ._arguments import View
from ._client import Client, connect, open
from ._connection import ConnectOptions
from ._derived import Derived
from ._errors import FieldViolation, SlotsError
from ._handle import Changes, SecretChange, SecretHandle
from ._results import (
    Deleted,
    EffectiveVersion,
    Page,
    PutResult,
    SecretInfo,
    ServerInfo,
    SlotChange,
    SlotInfo,
    SlotStateName,
)
from ._secrets import Secrets
from ._state import AbsentReason, FailedSlot, SecretState
from ._value import SecretValue
from ._version import SecretVersion
from ._version_number import VERSION as __version__

__all__ = [
    "AbsentReason",
    "Changes",
    "Client",
    "ConnectOptions",
    "Deleted",
    "Derived",
    "EffectiveVersion",
    "FailedSlot",
    "FieldViolation",
    "Page",
    "PutResult",
    "SecretChange",
    "SecretHandle",
    "SecretInfo",
    "SecretState",
    "SecretValue",
    "SecretVersion",
    "Secrets",
    "ServerInfo",
    "SlotChange",
    "SlotInfo",
    "SlotStateName",
    "SlotsError",
    "View",
    "__version__",
    "connect",
    "open",
]

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secretslots import SecretValue, SlotsError
from secretslots._cache import CacheFile
from secretslots._replica import Snapshot
from secretslots._state import SecretState, SlotRecord

KEY = bytes(range(32))

STATES = {
    "app/db": SecretState(
        "app/db",
        "e1",
        40,
        None,
        [
            SlotRecord(0, 12, 1_790_000_000_000_000_000, SecretValue("hunter2")),
            SlotRecord(5, 40, 1_790_000_100_250_000_000, None),
            SlotRecord(2**63 - 1, 40, None, SecretValue(b"\xff")),
        ],
    ),
    "app/gone": SecretState("app/gone", "e1", 41, "NOT_EXISTING", ()),
}
NAMES = tuple(STATES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cache"
    cache = CacheFile(path, KEY, "ALL_ENABLED")
    cache.offer(Snapshot("e1", 42, "token", STATES), soon=False)
    cache.flush()
    return path


def load(path: Path, *names: str, key: bytes = KEY, view: Any = "ALL_ENABLED") -> Snapshot | None:
    return CacheFile(path, key, view).load(names or NAMES, view)


def test_round_trip(path: Path) -> None:
    found = load(path)
    assert found is not None
    assert (found.epoch, found.revision, found.resume_token) == ("e1", 42, "token")
    for name, state in STATES.items():
        again = found.states[name]
        assert (again.revision, again.absent, again.records) == (state.revision, state.absent, state.records)
    assert b"hunter2" not in path.read_bytes()


def test_the_payload_is_as_specified(path: Path) -> None:
    data = path.read_bytes()
    assert data[:8] == b"SSCACHE1"
    payload = json.loads(AESGCM(KEY).decrypt(data[8:20], data[20:], data[:8]))
    saved_at = payload.pop("savedAt")
    assert saved_at.isdigit()
    assert payload == {
        "version": "1",
        "view": "ALL_ENABLED",
        "epoch": "e1",
        "revision": "42",
        "resumeToken": "token",
        "secrets": {
            "app/db": {
                "revision": "40",
                "absent": "",
                "slots": [
                    {"slot": "0", "revision": "12", "createTime": "1790000000.000000000", "value": "aHVudGVyMg=="},
                    {"slot": "5", "revision": "40", "createTime": "1790000100.250000000", "failed": True},
                    {"slot": "9223372036854775807", "revision": "40", "createTime": "", "value": "/w=="},
                ],
            },
            "app/gone": {"revision": "41", "absent": "NOT_EXISTING", "slots": []},
        },
    }


def test_other_names_keep_values_and_not_the_token(path: Path) -> None:
    for names in (("app/db",), ("app/db", "app/new"), (*NAMES, "app/new")):
        found = load(path, *names)
        assert found is not None
        assert set(found.states) == set(names) & set(NAMES)
        assert found.resume_token == ""
    other_view = load(path, view="CURRENT")
    assert other_view is not None
    assert (other_view.states, other_view.resume_token) == ({}, "")


def test_what_cannot_be_read_is_a_warning_and_no_cache(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = path.read_bytes()
    damaged = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(0, len(whole), 7)]
    for data in [*damaged, b"", whole[:30], whole[:-1]]:
        path.write_bytes(data)
        caplog.clear()
        assert load(path) is None
        assert "CACHE_UNREADABLE" in caplog.text
    path.write_bytes(whole)
    assert load(path, key=bytes(32)) is None
    path.unlink()
    caplog.clear()
    assert load(path) is None
    assert caplog.text == ""


def sealed(payload: Any) -> bytes:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return b"SSCACHE1" + bytes(12) + AESGCM(KEY).encrypt(bytes(12), text.encode(), b"SSCACHE1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "2"},
        {"version": 1},
        {"view": "ALL"},
        {"revision": "-1"},
        {"revision": "9223372036854775808"},
        {"revision": " 1"},
        {"secrets": {"a": {"revision": "1", "absent": "", "slots": []}}},
        {"secrets": {"a": {"revision": "1", "absent": "GONE", "slots": []}}},
        {"secrets": {"a": {"revision": "1", "absent": "", "slots": [{"slot": "1"}]}}},
        {"secrets": {"a/": {"revision": "1", "absent": "NOT_EXISTING", "slots": []}}},
        {"secrets": []},
    ],
)
def test_payloads_that_are_none(path: Path, wrong: dict[str, Any]) -> None:
    right = {"version": "1", "view": "ALL_ENABLED", "epoch": "e", "revision": "1", "resumeToken": "", "savedAt": "0"}
    absent = {"revision": "1", "absent": "NOT_EXISTING", "slots": [], "more": 1}
    path.write_bytes(sealed({**right, "secrets": {"a": absent}, "more": "ignored"}))
    assert load(path) is not None
    path.write_bytes(sealed({**right, "secrets": {"a": absent}, **wrong}))
    assert load(path) is None
    path.write_bytes(sealed("{"))
    assert load(path) is None


def test_a_write_that_fails_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = CacheFile(tmp_path / "no" / "cache", KEY, "ALL_ENABLED")
    cache.offer(Snapshot("e1", 1, "", {}), soon=False)
    cache.flush()
    assert "could not be written" in caplog.text


def test_a_key_that_is_not_32_bytes(tmp_path: Path) -> None:
    with pytest.raises(SlotsError, match="INVALID_ARGUMENT"):
        CacheFile(tmp_path / "cache", b"short", "ALL_ENABLED")

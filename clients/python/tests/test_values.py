from __future__ import annotations

import copy
import pickle
import traceback

import pytest

from driver.printed import printed_forms
from secretslots import SecretValue, SlotsError
from secretslots.testing import fake

PLAIN = "hunter2-is-plain"


def test_reading_is_explicit() -> None:
    value = SecretValue("é")
    assert (value.bytes(), value.text(), len(value)) == (b"\xc3\xa9", "é", 2)
    assert SecretValue(b"")
    assert SecretValue(b"").text() == ""
    assert value == SecretValue(b"\xc3\xa9")
    assert value.equals("é")
    assert not value.equals(b"")
    assert value != "é"
    assert copy.deepcopy(value) is value


def test_what_is_not_text_says_so_without_showing_it() -> None:
    with pytest.raises(ValueError, match="not UTF-8") as refused:
        SecretValue(b"secret\xff").text()
    shown = "".join(traceback.TracebackException.from_exception(refused.value, capture_locals=True).format())
    assert "UnicodeDecodeError" not in shown


def test_nothing_prints_a_value() -> None:
    secrets = fake({"a": {0: "old", 5: PLAIN}})
    handle = secrets["a"]
    texts = [
        text
        for holder in (handle.current().value, handle.current(), handle.state(), handle.state().slots, handle, secrets)
        for text in printed_forms(holder)
    ]
    assert not [text for text in texts if PLAIN in text or PLAIN.encode().hex() in text]
    assert "[secret]" in str(handle.current())


def test_errors_survive_pickling() -> None:
    error = SlotsError("NOT_FOUND", "there is none", reason="SECRET_NOT_FOUND", metadata={"name": "a"})
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), again.reason, again.metadata) == (str(error), "SECRET_NOT_FOUND", {"name": "a"})
    assert str(again) == "NOT_FOUND (SECRET_NOT_FOUND): there is none"

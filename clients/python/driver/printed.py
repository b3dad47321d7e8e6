from __future__ import annotations

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any


def printed_forms(holder: Any) -> list[str]:
    """Every form in which the language prints something, or refuses to."""
    forms: list[Callable[[], Any]] = [
        lambda: str(holder),
        lambda: repr(holder),
        lambda: ascii(holder),
        lambda: f"{holder}",
        lambda: f"{holder!r:>20}",
        lambda: "%s %r" % (holder, holder),  # noqa: UP031
        lambda: "{} {!r}".format(holder, holder),  # noqa: UP032
        lambda: json.dumps(holder),
        lambda: json.dumps(holder, default=str),
        lambda: json.dumps(holder, default=vars),
        lambda: pprint.pformat(holder),
        lambda: pprint.pformat({"nested": [holder]}),
        lambda: dataclasses.asdict(holder),
        lambda: copy.deepcopy(holder),
        lambda: pickle.dumps(holder),
        lambda: vars(holder),
        lambda: _logged(holder),
        lambda: _raised(holder),
    ]
    return [_attempt(form) for form in forms]


def _attempt(form: Callable[[], Any]) -> str:
    try:
        return str(form())
    except Exception:
        return traceback.format_exc()


def _logged(holder: Any) -> str:
    stream = io.StringIO()
    logger = logging.Logger("printed")
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("it is %s, %r", holder, holder)
    return stream.getvalue()


def _raised(holder: Any) -> str:
    try:
        raise ValueError(holder)
    except ValueError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(shown.format()) + repr(error)

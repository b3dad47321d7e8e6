from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from ._errors import SlotsError, invalid_argument
from ._log import logger

#: Gives the token; ``fresh`` reads a file again however lately it was read.
TokenSource = Callable[[bool], str]

_FILE_TTL = 1.0
_TOKEN = re.compile(r"[\x21-\x7e]+", re.ASCII)


def token_source(
    token: str | Callable[[], str] | None, token_file: str | os.PathLike[str] | None
) -> TokenSource | None:
    if token is not None and token_file is not None:
        raise invalid_argument("give either token or token_file, not both")
    if token_file is not None:
        return _from_file(Path(token_file))
    if token is None:
        return None
    if callable(token):
        return _from_function(token)
    constant = _checked(token)
    return lambda _fresh: constant


def _checked(token: str) -> str:
    # Refused here, because grpc would put the text of a bad header value into its error.
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise _unreadable("the token is empty or has characters that no token has")
    return token


def _unreadable(message: str) -> SlotsError:
    return SlotsError("UNAUTHENTICATED", message, reason="TOKEN_UNREADABLE")


def _from_function(ask: Callable[[], str]) -> TokenSource:
    def read(_fresh: bool) -> str:
        try:
            token = ask()
        except Exception as error:
            raise _unreadable(f"the token function failed: {type(error).__name__}") from error
        return _checked(token)

    return read


def _from_file(path: Path) -> TokenSource:
    last: str | None = None
    read_at = 0.0

    def read(fresh: bool) -> str:
        nonlocal last, read_at
        if last is not None and not fresh and time.monotonic() - read_at < _FILE_TTL:
            return last
        try:
            last = _checked(path.read_bytes().decode("ascii", "replace").strip())
            read_at = time.monotonic()
        except (OSError, SlotsError) as error:
            if last is None:
                raise _unreadable(f"no token can be read from {path}") from error
            logger.warning("the token file %s cannot be read; the last good token stays in use", path)
        return last

    return read

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from ._errors import SlotsError
from ._log import logger

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """PEM of a connection; equal when the files' contents are."""

    ca: bytes | None
    cert: bytes | None
    key: bytes | None = field(repr=False)


class TlsFiles:
    """Reads the files anew at each call; files that do not load leave the last good ones in place."""

    def __init__(self, ca: PathLike | None, cert: PathLike | None, key: PathLike | None) -> None:
        self._paths = (ca, cert, key)
        self._last: TlsMaterial | None = None

    def load(self) -> TlsMaterial:
        try:
            self._last = self._read()
        except (OSError, ValueError) as error:  # SSLError is an OSError
            if self._last is None:
                message = f"the TLS files do not load: {type(error).__name__}: {error}"
                raise SlotsError("FAILED_PRECONDITION", message, reason="TLS_UNREADABLE") from error
            logger.warning("the TLS files do not load; the last good ones stay in use")
        return self._last

    def _read(self) -> TlsMaterial:
        ca, cert, key = self._paths
        material = TlsMaterial(*(None if path is None else Path(path).read_bytes() for path in self._paths))
        if material == self._last:
            return material
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca is not None:
            context.load_verify_locations(cafile=ca)
        if cert is not None:
            # The password keeps an encrypted key from asking at the terminal. Fails when key and certificate differ.
            context.load_cert_chain(cert, key, password="")
        if tuple(None if path is None else Path(path).read_bytes() for path in self._paths) != (
            material.ca,
            material.cert,
            material.key,
        ):
            raise ValueError("the files changed while they were read")
        return material

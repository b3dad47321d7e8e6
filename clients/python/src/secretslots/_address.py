from __future__ import annotations

import re
from dataclasses import dataclass

from ._errors import invalid_argument

_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})", re.ASCII)
_IPV4_LOOPBACK = re.compile(r"127(?:\.[0-9]{1,3}){3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    #: What gRPC dials.
    target: str
    #: Whether bytes stay on this machine, so that a token may travel without TLS.
    local: bool


def parse_address(address: str) -> Address:
    """Parses ``host:port``, ``[v6]:port`` or ``unix:PATH``."""
    if address.startswith("unix:"):
        if address == "unix:":
            raise invalid_argument("the address has no path after unix:")
        return Address(address, local=True)
    match = _HOST_PORT.fullmatch(address)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise invalid_argument(f"the address must be host:port, [v6]:port or unix:PATH, not {address!r}")
    if match["v6"] is not None:
        return Address(f"ipv6:[{match['v6']}]:{match['port']}", local=match["v6"] == "::1")
    host = match["host"]
    local = host.lower() == "localhost" or _IPV4_LOOPBACK.fullmatch(host) is not None
    return Address(f"dns:{host}:{match['port']}", local)

"""REDIS_URL: the address of one server, or of those that know which server takes writes at present."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

FORMS = (
    "redis://, rediss:// or unix:// for one server, redis+sentinel://host:26379/service for Sentinels, or "
    "redis+cluster://host:6379 for a cluster (rediss+… with TLS)"
)

Kind = Literal["server", "sentinel", "cluster"]

_PORTS: dict[Kind, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
_SCHEME = re.compile(r"(rediss?)\+(sentinel|cluster)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True)
class Address:
    """Where the store is.

    ``url`` is what a client of one server reads its options from: user, password, database, TLS, and what stands behind
    the question mark. For Sentinels and clusters it names the first of ``hosts``.
    """

    kind: Kind
    url: str
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    """What the Sentinels call the primary."""


def address(url: str) -> Address:
    """Read ``url``. Raises ValueError with the second half of a sentence, which quotes nothing of it."""
    scheme, _, rest = url.partition("://")
    if scheme in ("redis", "rediss", "unix") and rest:
        return Address("server", url)
    parts = _SCHEME.fullmatch(scheme)
    if not parts:
        raise ValueError(f"it must start with {FORMS}")
    kind: Kind = "sentinel" if parts[2].lower() == "sentinel" else "cluster"
    place, path, query = re.fullmatch(r"([^/?]*)/?([^?]*)(\?.*)?", rest, re.DOTALL).groups("")  # type: ignore[union-attr]
    user, at, names = place.rpartition("@")
    hosts = tuple(_host(name, _PORTS[kind]) for name in names.split(","))
    service, database = _path(kind, path)
    first = f"[{hosts[0][0]}]" if ":" in hosts[0][0] else hosts[0][0]
    one = f"{parts[1].lower()}://{user}{at}{first}:{hosts[0][1]}/{database}{query}"
    return Address(kind, one, hosts, service)


def _host(text: str, port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text.strip())
    if not found or not 0 < int(found["port"] or port) < 65536:
        raise ValueError("it must name hosts as host:port, with commas between them")
    return found["v6"] or found["name"], int(found["port"] or port)


def _path(kind: Kind, path: str) -> tuple[str, str]:
    """The service that Sentinels know, and the number of the database."""
    service, _, database = path.strip("/").partition("/") if kind == "sentinel" else ("", "", path.strip("/"))
    if kind == "sentinel" and not re.fullmatch(r"[A-Za-z0-9._-]+", service):
        raise ValueError("it must name the service behind the Sentinels, as in redis+sentinel://host:26379/mymaster")
    if not re.fullmatch(r"[0-9]{0,4}", database):
        raise ValueError("its database must be a number")
    if kind == "cluster" and int(database or 0):
        raise ValueError("a cluster has no databases but 0")
    return service, database or "0"

"""Parse REDIS_URL: one server, Sentinels or a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

URL_FORMS = (
    "redis://, rediss:// or unix:// for one server, redis+sentinel://host:26379/service for Sentinels, or "
    "redis+cluster://host:6379 for a cluster (rediss+… with TLS)"
)

ServerKind = Literal["server", "sentinel", "cluster"]

_DEFAULT_PORTS: dict[ServerKind, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
_SCHEME_PATTERN = re.compile(r"(rediss?)\+(sentinel|cluster)", re.IGNORECASE)
_HOST_PATTERN = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
_ESCAPING_HINT = (
    "in a user or password write # as %23, / as %2F, ? as %3F, @ as %40, [ as %5B, ] as %5D, a space as %20"
)

_SECONDS_PATTERN, _FLAG_PATTERN, _ANY_PATTERN = r"[0-9]{1,6}(\.[0-9]{1,6})?", "true|false|yes|no|y|n|t|f|0|1", ".+"
_OPTION_PATTERNS = {
    "db": "[0-9]{1,4}",
    "username": _ANY_PATTERN,
    "password": ".*",
    "socket_timeout": _SECONDS_PATTERN,
    "protocol": "2|3",
    "socket_connect_timeout": _SECONDS_PATTERN,
    "retry_on_timeout": _FLAG_PATTERN,
    "max_connections": "[1-9][0-9]{0,5}",
}
_TLS_OPTION_PATTERNS = {
    "ssl_cert_reqs": "none|optional|required",
    "ssl_ca_certs": _ANY_PATTERN,
    "ssl_ca_path": _ANY_PATTERN,
    "ssl_ca_data": _ANY_PATTERN,
    "ssl_certfile": _ANY_PATTERN,
    "ssl_keyfile": _ANY_PATTERN,
    "ssl_check_hostname": _FLAG_PATTERN,
    "ssl_ciphers": _ANY_PATTERN,
    "ssl_password": _ANY_PATTERN,
}
_SENTINEL_OPTION_PATTERNS = {"sentinel_username": _ANY_PATTERN, "sentinel_password": _ANY_PATTERN}
"""Query options, and a pattern for each value."""

_TLS_FILE_OPTIONS = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


@dataclass(frozen=True)
class RedisAddress:
    """A parsed REDIS_URL.

    ``url`` is a URL for a client of one server, with user, password, database, TLS and query options. For Sentinels
    and clusters it names the first of ``hosts``.
    """

    kind: ServerKind
    url: str
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    """The Sentinels' name for the primary."""


def parse_redis_url(url: str) -> RedisAddress:
    """Parse ``url``. Raises ValueError with the second half of a sentence, which quotes nothing of the URL."""
    scheme, _, rest = url.partition("://")
    if re.search(r"[^\x21-\x7e]", url):
        raise ValueError(f"it must be ASCII without spaces; {_ESCAPING_HINT}")
    if "#" in url:
        raise ValueError(f"it must not contain #; {_ESCAPING_HINT}")
    place, path, query = re.fullmatch(r"([^/?]*)/?([^?]*)(\?.*)?", rest).groups("")  # type: ignore[union-attr]
    if scheme in ("redis", "rediss", "unix") and rest:
        _check_server(scheme, place, path, query)
        _check_options(query, secure=scheme == "rediss")
        return RedisAddress("server", url)
    parts = _SCHEME_PATTERN.fullmatch(scheme)
    if not parts:
        raise ValueError(f"it must start with {URL_FORMS}")
    kind: ServerKind = "sentinel" if parts[2].lower() == "sentinel" else "cluster"
    user, at, names = _split_user(place, path + query)
    hosts = tuple(_parse_host(name, _DEFAULT_PORTS[kind]) for name in names.split(","))
    service, database = _parse_path(kind, path)
    _check_options(query, secure=parts[1].lower() == "rediss", sentinel=kind == "sentinel")
    first = f"[{hosts[0][0]}]" if ":" in hosts[0][0] else hosts[0][0]
    one = f"{parts[1].lower()}://{user}{at}{first}:{hosts[0][1]}/{database}{query}"
    return RedisAddress(kind, one, hosts, service)


def find_tls_files(url: str) -> dict[str, str]:
    """Return the files and folders that the options of a valid ``url`` name, by option."""
    options = parse_qsl(url.partition("?")[2])
    return {name: path for name, path in options if name in _TLS_FILE_OPTIONS}


def _check_server(scheme: str, place: str, path: str, query: str) -> None:
    _, _, host = _split_user(place, path + query)
    if scheme == "unix":
        if host or not path:
            raise ValueError("it must have the full path of the socket, as in unix:///run/redis.sock")
        return
    try:
        _parse_host(host, _DEFAULT_PORTS["server"])
    except ValueError:
        raise ValueError("it must have one host, as host or host:port with a port from 1 to 65535") from None
    if not re.fullmatch(r"[0-9]{0,4}", path):
        raise ValueError("its database must be a number")


def _split_user(place: str, rest: str) -> tuple[str, str, str]:
    """Return user and password, the ``@`` after them, and the hosts."""
    user, at, hosts = place.rpartition("@")
    if "@" in rest and not at and not all(_HOST_PATTERN.fullmatch(name) for name in hosts.split(",")):
        raise ValueError(f"its password seems to contain / or ?; {_ESCAPING_HINT}")
    if re.search(r"[\[\]]", user):
        raise ValueError(f"its user or password must not contain brackets; {_ESCAPING_HINT}")
    return user, at, hosts


def _check_options(query: str, *, secure: bool, sentinel: bool = False) -> None:
    """Reject options that the client would reject or ignore when it connects. Messages quote only known names."""
    names = [
        *_OPTION_PATTERNS,
        *(_TLS_OPTION_PATTERNS if secure else ()),
        *(_SENTINEL_OPTION_PATTERNS if sentinel else ()),
    ]
    for name, value in parse_qsl(query[1:], keep_blank_values=True):
        if name in _TLS_OPTION_PATTERNS and not secure:
            raise ValueError("options that start with ssl_ need TLS: use rediss instead of redis")
        if name not in names:
            raise ValueError(f"it has an unknown option; known ones are {', '.join(names)}")
        if not re.fullmatch(
            (_OPTION_PATTERNS | _TLS_OPTION_PATTERNS | _SENTINEL_OPTION_PATTERNS)[name], value, re.IGNORECASE
        ):
            raise ValueError(f"its option {name} has an invalid value")


def _parse_host(text: str, port: int) -> tuple[str, int]:
    found = _HOST_PATTERN.fullmatch(text.strip())
    if not found or not 0 < int(found["port"] or port) < 65536:
        raise ValueError("it must have hosts as host:port, separated by commas")
    return found["v6"] or found["name"], int(found["port"] or port)


def _parse_path(kind: ServerKind, path: str) -> tuple[str, str]:
    """Return the Sentinels' service name and the database number."""
    service, _, database = path.strip("/").partition("/") if kind == "sentinel" else ("", "", path.strip("/"))
    if kind == "sentinel" and not re.fullmatch(r"[A-Za-z0-9._-]+", service):
        raise ValueError("it must have the service name, as in redis+sentinel://host:26379/mymaster")
    if not re.fullmatch(r"[0-9]{0,4}", database):
        raise ValueError("its database must be a number")
    if kind == "cluster" and int(database or 0):
        raise ValueError("a cluster has only database 0")
    return service, database or "0"

"""Which proxy the environment names for Zof's address, and for which addresses it names none."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies


def proxy_for(url: str) -> str | None:
    """The proxy for ``url`` by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; none for this very machine."""
    parts, named = urlsplit(url), getproxies()
    host = (parts.hostname or "").rstrip(".")
    if is_loopback(host) or is_excluded(host, parts.port, named.get("no", "")):
        return None
    proxy = named.get(parts.scheme) or named.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this very machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_excluded(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether an entry of NO_PROXY means ``host``: ``*``, a name with its subdomains, an address, or a range.

    Ranges of IPv4 and IPv6 mean hosts that are written as addresses; what is none of all this means nobody.
    """
    return any(_entry_matches(entry.strip().lower(), host.lower(), port) for entry in no_proxy.split(","))


def _entry_matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    entry = entry.partition("://")[2] or entry
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass  # one of them is a name
    name, _, wanted = entry.rpartition(":") if entry.count(":") == 1 or entry.startswith("[") else (entry, "", "")
    if wanted.isdigit() and int(wanted) != port:
        return False
    name = name.strip("[]").removeprefix("*").removeprefix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))

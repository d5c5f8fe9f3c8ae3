"""Choose the proxy for a URL from the environment."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies


def proxy_for(url: str) -> str | None:
    """Return the proxy for ``url`` by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; None for loopback."""
    parts, proxies = urlsplit(url), getproxies()
    host = (parts.hostname or "").rstrip(".")
    if is_loopback(host) or is_excluded(host, parts.port, proxies.get("no", "")):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """True if ``host`` is a loopback address or name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_excluded(host: str, port: int | None, no_proxy: str) -> bool:
    """True if NO_PROXY matches ``host``: ``*``, a name with its subdomains, an address, or a range.

    Ranges of IPv4 and IPv6 match hosts written as addresses; invalid entries match nothing.
    """
    return any(_entry_matches(entry.strip().lower(), host.lower(), port) for entry in no_proxy.split(","))


def _entry_matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    entry = entry.partition("://")[2] or entry
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass  # one of them is not an address
    name, _, entry_port = entry.rpartition(":") if entry.count(":") == 1 or entry.startswith("[") else (entry, "", "")
    if entry_port.isdigit() and int(entry_port) != port:
        return False
    name = name.strip("[]").removeprefix("*").removeprefix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))

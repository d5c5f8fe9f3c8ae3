"""Choose the proxy for a URL from the environment."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies

from zofbot.domain.errors import SettingsError


def proxy_for(url: str) -> str | None:
    """Return the proxy for ``url`` by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; None for loopback.

    A proxy without a scheme is reached by HTTP. None, too, if ``url`` is invalid, which its client then reports.
    Raises SettingsError for a proxy that is not an HTTP proxy.
    """
    try:
        scheme, host, port = _split_url(url)
    except ValueError:
        return None
    proxies = getproxies()
    if is_loopback(host) or is_excluded(host, port, proxies.get("no", "")):
        return None
    proxy = (proxies.get(scheme) or proxies.get("all") or "").strip()
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_http_url(proxy):
        raise invalid_proxy_error()
    return proxy


def invalid_proxy_error() -> SettingsError:
    """Return the error for a proxy that cannot be used; it is not quoted, because its URL may hold a password."""
    return SettingsError(["HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is invalid. Write it as http://…"])


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


def _is_http_url(url: str) -> bool:
    try:
        scheme, host, _ = _split_url(url)
    except ValueError:
        return False
    return scheme in ("http", "https") and bool(host)


def _split_url(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port. Raises ValueError, such as for a port out of range."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port


def _entry_matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    entry = entry.partition("://")[2] or entry
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass  # one of them is not an address
    name, _, entry_port = entry.rpartition(":") if entry.count(":") == 1 or entry.startswith("[") else (entry, "", "")
    if entry_port.isdecimal() and int(entry_port) != port:
        return False
    name = name.strip("[]").removeprefix("*").removeprefix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))

"""The HTTP client for Zof: address, key, proxy, certificates, and which redirects it follows."""

from __future__ import annotations

import httpx

from zofbot import __version__
from zofbot.domain.errors import SettingsError, ZofUnreadable
from zofbot.zof import protocol
from zofbot.zof.request import ZofRequest
from zofbot.zof.transport.proxy import proxy_for

# httpx's pool scans every connection per request: four measured fastest, and Zof's quota needs no more.
_LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=4)
# Limits of one attempt, so that a hanging connection leaves time for another. Waiting for the pool has the deadline.
_TIMEOUT = httpx.Timeout(10, connect=5, pool=None)
_LOCATION_EXTENSION = "zofbot.location"


def check_key(key: str) -> str:
    """Return the key without white space around it. Raises SettingsError if it cannot be one."""
    key = key.strip()
    if not key or protocol.clean_header(key, len(key)) != key:
        raise SettingsError(["ZOF_API_KEY is empty or contains invalid characters. Copy it again from Zof."])
    return key


def check_base_url(base_url: str) -> str:
    """Return the address without a slash at its end. Raises SettingsError if it cannot be one."""
    try:
        url = httpx.URL(base_url.strip())
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise SettingsError(["ZOF_BASE_URL must be a URL such as https://api.zof.ai/v1."])
    return str(url).rstrip("/")


def make_http_client(base: str, key: str, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """Make the pooled client, with the environment's proxies and certificates. Raises SettingsError.

    httpx's own parsing of NO_PROXY raises for a range of IPv6 addresses. Loading the certificates takes 40 ms and is
    skipped for plain HTTP.
    """
    proxy = None if transport else proxy_for(base)
    is_encrypted = bool(proxy) or (base.startswith("https:") and not transport)
    try:
        return httpx.AsyncClient(
            headers={
                "Authorization": f"Bearer {key}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": f"zofbot/{__version__}",
            },
            proxy=proxy,
            verify=httpx.create_ssl_context(trust_env=True) if is_encrypted else False,
            limits=_LIMITS,
            timeout=_TIMEOUT,
            transport=transport,
            follow_redirects=False,
            event_hooks={"response": [_hide_location]},
            trust_env=False,
        )
    except (ImportError, ValueError, httpx.InvalidURL):
        # Not quoted: a proxy's URL may hold a password.
        raise SettingsError(["HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is invalid. Write it as http://…"]) from None


def redirect_location(reply: httpx.Response) -> str | None:
    """Return where a reply redirects to, if it does."""
    location: str | None = reply.extensions.get(_LOCATION_EXTENSION)
    return location


def redirect_target(request: ZofRequest, origin: httpx.URL, location: str) -> httpx.URL:
    """Return the target of a redirect. Raises ZofUnreadable for another origin, which must not get the key."""
    try:
        target = origin.join(location)
    except (httpx.InvalidURL, ValueError):
        target = httpx.URL()
    is_same_origin = (target.scheme, target.host, target.port) == (origin.scheme, origin.host, origin.port)
    if request.method == "GET" and is_same_origin and not target.userinfo:
        return target
    raise ZofUnreadable(
        "Zof's address redirects elsewhere. zofbot doesn't follow, to protect its API key.",
        "An operator must check ZOF_BASE_URL.",
    )


async def _hide_location(reply: httpx.Response) -> None:
    """Hide a redirect from httpx, which parses the target even without following it, and may raise."""
    if reply.has_redirect_location:
        reply.extensions[_LOCATION_EXTENSION] = reply.headers.pop("location")

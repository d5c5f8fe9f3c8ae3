"""The HTTP client for Zof: address, key, proxy, certificates, and which redirects are followed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from zofbot import __version__
from zofbot.config.proxy import invalid_proxy_error, proxy_for
from zofbot.domain.errors import SettingsError, ZofUnreadable
from zofbot.zof import protocol
from zofbot.zof.request import ZofRequest
from zofbot.zof.transport.aiohttp_transport import MAX_CONNECTIONS, AiohttpTransport

_LIMITS = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=4)
# Limits of one attempt, so that a hanging connection leaves time for another. Waiting for the pool has the deadline.
_TIMEOUT = httpx.Timeout(10, connect=5, pool=None).as_dict()


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


class ZofHttpClient:
    """Sends single requests through ``transport``, without what httpx's own client adds to each: cookies, hooks."""

    def __init__(self, key: str, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self.use_key(key)

    def use_key(self, key: str) -> None:
        """Use another key from the next request on."""
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"zofbot/{__version__}",
        }

    @asynccontextmanager
    async def open_reply(self, url: httpx.URL, request: ZofRequest) -> AsyncIterator[httpx.Response]:
        """Send ``request`` to an address; the reply's body is read through ``stream``."""
        headers = self._headers
        if request.idempotency_key is not None:
            headers = headers | {"Idempotency-Key": request.idempotency_key}
        sent = httpx.Request(request.method, url, headers=headers, json=request.body, extensions={"timeout": _TIMEOUT})
        reply = await self._transport.handle_async_request(sent)
        try:
            yield reply
        finally:
            await reply.aclose()

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._transport.aclose()


def make_transport(base: str) -> httpx.AsyncBaseTransport:
    """Make the pool of connections, with the environment's proxies and certificates. Raises SettingsError.

    A proxy is left to httpx, which also reaches one by TLS. httpx's own parsing of NO_PROXY raises for a range of IPv6
    addresses. Loading the certificates takes 40 ms and is skipped for plain HTTP.
    """
    if proxy := proxy_for(base):
        context = httpx.create_ssl_context(trust_env=True)
        try:
            return httpx.AsyncHTTPTransport(verify=context, proxy=proxy, limits=_LIMITS, trust_env=False)
        except (ValueError, httpx.InvalidURL):
            raise invalid_proxy_error() from None
    is_encrypted = base.startswith("https:")
    return AiohttpTransport(httpx.create_ssl_context(trust_env=True) if is_encrypted else None)


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

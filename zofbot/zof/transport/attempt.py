"""One attempt of a call to Zof: send the request, follow redirects, read the reply."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import structlog

from zofbot.clock import Clock
from zofbot.domain.errors import ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.zof import protocol
from zofbot.zof.errors import build_error
from zofbot.zof.quota import QuotaGate
from zofbot.zof.request import CallState
from zofbot.zof.transport.http_client import (
    ZofHttpClient,
    check_base_url,
    check_key,
    make_transport,
    redirect_target,
)
from zofbot.zof.transport.reply_body import read_body, read_error_body

T = TypeVar("T")

MAX_INLINE_BYTES = 64 * 1024
"""Larger replies are parsed in a thread; smaller ones take a few milliseconds."""

MAX_REDIRECTS = 3

_OPERATOR_FIX = "An operator must check ZOF_BASE_URL, ZOF_API_KEY and the proxy settings."

_PROXY_HINT = "Try again in a minute. If that doesn't help, an operator must check the proxy settings."

_PROXY_AUTHENTICATION_REQUIRED = "407"
"""What the error of httpx begins with if the proxy wants a password: the status that it replied to CONNECT."""

log = structlog.get_logger()


class ZofTransport:
    """Sends requests to Zof with its key, and tells ``quota_gate`` what the replies say of the quota."""

    def __init__(
        self, base_url: str, key: str, clock: Clock, quota_gate: QuotaGate, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        """Raise SettingsError if the base URL, the key or the environment's proxy is invalid."""
        self._key = check_key(key)
        self._base = check_base_url(base_url)
        self._clock = clock
        self._quota_gate = quota_gate
        self._logged_sunsets: set[str] = set()
        self._http = ZofHttpClient(self._key, transport or make_transport(self._base))

    def use_key(self, key: str) -> None:
        """Use another key from the next request on. Raises SettingsError if it is invalid."""
        self._key = check_key(key)
        self._http.use_key(self._key)

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._http.aclose()

    async def send_once(self, call: CallState) -> object:
        """Make one attempt and return the reply's JSON; None for an empty reply to a POST. Raises ZofError."""
        try:
            return await self._follow_redirects(call)
        except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
            raise _unreachable_error(error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Not chained: httpx quotes what the proxy replied, and invalid headers, of which one holds the key.
            raise _unsent_error(error) from None

    async def _follow_redirects(self, call: CallState) -> object:
        request = call.request
        url = httpx.URL(self._base + protocol.fill_path(request.template, request.item))
        if request.query:
            url = url.copy_merge_params(request.query)
        for _ in range(1 + MAX_REDIRECTS):
            async with self._http.open_reply(url, request) as reply:
                await self._read_headers(call, reply)
                if not reply.has_redirect_location:
                    return await self._read_reply(call, reply)
                url = redirect_target(request, url, reply.headers["location"])
        raise ZofUnreadable("Zof redirects in a loop.", "An operator must check ZOF_BASE_URL.")

    async def _read_headers(self, call: CallState, reply: httpx.Response) -> None:
        call.status = reply.status_code
        call.date = reply.headers.get("date", "")
        call.request_id = protocol.clean_header(reply.headers.get("x-request-id"))
        sunset = protocol.clean_header(reply.headers.get("sunset"))
        if sunset and call.request.template not in self._logged_sunsets:
            self._logged_sunsets.add(call.request.template)
            log.warning("zof endpoint ends", template=call.request.template, sunset=sunset)
        await self._quota_gate.update_quota(protocol.parse_quota(reply.headers, self._clock.now()))

    async def _read_reply(self, call: CallState, reply: httpx.Response) -> object:
        request = call.request
        if not reply.is_success:
            body = await read_error_body(reply)
            raise build_error(
                reply.status_code, reply.headers, body, request.what,
                now=self._clock.now(), verb=request.verb, secrets=(self._key, *request.secrets),
                permission=protocol.PERMISSION_BY_ENDPOINT.get((request.method, request.template), ""),
            )  # fmt: skip
        body = await read_body(reply)
        if not body.strip() and request.method != "GET":
            return None
        call.bytes = len(body)
        return await run_off_loop(call.bytes, protocol.parse_json, body, reply.headers.get("content-type", ""))


async def run_off_loop(size: int, work: Callable[[Any, Any], T], *arguments: Any) -> T:
    """Run pure work on a reply of ``size`` bytes; in a thread if it is large, so that the loop is not blocked."""
    return await asyncio.to_thread(work, *arguments) if size > MAX_INLINE_BYTES else work(*arguments)


def _unsent_error(error: httpx.HTTPError | httpx.InvalidURL) -> ZofError:
    """Return the error for a request that never got to Zof: it is invalid, or the proxy did not let it through."""
    if isinstance(error, httpx.ProxyError) and not str(error).startswith(_PROXY_AUTHENTICATION_REQUIRED):
        return ZofUnavailable("The proxy couldn't connect to Zof.", _PROXY_HINT)
    return ZofRejected("The request couldn't be sent to Zof.", _OPERATOR_FIX)


def _unreachable_error(error: httpx.TransportError) -> ZofUnavailable:
    if isinstance(error, httpx.TimeoutException):
        return ZofUnavailable("Zof did not answer in time.", "Try again in a minute.")
    if isinstance(error.__context__, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ZofUnavailable("Zof's TLS certificate isn't trusted.", _OPERATOR_FIX)
    return ZofUnavailable("Zof couldn't be reached.", "Try again in a minute.")

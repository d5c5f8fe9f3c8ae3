"""One request to Slack and its reply, read within bounds: what is not Slack's own is never taken for its word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from zofbot.slack.responses import MAX_REPLY_BYTES, SlackHttpReply, parse_http_reply


class TooLong(aiohttp.ClientPayloadError):
    """A reply is longer than any of Slack's."""


async def send_request(session: aiohttp.ClientSession, verb: str, url: str, **request: Any) -> SlackHttpReply:
    """Send one request and read its reply. Raises aiohttp.ClientError.

    Redirects are not followed: the second request might be another one, and it would carry the token somewhere else.
    The body is unpacked piece by piece, so that a small packed one takes no more memory than its limit.
    """
    async with session.request(verb, url, allow_redirects=False, **request) as reply:
        body = bytearray()
        async for piece in reply.content.iter_any():
            body += piece
            if len(body) > MAX_REPLY_BYTES:
                raise TooLong(f"more than {MAX_REPLY_BYTES} bytes")
        return SlackHttpReply(reply.status, reply.headers, bytes(body))


class BoundedWebClient(AsyncWebClient):
    """The SDK's client with replies that are read by us.

    The SDK itself reads them without a bound, and takes any answer under 500 for a refusal.
    """

    async def _request(self, *, http_verb: str, api_url: str, req_args: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request. Raises SlackDeferred, SlackUnknown and aiohttp.ClientError."""
        if self.session is None:
            raise ValueError("the client needs a session")
        reply = await send_request(self.session, http_verb, api_url, **req_args)
        return {"data": parse_http_reply(reply), "headers": reply.headers, "status_code": reply.status}

"""HTTP client for Slack with a size limit on replies; a reply that is not Slack's raises an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from zofbot.slack.http_replies import MAX_REPLY_BYTES, SlackHttpReply, parse_http_reply


class TooLong(aiohttp.ClientPayloadError):
    """The reply exceeds ``MAX_REPLY_BYTES``."""


async def send_request(session: aiohttp.ClientSession, verb: str, url: str, **request: Any) -> SlackHttpReply:
    """Send one request and read its reply. Raises aiohttp.ClientError.

    Redirects are not followed: they could change the request and send the token elsewhere. The body is decompressed
    piece by piece, so a compression bomb cannot exceed the limit.
    """
    async with session.request(verb, url, allow_redirects=False, **request) as reply:
        body = bytearray()
        async for piece in reply.content.iter_any():
            body += piece
            if len(body) > MAX_REPLY_BYTES:
                raise TooLong(f"more than {MAX_REPLY_BYTES} bytes")
        return SlackHttpReply(reply.status, reply.headers, bytes(body))


class BoundedWebClient(AsyncWebClient):
    """The SDK's client with its own reading of replies.

    The SDK reads replies without a size limit, and treats any status under 500 as a refusal.
    """

    async def _request(self, *, http_verb: str, api_url: str, req_args: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request. Raises SlackDeferred, SlackUnknown and aiohttp.ClientError."""
        if self.session is None:
            raise ValueError("the client needs a session")
        reply = await send_request(self.session, http_verb, api_url, **req_args)
        return {"data": parse_http_reply(reply), "headers": reply.headers, "status_code": reply.status}

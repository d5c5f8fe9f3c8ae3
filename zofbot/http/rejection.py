"""The answer to a request that is rejected."""

from __future__ import annotations

from aiohttp import web

from zofbot.http.limits import (
    RejectThrottle,
)


async def reject_request(throttle: RejectThrottle, status: int, text: str = "") -> web.Response:
    """Build a rejection, delayed if there are many; a 503 says when to retry."""
    response = web.Response(status=status, text=text, headers={"Retry-After": "5"} if status == 503 else {})
    if not await throttle.delay_reject():
        response.force_close()
    return response

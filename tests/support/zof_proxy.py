"""A server before the simulated Zof that changes the replies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web


class ZofProxy:
    """Forwards requests to ``target``, the URL of the simulator, and answers with ``change`` of the reply's body."""

    def __init__(self) -> None:
        self.target = ""
        self.url = ""
        self.change: Callable[[Any], Any] = lambda body: body

    async def serve_request(self, request: web.Request) -> web.Response:
        kept = {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, f"{self.target}{request.path_qs}", headers=kept) as reply,
        ):
            body, headers = await reply.json(content_type=None), {"X-Request-Id": reply.headers["X-Request-Id"]}
        return web.json_response(self.change(body), status=reply.status, headers=headers)


@asynccontextmanager
async def zof_proxy() -> AsyncIterator[ZofProxy]:
    """Run a proxy; the test sets its target once the simulator has a URL."""
    proxy = ZofProxy()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.serve_request)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}/zof/v1"
    yield proxy
    await runner.cleanup()

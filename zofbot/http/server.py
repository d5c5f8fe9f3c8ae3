"""The HTTP server: the endpoints of Slack and Zof, and health, readiness and metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from zofbot.clock import Clock
from zofbot.concurrency import cancel_tasks
from zofbot.http.limits import (
    MAX_BODY_BYTES,
    MAX_IDLE_CONNECTIONS,
    IdleConnectionReaper,
)
from zofbot.http.slack_endpoint import SlackEndpoint
from zofbot.http.zof_endpoint import ZofWebhookEndpoint
from zofbot.observability.metrics import Metrics

MAX_IDLE_SECONDS = 75.0
"""Time a connection may be idle or take to send the headers; proxies close theirs sooner."""

_server_log = logging.getLogger("zofbot.http.server")
# aiohttp logs invalid HTTP as an error with traceback; anybody can send that, and it would fill a disk.
_server_log.addFilter(lambda line: not (line.exc_info and isinstance(line.exc_info[1], HttpProcessingError)))

ReadinessCheck = Callable[[], Awaitable[list[str]]]
"""Returns what is not ready; empty if everything is."""


def build_app(
    slack: SlackEndpoint | None, metrics: Metrics, ready: ReadinessCheck, zof: ZofWebhookEndpoint | None = None
) -> web.Application:
    """Build the web application; without ``slack`` (Socket Mode) or ``zof`` (no secret) their paths are missing."""

    async def answer_healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def answer_readyz(request: web.Request) -> web.Response:
        missing = await ready()
        answer: dict[str, Any] = {"ready": not missing, "missing": missing}
        return web.json_response(answer, status=503 if missing else 200)

    async def answer_metrics(request: web.Request) -> web.Response:
        await ready()  # updates the gauges of Redis and Slack
        return web.Response(body=metrics.render_text(), content_type="text/plain", charset="utf-8")

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_get("/healthz", answer_healthz)
    app.router.add_get("/readyz", answer_readyz)
    app.router.add_get("/metrics", answer_metrics)
    if slack:
        app.router.add_post("/slack/events", slack.handle_request)
    if zof:
        app.router.add_post("/zof/webhook", zof.handle_request)
    return app


@asynccontextmanager
async def serve_app(  # noqa: PLR0913  (the two limits are for tests)
    app: web.Application,
    host: str,
    port: int,
    clock: Clock,
    *,
    idle: float = MAX_IDLE_SECONDS,
    most: int = MAX_IDLE_CONNECTIONS,
) -> AsyncIterator[str]:
    """Serve ``app`` while the context lasts; yields its URL. Raises OSError if the port cannot be opened.

    A connection may go ``idle`` seconds without complete request headers, and ``most`` connections without an accepted
    request may be idle. Bodies are not decompressed: neither Slack nor Zof compresses them, and others could be bombs.
    """
    connections = IdleConnectionReaper(clock, most)
    app.middlewares.append(connections.track_request)
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=2.0, handler_cancellation=False,
        keepalive_timeout=idle, lingering_time=1.0, auto_decompress=False, read_bufsize=2**16, logger=_server_log,
    )  # fmt: skip
    await runner.setup()
    server = runner.server
    assert server
    reaper_task = asyncio.create_task(connections.close_idle(lambda: server.connections))
    try:
        await web.TCPSite(runner, host, port).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
        await cancel_tasks(reaper_task)

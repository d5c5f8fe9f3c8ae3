"""The HTTP server: the endpoints of Slack and Zof, and health, readiness and metrics."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from yarl import URL

from zofbot.concurrency import ProcessTasks
from zofbot.http.limits import MAX_BODY_BYTES, IdleConnectionReaper
from zofbot.http.slack_endpoint import SlackEndpoint
from zofbot.http.zof_endpoint import ZofWebhookEndpoint
from zofbot.observability.metrics import Metrics

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
async def serve_app(
    app: web.Application, host: str, port: int, tasks: ProcessTasks, reaper: IdleConnectionReaper
) -> AsyncIterator[str]:
    """Serve ``app`` while the context lasts; yields its URL. Raises OSError if the port cannot be opened.

    A connection may go ``reaper.idle_seconds`` without complete request headers. Bodies are not decompressed: neither
    Slack nor Zof compresses them, and others could be bombs.
    """
    app.middlewares.append(reaper.track_request)
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=1.0, handler_cancellation=False,
        keepalive_timeout=reaper.idle_seconds, lingering_time=1.0, auto_decompress=False, read_bufsize=2**16,
        logger=_server_log,
    )  # fmt: skip
    await runner.setup()
    server = runner.server
    assert server
    reaper_task = tasks.start("idle connections", reaper.close_idle(lambda: server.connections))
    try:
        await web.TCPSite(runner, host, port).start()
        host, port = runner.addresses[0][:2]
        yield str(URL.build(scheme="http", host=host, port=port))
    finally:
        await runner.cleanup()
        await tasks.cancel(reaper_task)

"""The other way in: Slack's requests over a connection that the bot opened, so that none needs to be opened to it."""

from __future__ import annotations

import structlog
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from zofbot.metrics import Metrics
from zofbot.slack.payload import misshapen

log = structlog.get_logger()


class SocketMode(AsyncSocketModeHandler):
    """Hands over to Bolt what comes over Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode).

    What has no shape that Slack sends is not acknowledged, so that Slack tells the person that it failed.
    """

    def __init__(self, bolt: AsyncApp, token: str, metrics: Metrics) -> None:
        super().__init__(bolt, token)
        self._metrics = metrics

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]  # as Bolt does
        """Take one envelope."""
        if place := misshapen(req.payload):
            log.warning("request of no shape that Slack sends", place=place)
            self._metrics.slack_requests.labels("stray", "malformed").inc()
            return
        try:
            await super().handle(client, req)
        except Exception as error:  # listeners have their own handler: this is Bolt itself, about parts we do not read
            log.error("request not understood", exc_info=error)
            self._metrics.slack_requests.labels("stray", "malformed").inc()

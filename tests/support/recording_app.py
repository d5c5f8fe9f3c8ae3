"""An app that records the simulated Slack's requests, with configurable answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from zofbot.simulator.seed import ANA
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.world import World

Json = dict[str, Any]


class WorldClock(SignatureClock):
    """The simulated time, by which the SDK judges whether a signed request is recent."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> float:
        return self._world.unix_time()


class RecordingApp:
    """An app that records requests, with configurable answers."""

    def __init__(self, world: World) -> None:
        self.requests: list[tuple[dict[str, str], Json]] = []
        self.answers: list[web.Response | Callable[[Json], Awaitable[web.Response]]] = []
        self.verifier = SignatureVerifier("simulated-signing-secret", WorldClock(world))

    @property
    def last_payload(self) -> Json:
        return self.requests[-1][1]

    async def handle_request(self, request: web.Request) -> web.Response:
        body = await request.text()
        if not self.verifier.is_valid_request(body, dict(request.headers)):
            return web.Response(status=401)
        self.requests.append((dict(request.headers), self._parse_payload(request, body)))
        answer = self.answers.pop(0) if self.answers else web.Response()
        return answer if isinstance(answer, web.Response) else await answer(self.last_payload)

    @staticmethod
    def _parse_payload(request: web.Request, body: str) -> Json:
        if request.content_type == "application/json":
            return dict(json.loads(body))
        form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
        return dict(json.loads(form["payload"])) if "payload" in form else dict(form)


@pytest.fixture
async def recording_app(simulator: SimulatorServer) -> AsyncIterator[RecordingApp]:
    recording_app = RecordingApp(simulator.world)
    app = web.Application()
    app.router.add_post("/slack/events", recording_app.handle_request)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    simulator.world.slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield recording_app
    await runner.cleanup()


def notice_to(simulator: SimulatorServer, user: str = ANA) -> str:
    notice = simulator.world.slack.notices.get(user)
    return str(notice["text"]) if notice else ""

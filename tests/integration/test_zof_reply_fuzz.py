"""Whatever stands in Zof's replies in place of what should: people are answered, polling goes on, nothing says None."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.support.bot import running_bot, text_of, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.odd_values import ODD_VALUES, paths_in, with_odd_value


class ZofSpoiler:
    """Stands before Zof and puts something odd, or nothing, at a place of what it says; half of the time of a list's
    own parts, in which there are few.
    """

    def __init__(self, seed: int) -> None:
        self.random, self.spoils, self.target, self.replies = Random(seed), True, "", 0

    async def serve_request(self, request: web.Request) -> web.Response:
        kept = {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, f"{self.target}{request.path_qs}", headers=kept) as reply,
        ):
            body, headers = await reply.json(content_type=None), {"X-Request-Id": reply.headers["X-Request-Id"]}
        if self.spoils:
            body = self.spoil_body(body)
            self.replies += 1
        return web.Response(status=reply.status, text=json.dumps(body), content_type="application/json",
                            headers=headers)  # fmt: skip

    def spoil_body(self, body: Any) -> Any:
        found = [path for path in paths_in(body) if len(path) == 1 or self.random.random() < 0.5]
        if not found or self.random.random() < 0.05:
            return self.random.choice(ODD_VALUES)
        return with_odd_value(
            body, self.random.choice(found), *([self.random.choice(ODD_VALUES)] if self.random.random() < 0.8 else [])
        )


@pytest.fixture
async def spoiler(request: pytest.FixtureRequest) -> AsyncIterator[tuple[ZofSpoiler, str]]:
    made = ZofSpoiler(request.param)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.serve_request)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield made, f"http://127.0.0.1:{runner.addresses[0][1]}/zof/v1"
    await runner.cleanup()


ASKED = ("result res_4821", "run run_1200", "runs", "runs status:failed", "why res_4821", "subscribe project:checkout")
NOTHING = re.compile(r"\b(None|nan|NaN|undefined|Traceback)\b")


@pytest.mark.parametrize("spoiler", [1], indirect=True)
async def test_nothing_that_zof_says_breaks_anything(spoiler: tuple[ZofSpoiler, str], store_url: str) -> None:
    zof, url = spoiler
    with capture_logs() as logs:
        async with running_bot(
            store_url, workers=True, zof_base_url=url, zofbot_poll_interval=1, zof_webhook_secret=SECRET,
        ) as bot:  # fmt: skip
            bot.world.slack.paced = False
            zof.target = bot.simulator.url
            await bot.type_text("/zof subscribe project:*")
            for number in range(90):
                try:
                    answer = await bot.answer_text(f"/zof {ASKED[number % len(ASKED)]}")
                except TimeoutError as error:
                    others = [line for line in logs if line["event"] != "zof call" or "kind" in line]
                    error.add_note(f"command {number}, the last log lines but the poller's: {others[-40:]}")
                    error.add_note(f"what Slack said of it: {bot.world.slack.notices}")
                    raise
                assert len(answer) > 20
                assert not NOTHING.search(answer), answer
                await asyncio.sleep(0.2)  # so that the poller reads what is spoilt as well
                if number % 7 == 0:  # seldom enough for none to be told in a summary
                    run = fail_run(bot, 2)
                    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{number}")) == 200
            zof.spoils = False
            last = fail_run(bot, 1)
            await post_webhook(bot, webhook_event(last["id"], "evt_last"))
            await wait_until(
                lambda: any(last["id"] in str(item.idempotency_key) for item in bot.world.slack.ledger), 600
            )
            assert bot.world.slack.duplicate_keys() == []
            assert not any(NOTHING.search(text_of(item)) for item in bot.world.slack.ledger)
    assert zof.replies > 90
    errors = [line for line in logs if line["log_level"] in ("error", "critical")]
    said = ("feed not read", "listed under an id that cannot be asked for")  # what of Zof's could not be followed
    assert [line for line in errors if line["event"] not in said] == []

"""Whatever stands in Zof's replies in place of what should: people are answered, polling goes on, nothing says None."""

from __future__ import annotations

import asyncio
import re
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.bot import running_bot, text_of, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.odd_values import ODD_VALUES, paths_in, with_odd_value
from tests.support.zof_proxy import zof_proxy


class ZofSpoiler:
    """Puts something odd, or nothing, at a place of what Zof says; half of the time of a list's own parts, in which
    there are few.
    """

    def __init__(self, seed: int) -> None:
        self.random, self.spoils, self.replies = Random(seed), True, 0

    def change(self, body: Any) -> Any:
        if not self.spoils:
            return body
        self.replies += 1
        return self.spoil_body(body)

    def spoil_body(self, body: Any) -> Any:
        found = [path for path in paths_in(body) if len(path) == 1 or self.random.random() < 0.5]
        if not found or self.random.random() < 0.05:
            return self.random.choice(ODD_VALUES)
        return with_odd_value(
            body, self.random.choice(found), *([self.random.choice(ODD_VALUES)] if self.random.random() < 0.8 else [])
        )


ASKED = ("result res_4821", "run run_1200", "runs", "runs status:failed", "why res_4821", "subscribe project:checkout")
NOTHING = re.compile(r"\b(None|nan|NaN|undefined|Traceback)\b")


@pytest.mark.parametrize("seed", [1])
async def test_nothing_that_zof_says_breaks_anything(seed: int, store_url: str) -> None:
    zof = ZofSpoiler(seed)
    with capture_logs() as logs:
        async with zof_proxy() as proxy, running_bot(
            store_url, workers=True, zof_base_url=proxy.url, zofbot_poll_interval=1, zof_webhook_secret=SECRET,
        ) as bot:  # fmt: skip
            bot.world.slack.paced = False
            proxy.target, proxy.change = bot.simulator.url, zof.change
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
    said = ("feed not read", "listed with an unusable id")  # what of Zof's could not be followed
    assert [line for line in errors if line["event"] not in said] == []

"""Zof's platform events: posted with what they contain, whether or not the run that they name can be read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from zofbot.simulator.zof.state import HttpReply

GATE = "release.gate_blocked"
TOKEN = "ghp_" + "a1B2" * 9


def gate_event(number: int, **data: Any) -> dict[str, Any]:
    return {"id": f"evt_{number}", "type": GATE, "data": data}


def texts_in(bot: RunningBot, channel: str = "C0QA") -> list[str]:
    return [text_of(message) for message in bot.public_messages(channel) if "Release gate" in message.text]


FACTS = {"project": "checkout", "environment": "production", "name": "Release 2.4", "reason": "3 critical cases failed"}
SHAPES = [
    {"object": {"id": "gate_1", "run_id": "run_gone", **FACTS}},
    {"object": {"id": "gate_1", "run_id": "run_gone"}, **FACTS},
    {
        "object": {
            "id": "gate_1",
            "project": {"id": "proj_checkout", "name": "checkout"},
            "environment": {"name": "production"},
            "gate": {"name": "Release 2.4"},
            "reasons": ["3 critical cases failed", "coverage fell"],
        }
    },
    {"run_id": "run_gone", "project_name": "checkout", "env": "production", "title": "Release 2.4",
     "message": "3 critical cases failed"},
]  # fmt: skip


@pytest.mark.parametrize("data", SHAPES)
@pytest.mark.parametrize("status", [404, 500])
async def test_a_gate_whose_run_cannot_be_read_says_what_the_event_says(
    store_url: str, data: dict[str, Any], status: int
) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe project:checkout env:production on:gate")
        await bot.type_text("/zof subscribe project:search on:gate", channel="C0SEARCH")
        bot.world.zof.raw["/runs/run_gone"] = HttpReply(status, {"error": "no"})
        assert await post_webhook(bot, gate_event(1, **data)) == 200
        await wait_until(lambda: texts_in(bot) != [], 300)
        [notice] = texts_in(bot)
        for fact in ("Release gate blocked · checkout · production", "Release 2.4", "3 critical cases failed"):
            assert fact in notice
        assert texts_in(bot, "C0SEARCH") == []


async def test_the_run_says_more_where_it_can_be_read(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe project:proj_checkout env:staging on:gate")
        run = fail_run(bot, 0)
        await post_webhook(bot, gate_event(1, object={"id": "gate_1", "run_id": run["id"], "reason": "too slow"}))
        await wait_until(lambda: texts_in(bot) != [], 300)
        assert "Release gate blocked · proj_checkout · staging" in texts_in(bot)[0]
        assert "too slow" in texts_in(bot)[0]


async def test_what_an_event_says_is_redacted_before_it_is_stored_or_shown(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe on:gate")
        facts = {"reason": f"{'x' * 490} token={TOKEN} <!channel> *now*", "name": f"by {TOKEN}"}
        await post_webhook(bot, gate_event(1, object={"id": "gate_1", **facts}))
        client = bot.app.store.client
        kept = [str(await client.hgetall(key)) async for key in client.scan_iter("*hints*")]
        await wait_until(lambda: texts_in(bot) != [], 300)
        assert not any(part in text for text in (*kept, *texts_in(bot)) for part in (TOKEN[:12], "<!channel>"))


async def test_a_run_that_zof_cannot_show_holds_no_other_up(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe project:*")
        broken = fail_run(bot, 1)
        bot.world.clock.advance(1)  # else their ids decide which is read first
        sound = fail_run(bot, 1, environment="production")
        bot.world.zof.raw[f"/runs/{broken['id']}"] = HttpReply(500, {"error": "no"})
        for number, run in enumerate((broken, sound)):
            await post_webhook(bot, webhook_event(run["id"], f"evt_{number}"))
        await wait_until(lambda: any(sound["id"] in text_of(message) for message in bot.public_messages()), 600)

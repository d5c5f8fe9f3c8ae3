"""What Zof says besides a failure, on cards and in threads: shown as far as it may be, and harmless."""

from __future__ import annotations

import json
from typing import Any

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, post_webhook, webhook_event
from zofbot.simulator.seed import PARTNERS
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import ZofRecord

IMAGE = "https://files.zof.ai/shots/1.png"
HOSTILE = "</pre> <!channel> <@U0ANA> *bold* https://evil.example/ token=FAKE4711planted99x"


def fail_case(bot: RunningBot, run_extras: dict[str, Any], result_extras: dict[str, Any]) -> ZofRecord:
    zof = bot.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly", **run_extras})
    case = {"name": "Cart total", "test_case_id": "tc_1", "failure_summary": "boom"}
    zof.add_result(run["id"], status="failed", **case, **result_extras)
    return zof.finish_run(run["id"])


def images_of(message: PostedMessage) -> list[str]:
    return [block["image_url"] for block in message.blocks if block["type"] == "image"]


def posted_in(bot: RunningBot, channel: str, kind: str) -> list[PostedMessage]:
    return [m for m in bot.world.slack.ledger if m.channel == channel and (m.idempotency_key or "").startswith(kind)]


async def test_cards_show_them_and_images_stay_in_our_threads(store_url: str) -> None:
    async with alerting_bot(store_url, zofbot_shared_details=True) as bot:
        await bot.type_text("/zof subscribe on:failed", channel="C0QA")
        await bot.type_text("/zof subscribe group:case", channel="C0CHECKOUT")
        await bot.type_text("/zof subscribe on:failed", channel=PARTNERS)
        run = fail_case(
            bot,
            {
                "git": {"commit": "9f2c41d7a0b35e88c1d2f3a4", "branch": "main"},
                "pr_url": "https://zof.ai/pulls/3?a=1&b=2",
            },
            {
                "screenshot_url": IMAGE,
                "video_url": "https://evil.example/v",
                "step": HOSTILE,
                "tags": ["smoke", "cart"],
            },
        )
        assert await post_webhook(bot, webhook_event(run["id"], "evt_extra")) == 200
        await wait_until(lambda: all(posted_in(bot, at, "result:") for at in ("C0QA", "C0CHECKOUT", PARTNERS)))

        (card,) = posted_in(bot, "C0QA", "run:")
        assert "`9f2c41d7a0b3`" in text_of(card)
        assert "`main`" in text_of(card)
        assert "<https://zof.ai/pulls/3?a=1&amp;b=2|Pull request>" in text_of(card)
        assert not images_of(card)
        assert "*Step*" not in text_of(card), "what happened stands in the thread"
        (reply,) = posted_in(bot, "C0QA", "result:")
        assert images_of(reply) == [IMAGE]
        assert "smoke, cart" in text_of(reply)
        (case_card,) = posted_in(bot, "C0CHECKOUT", "case:")
        assert not images_of(case_card)
        assert f"<{IMAGE}|Screenshot>" in text_of(case_card)
        assert images_of(posted_in(bot, "C0CHECKOUT", "result:")[0]) == [IMAGE]
        (shared,) = posted_in(bot, PARTNERS, "result:")
        assert "smoke, cart" in text_of(shared), "the operator allows details there"
        assert not images_of(shared)

        everything = json.dumps([m.blocks for m in bot.world.slack.ledger], ensure_ascii=False)
        for harm in ("<!channel>", "<@U0ANA>", "FAKE4711", "|Video>"):
            assert harm not in everything


async def test_a_refused_image_costs_only_the_image(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe on:failed", channel="C0QA")
        bot.world.slack.unreachable_images.add(IMAGE)
        run = fail_case(bot, {}, {"screenshot_url": IMAGE, "step": "Pay"})
        assert await post_webhook(bot, webhook_event(run["id"], "evt_image")) == 200
        await wait_until(lambda: bool(posted_in(bot, "C0QA", "result:")))
        (reply,) = posted_in(bot, "C0QA", "result:")
        assert not images_of(reply)
        assert "boom" in text_of(reply)
        assert "Pay" in text_of(reply)

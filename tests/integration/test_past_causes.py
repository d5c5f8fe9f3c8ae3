"""What the card of a failure says about the past of its cause and its case."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.cli import run_command
from tests.support.failing_runs import alerting_bot, post_webhook, webhook_event
from tests.support.triage import mention_bot, thread_of
from tests.support.virtual_time import machine_clock
from zofbot.simulator.slack.model import PostedMessage

PAUSE = 7200.0
STALE = "AssertionError: expected 3 items in the cart, got 2"


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url, clock=machine_clock()) as bot:
        yield bot


def record_run(bot: RunningBot, **failures: str) -> str:
    """End a run at Zof, with these cases and the texts of those that fail; a case without a text passes."""
    zof = bot.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly cart"})
    for case, text in failures.items():
        word = "failed" if text else "passed"
        zof.add_result(run["id"], status=word, name=case, test_case_id=f"tc_{case}", failure_summary=text or None)
    zof.finish_run(run["id"])
    return str(run["id"])


async def end_run(bot: RunningBot, **failures: str) -> str:
    """End a run two hours later, and have the bot hear of it."""
    bot.world.clock.advance(PAUSE)
    run_id = record_run(bot, **failures)
    kind = "run.failed" if any(failures.values()) else "run.completed"
    assert await post_webhook(bot, webhook_event(run_id, f"evt_{run_id}", kind)) == 200
    return run_id


def root_messages(bot: RunningBot) -> list[PostedMessage]:
    return [
        item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith(("run:", "case:", "storm:"))
    ]


def is_shown(bot: RunningBot, run_id: str) -> bool:
    return any(f"Run `{run_id}`" in text_of(item) for item in root_messages(bot))


def has_polled(bot: RunningBot, calls: int) -> bool:
    return len(bot.world.zof.calls) >= calls


async def next_root(bot: RunningBot, count: int) -> PostedMessage:
    await wait_until(lambda: len(root_messages(bot)) == count)
    return root_messages(bot)[-1]


async def test_a_cause_that_was_resolved_with_a_note_comes_back_in_another_case(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe layout:flat")
    await end_run(bot, cart=STALE)
    first = await next_root(bot, 1)
    assert "Seen" not in text_of(first)
    assert (await mention_bot(bot, first, "resolve test: stale fixture, see thread", "U0BEN")).is_accepted
    await wait_until(lambda: "*Resolved* by ben" in text_of(first))
    await end_run(bot, wish_list=STALE.replace("3", "5"))
    fresh = await next_root(bot, 2)
    assert "Seen 2 times since" in text_of(fresh)
    assert "last resolved by ben: _stale fixture, see thread_ (Test bug, " in text_of(fresh)
    assert f"/archives/{first.channel}/p" in text_of(fresh)
    assert "*Failing again*" not in text_of(fresh)


async def test_a_cause_with_a_message_of_its_own_is_remembered_too(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:cause")
    await end_run(bot, cart=STALE, wish_list=STALE)
    first = await next_root(bot, 1)
    assert (await mention_bot(bot, first, "resolve test: stale fixture", "U0BEN")).is_accepted
    await wait_until(lambda: "*Resolved* by ben" in text_of(first))
    await end_run(bot, search=STALE)
    fresh = await next_root(bot, 2)
    assert "Seen 2 times since" in text_of(fresh)
    assert "*Failing again* after ben resolved it" in text_of(fresh)
    assert "last resolved by ben" in text_of(fresh)
    assert f"/archives/{first.channel}/p" in text_of(fresh)


async def test_an_undone_resolution_is_not_remembered(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe layout:flat")
    await end_run(bot, cart=STALE)
    first = await next_root(bot, 1)
    assert (await mention_bot(bot, first, "resolve test: stale fixture", "U0BEN")).is_accepted
    await wait_until(lambda: "*Resolved* by ben" in text_of(first))
    assert (await mention_bot(bot, first, "undo", "U0BEN")).is_accepted
    await wait_until(lambda: "*Resolved*" not in text_of(first))
    await end_run(bot, wish_list=STALE)
    fresh = await next_root(bot, 2)
    assert "Seen 2 times since" in text_of(fresh)
    assert "last resolved" not in text_of(fresh)


async def test_a_new_a_known_and_a_flaky_failure_are_told_apart_and_the_flaky_one_mentions_nobody(
    bot: RunningBot,
) -> None:
    await bot.type_text("/zof subscribe group:case broadcast:never mention:<@U0BEN> escalate:5m-><@U0ANA>")
    for slow, old in (("slow", ""), ("", ""), ("slow", ""), ("", ""), ("", "old")):
        before = await end_run(bot, slow=slow, old=old, young="")
        if slow or old:  # on its own, so that the limit of mentions a minute leaves none out
            await wait_until(partial(is_shown, bot, before))
    await end_run(bot, slow="slow", old="old", young="young")
    await wait_until(lambda: any("Failed: young" in text_of(item) for item in root_messages(bot)))
    young = next(item for item in root_messages(bot) if "Failed: young" in text_of(item))
    assert f"🆕 *New*: passed in `{before}`, 2 h" in text_of(young)
    assert "<@U0BEN>" in text_of(young)
    old_root = next(item for item in root_messages(bot) if "Failed: old" in text_of(item))
    await wait_until(lambda: "⏳ *Still failing* since" in text_of(old_root))
    assert ", 2 runs" in text_of(old_root)
    slow_root = [item for item in root_messages(bot) if "Failed: slow" in text_of(item)][-1]
    assert "🎲 *Flaky*: failed 3 of the last 6" in text_of(slow_root)
    assert "<@U0BEN>" not in text_of(slow_root)
    bot.world.clock.advance(600)
    await wait_until(lambda: any("Escalated" in line for line in thread_of(bot, young)))
    assert not any("Escalated" in line for line in thread_of(bot, slow_root))


async def test_causes_are_listed_by_cost_and_one_is_shown_with_its_history_and_buttons(
    bot: RunningBot, store_url: str
) -> None:
    await bot.type_text("/zof subscribe layout:flat")
    assert "No failures with a known cause" in await bot.answer_text("/zof causes")
    await end_run(bot, cart=STALE, wish_list=STALE.replace("3", "5"), search="ConnectionError: no route to host")
    first = await next_root(bot, 1)
    assert (await mention_bot(bot, first, "resolve test: stale fixture", "U0BEN")).is_accepted
    await wait_until(lambda: "*Resolved* by ben" in text_of(first))
    await end_run(bot, cart=STALE)
    await next_root(bot, 2)
    listed = await bot.answer_text("/zof causes 2d")
    assert "2 causes in the last 2 days" in listed
    assert "open in this time counts, with all of its failures" in listed
    assert listed.index("expected 3 items") < listed.index("no route to host")
    assert "3 failures" in listed
    assert "2 alerts, 1 open" in listed
    signature = re.findall(r"s\d+-[0-9a-f]{16}", listed)[0]
    shown = await bot.answer_text(f"/zof cause {signature[-8:]}")
    assert "seen 2 times since" in shown
    assert "last resolved by ben: _stale fixture_ (Test bug, " in shown
    assert "zof_triage_acknowledge" in shown
    assert f"Cause `{signature}`" in shown
    assert "Name a time from `1m` to `38d`" in await bot.answer_text("/zof causes 90d")
    newest = await bot.answer_text("/zof causes 1h")
    assert "1 cause in" in newest
    await bot.press_button(bot.private_messages()[-1], "zof_cause")
    await wait_until(lambda: f"Cause `{signature}`" in text_of(bot.private_messages()[-1]))
    assert "No cause of this channel has the ID" in await bot.answer_text("/zof cause s1-ffff")
    assert "`/zof causes` lists them" in bot.private_messages()[-1].text
    exported = await run_command("causes", "--json", REDIS_URL=store_url)
    assert exported.code == 0, exported.err
    listed_causes = [json.loads(line) for line in exported.out.splitlines()]
    assert [cause["failures"] for cause in listed_causes] == [3, 1]
    assert listed_causes[0]["id"] == signature
    assert "expected 3 items" in listed_causes[0]["example"]
    shown_message = await run_command("outbox", "show", first.idempotency_key or "", REDIS_URL=store_url)
    assert signature in shown_message.out, "that of a cause is no secret"
    await bot.simulator.people.open_home("U0ANA")
    await wait_until(lambda: "Top causes" in str(bot.world.slack.homes.get("U0ANA")))


async def test_passes_are_read_for_a_channel_that_wants_only_flaky_failures(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe on:flaky")
        await wait_for_first_poll(bot)
        for text in ("slow", "", "slow", "", "slow"):
            assert not root_messages(bot)
            bot.world.clock.advance(PAUSE)
            record_run(bot, slow=text)
            await wait_until(partial(has_polled, bot, len(bot.world.zof.calls) + 20), 300)
        await next_root(bot, 1)


async def test_resolving_a_storm_is_remembered_for_the_causes_of_its_members(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case layout:flat")
    await end_run(bot, **{f"case_{number}": STALE for number in range(21)})
    await wait_until(lambda: any((item.idempotency_key or "").startswith("storm:") for item in root_messages(bot)))
    storm = next(item for item in root_messages(bot) if (item.idempotency_key or "").startswith("storm:"))
    assert (await mention_bot(bot, storm, "resolve test: stale fixture", "U0BEN")).is_accepted
    await wait_until(lambda: "*Resolved* by ben" in text_of(storm))
    await end_run(bot, search=STALE)
    await wait_until(lambda: any("last resolved by ben" in text_of(item) for item in root_messages(bot)))

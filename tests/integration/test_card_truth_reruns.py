"""Failed cases are run again once at a time, and the end of that names them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.triage import audit_entries, button_of, press_button, private_text, thread_of
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import RecordVariant, ZofRecord

ANA, BEN = "U0ANA", "U0BEN"
OFFER = "Re-run failed cases"


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url, zofbot_allow_runs=True) as bot:
        await bot.type_text("/zof subscribe group:run")
        yield bot


async def failed_run(bot: RunningBot) -> PostedMessage:
    """The card of a run with two failed cases."""
    run = fail_run(bot, 2)
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}")) == 200
    await wait_until(lambda: any((item.idempotency_key or "").startswith("run:") for item in bot.world.slack.ledger))
    return next(item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("run:"))


async def ask_for_rerun(bot: RunningBot, root: PostedMessage, user: str = ANA) -> PostedMessage:
    """Choose it in the menu; gives the question."""
    before = len(bot.private_messages(user=user))
    menu = button_of(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}}
    await press_button(bot, user, root, menu)
    await wait_until(lambda: len(bot.private_messages(user=user)) > before)
    return bot.private_messages(user=user)[-1]


async def start_rerun(bot: RunningBot, root: PostedMessage) -> ZofRecord:
    """Run them again; gives Zof's new run."""
    runs = len(bot.world.zof.runs)
    await bot.press_button(await ask_for_rerun(bot, root), "zof_rerun")
    await wait_until(lambda: any("started a re-run of the failed cases" in line for line in thread_of(bot, root)))
    assert len(bot.world.zof.runs) == runs + 1
    return [*bot.world.zof.runs.values()][-1]


async def end_rerun(bot: RunningBot, run: ZofRecord, *outcomes: str) -> None:
    """End the new run with these outcomes of its cases."""
    for number, outcome in enumerate(outcomes):
        bot.world.zof.add_result(run["id"], status=outcome, test_case_id=f"tc_{number}", name=f"Case {number}")
    bot.world.zof.finish_run(run["id"])
    kind = "run.failed" if "failed" in outcomes else "run.completed"
    assert await post_webhook(bot, webhook_event(run["id"], "evt_again", kind)) == 200


async def test_it_is_not_offered_while_one_is_under_way_and_again_once_that_has_ended(bot: RunningBot) -> None:
    root = await failed_run(bot)
    assert OFFER in text_of(root)
    run = await start_rerun(bot, root)
    await wait_until(lambda: OFFER not in text_of(root))
    await end_rerun(bot, run, "failed", "passed")
    await wait_until(lambda: OFFER in text_of(root))


async def test_whoever_asks_from_an_old_card_is_told_who_runs_them(bot: RunningBot) -> None:
    root = await failed_run(bot)
    bot.world.slack.faults.set_fault("429", only="chat.update")  # the card goes on offering it
    run = await start_rerun(bot, root)
    told = text_of(await ask_for_rerun(bot, root, BEN))
    assert "ana is already re-running the failed cases of nightly cart" in told
    assert run["id"] in told
    assert "zof_rerun" not in told


async def test_of_two_who_were_both_asked_the_second_is_told_that_the_first_was_faster(bot: RunningBot) -> None:
    root = await failed_run(bot)
    first, second = await ask_for_rerun(bot, root, ANA), await ask_for_rerun(bot, root, BEN)
    runs = len(bot.world.zof.runs)
    await bot.press_button(first, "zof_rerun", user=ANA)
    await bot.press_button(second, "zof_rerun", user=BEN)
    await wait_until(lambda: "ana is already re-running these cases" in private_text(bot, BEN))
    await wait_until(lambda: any("started a re-run of the failed cases" in line for line in thread_of(bot, root)))
    assert len(bot.world.zof.runs) == runs + 1
    assert len(await audit_entries(bot, "rerun")) == 1


@pytest.mark.parametrize("dialect", get_args(RecordVariant))
async def test_its_end_names_the_cases(bot: RunningBot, dialect: RecordVariant) -> None:
    bot.world.zof.dialect = dialect
    root = await failed_run(bot)
    await end_rerun(bot, await start_rerun(bot, root), "failed", "passed")
    await wait_until(lambda: any("Re-run finished: 1 case failed again" in line for line in thread_of(bot, root)))
    [ended] = [item for item in bot.world.slack.ledger if item.text.startswith("Re-run finished:")]
    assert ended.text == "Re-run finished: 1 case failed again: Case 0"
    shown = text_of(ended)
    assert "*❌ Failed again*\\n• Case 0" in shown
    assert "*✅ Passed*\\n• Case 1" in shown


async def test_cases_without_a_result_are_named_too(bot: RunningBot) -> None:
    root = await failed_run(bot)
    await end_rerun(bot, await start_rerun(bot, root), "failed")
    await wait_until(lambda: any(item.text.startswith("Re-run finished:") for item in bot.world.slack.ledger))
    [ended] = [item for item in bot.world.slack.ledger if item.text.startswith("Re-run finished:")]
    assert "*➖ No result*\\n• Case 1" in text_of(ended)


async def test_where_all_of_them_pass_the_recovery_names_them(bot: RunningBot) -> None:
    root = await failed_run(bot)
    await end_rerun(bot, await start_rerun(bot, root), "passed", "passed")
    await wait_until(lambda: any("Recovered" in line for line in thread_of(bot, root)))
    [recovered] = [item for item in bot.world.slack.ledger if item.thread_ts and item.text.startswith("Recovered")]
    assert "Re-run and passed*\\n• Case 0\\n• Case 1" in text_of(recovered)
    assert not any(item.text.startswith("Re-run finished:") for item in bot.world.slack.ledger)


async def test_where_zof_refuses_it_is_offered_again_and_the_audit_says_so(bot: RunningBot) -> None:
    root = await failed_run(bot)
    asked = await ask_for_rerun(bot, root)
    bot.world.zof.faults.set_fault("403")
    await bot.press_button(asked, "zof_rerun")
    await wait_until(lambda: "Request ID" in private_text(bot, ANA))
    bot.world.zof.faults.set_fault("none")
    await wait_until(lambda: OFFER in text_of(root))
    assert "Re-run the failed cases of" in text_of(await ask_for_rerun(bot, root))
    [entry] = await audit_entries(bot, "refused")
    assert entry.details["tried"] == "re-run failed cases"
    assert entry.zof_requests


async def test_a_run_of_which_nothing_is_heard_for_a_day_is_in_nobodys_way(bot: RunningBot) -> None:
    root = await failed_run(bot)
    bot.world.slack.faults.set_fault("429", only="chat.update")
    await start_rerun(bot, root)
    bot.world.clock.advance(25 * 3600)
    assert "Re-run the failed cases of" in text_of(await ask_for_rerun(bot, root))

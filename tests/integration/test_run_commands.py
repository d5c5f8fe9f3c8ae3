"""Runs that are ordered at Zof: what is asked first, who is told when it is refused, and what is left over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run
from tests.support.triage import audit_entries, button_of, forget_alert, press_button, raise_alert, thread_of
from tests.support.virtual_time import test_clock
from zofbot.alerting.state import command_hash
from zofbot.clients import make_zof_client
from zofbot.clock import MovableClock
from zofbot.config.manifest import SCOPES_BY_EVENT
from zofbot.services.run_command_records import RunCommand
from zofbot.services.run_commands import MAX_RETRY_SECONDS, RunCommands
from zofbot.simulator.slack.channel_changes import share_channel
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import HttpReply
from zofbot.triage import Actor

ANA = Actor(id="U0ANA", name="ana")


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url, zofbot_allow_runs=True) as bot:
        await bot.type_text("/zof subscribe group:case")
        yield bot


async def confirmation_message(bot: RunningBot, root: PostedMessage) -> PostedMessage:
    await press_button(bot, "U0ANA", root, button_of(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}})
    await wait_until(lambda: "Re-run the failed cases" in text_of(bot.private_messages()[-1]))
    return bot.private_messages()[-1]


async def pass_time(bot: RunningBot, seconds: float) -> None:
    """What a worker does so much later."""
    zof = make_zof_client(bot.settings, bot.app.events, test_clock())
    await RunCommands(bot.app.outbox, zof, MovableClock(lambda: test_clock().time() + seconds)).resume_stale()
    await zof.aclose()


async def open_orders(bot: RunningBot) -> dict[str, str]:
    return (await bot.app.outbox.read_hashes("orders"))["orders"]


async def test_the_question_says_how_much_is_run_and_one_press_or_three_are_one_act(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    asked = await confirmation_message(bot, root)
    assert "1 case in staging" in text_of(asked)
    runs = len(bot.world.zof.runs)
    await asyncio.gather(*(bot.press_button(asked, "zof_rerun") for _ in range(3)))
    await wait_until(lambda: any("started a re-run of the failed cases" in line for line in thread_of(bot, root)))
    await wait_until(lambda: "Re-running the failed cases" in text_of(asked))
    assert len(bot.world.zof.runs) == runs + 1
    [entry] = await audit_entries(bot, "rerun")
    assert (entry.user, entry.name, entry.key, entry.channel) == ("U0ANA", "ana", root.idempotency_key, "C0QA")
    assert entry.details["run"] in bot.world.zof.runs
    assert entry.request
    assert entry.zof_requests[0].startswith("req_")
    assert await open_orders(bot) == {}


async def test_zof_refusing_is_told_to_who_pressed_and_they_may_press_again(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    asked = await confirmation_message(bot, root)
    bot.world.zof.faults.set_fault("403", 1)
    await bot.press_button(asked, "zof_rerun")
    await wait_until(lambda: "may not start run" in text_of(bot.private_messages()[-1]))
    refused = text_of(bot.private_messages()[-1])
    assert "must give the key a higher role" in refused
    assert "Request ID: `req_" in refused
    assert await open_orders(bot) == {}
    await pass_time(bot, 600)
    assert not await audit_entries(bot, "rerun"), "what somebody heard was refused is not done behind their back"
    await bot.press_button(asked, "zof_rerun")
    await wait_until(lambda: any("started a re-run of the failed cases" in line for line in thread_of(bot, root)))
    assert len(await audit_entries(bot, "rerun")) == 1


async def test_after_a_refusal_that_zof_remembers_the_same_button_starts_the_run(bot: RunningBot) -> None:
    """Zof repeats its first answer to an Idempotency-Key (https://zof.ai/docs/api/results), a refusal, too."""
    root = await raise_alert(bot)
    asked = await confirmation_message(bot, root)
    bot.world.zof.raw["/runs"] = HttpReply(403, {"error": {"code": "forbidden", "message": "Not with this role."}})
    for _ in range(2):
        told = len(bot.private_messages())
        await bot.press_button(asked, "zof_rerun")
        await wait_until(lambda told=told: len(bot.private_messages()) > told)
        assert "may not start run" in text_of(bot.private_messages()[-1])
    del bot.world.zof.raw["/runs"]
    await bot.press_button(asked, "zof_rerun")
    await wait_until(lambda: any("started a re-run of the failed cases" in line for line in thread_of(bot, root)))
    assert len(await audit_entries(bot, "rerun")) == 1


@pytest.mark.parametrize("answer", ["", {"status": "queued"}, {"id": "not an id"}])
async def test_no_result_is_promised_of_a_run_that_zof_does_not_name(
    bot: RunningBot, answer: str | dict[str, str]
) -> None:
    root = await raise_alert(bot)
    asked = await confirmation_message(bot, root)
    bot.world.zof.raw["/runs"] = HttpReply(202, answer)
    await bot.press_button(asked, "zof_rerun")
    await wait_until(lambda: any("started a re-run of the failed cases" in line for line in thread_of(bot, root)))
    await wait_until(lambda: "Re-running the failed cases" in text_of(asked))
    for line in (text_of(asked), thread_of(bot, root)[-1]):
        assert "Zof returned no run ID, so the result can't be posted here. Look for the run in Zof." in line
        assert "will be posted" not in line


async def test_cases_that_zof_does_not_name_are_said_before_anything_is_asked(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    for result in bot.world.zof.results.values():
        result.pop("test_case_id", None)
    await press_button(bot, "U0ANA", root, button_of(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}})
    await wait_until(lambda: "Zof didn't say which cases these are" in text_of(bot.private_messages()[-1]))


async def test_a_question_that_nobody_knows_any_more_says_so(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    asked = await confirmation_message(bot, root)
    async for name in bot.app.store.client.scan_iter("*:order:*"):
        await bot.app.store.client.delete(name)
    await bot.press_button(asked, "zof_rerun")
    await wait_until(lambda: "This confirmation has expired" in text_of(bot.private_messages()[-1]))


async def test_an_alert_that_zof_has_forgotten_too_is_not_run_again(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    await forget_alert(bot, root)
    bot.world.zof.results.clear()
    await press_button(bot, "U0ANA", root, button_of(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}})
    await wait_until(lambda: "This alert has expired" in text_of(bot.private_messages()[-1]))


async def test_a_press_on_a_question_that_was_answered_long_ago_starts_nothing(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    asked = await confirmation_message(bot, root)
    as_it_was = list(asked.blocks)
    await bot.press_button(asked, "zof_rerun")
    await wait_until(lambda: "Re-running the failed cases" in text_of(bot.private_messages()[-1]))
    [entry] = await audit_entries(bot, "rerun")
    answer = bot.private_messages()[-1]
    answer.blocks, answer.text = as_it_was, "as a client shows it that was away"
    await bot.press_button(answer, "zof_rerun")
    await wait_until(lambda: "Re-running the failed cases" in text_of(bot.private_messages()[-1]))
    assert entry.details["run"] in text_of(bot.private_messages()[-1]), "it says which run that was"
    assert sum(call.method == "POST" for call in bot.world.zof.calls) == 1
    assert len(await audit_entries(bot, "rerun")) == 1
    assert await open_orders(bot) == {}


async def leave_command(bot: RunningBot, order: RunCommand) -> None:
    """An order whose taker died."""
    kept = order.model_dump_json(exclude_defaults=True)
    changes = {command_hash("name_1"): {"order": kept}, "orders": {"name_1": f"{test_clock().time():.0f}"}}
    await bot.app.outbox.commit([], changes=changes)


def rerun_command(root: PostedMessage, cases: list[str]) -> RunCommand:
    body = {"project_id": "proj_checkout", "environment": "staging", "test_case_ids": cases}
    return RunCommand(sort="rerun", channel="C0QA", key=root.idempotency_key or "", title="Case 0", body=body, by=ANA)


async def test_what_is_left_over_waits_for_its_taker_and_for_zof(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    await leave_command(bot, rerun_command(root, ["tc_0"]))
    await pass_time(bot, 30)
    assert await open_orders(bot), "whoever took it may still be at it"
    bot.world.zof.faults.set_fault("cut")
    await pass_time(bot, 90)
    assert await open_orders(bot)
    bot.world.zof.faults.set_fault("none")
    await pass_time(bot, 120)
    assert await open_orders(bot) == {}
    await wait_until(lambda: any("ana started a re-run of the failed cases" in line for line in thread_of(bot, root)))
    assert len(await audit_entries(bot, "rerun")) == 1


@pytest.mark.parametrize(("fault", "seconds"), [("403", 90), ("cut", MAX_RETRY_SECONDS + 90)])
async def test_what_zof_refuses_for_good_is_said_in_the_thread(bot: RunningBot, fault: str, seconds: float) -> None:
    root = await raise_alert(bot)
    await leave_command(bot, rerun_command(root, ["tc_0"]))
    bot.world.zof.faults.set_fault(fault)
    await pass_time(bot, seconds)
    await wait_until(lambda: any("were not re-run (requested by ana)" in line for line in thread_of(bot, root)))
    assert await open_orders(bot) == {}
    assert not await audit_entries(bot, "rerun")


@pytest.mark.parametrize("shared", [False, True])
async def test_zofs_words_about_a_refusal_are_for_our_own_channels(bot: RunningBot, shared: bool) -> None:
    root = await raise_alert(bot)
    bot.world.slack.events = set(SCOPES_BY_EVENT)
    if shared:
        await share_channel(bot.simulator.people, root.channel)
    await leave_command(bot, rerun_command(root, ["tc_0"]))
    bot.world.zof.raw["/runs"] = HttpReply(422, {"error": {"message": "The plan Internal is used up"}})
    await pass_time(bot, 90)
    await wait_until(lambda: any("were not re-run (requested by ana)" in line for line in thread_of(bot, root)))
    [line] = [line for line in thread_of(bot, root) if "were not re-run" in line]
    assert ("Internal" in line) is not shared
    assert ("Zof returned an error." in line) is shared
    assert "Request ID: req_" in line


async def test_a_run_to_be_cancelled_that_had_ended_is_let_be_and_a_refusal_is_told_in_person(
    bot: RunningBot,
) -> None:
    ended = fail_run(bot, 1)
    await leave_command(bot, RunCommand(sort="cancel", channel="C0QA", run=ended["id"], by=ANA))
    await pass_time(bot, 90)
    assert await open_orders(bot) == {}
    assert not await audit_entries(bot, "cancel")
    await leave_command(bot, RunCommand(sort="cancel", channel="C0QA", run="run_nowhere", by=ANA))
    await pass_time(bot, 90)
    await wait_until(lambda: any("Run run_nowhere was not canceled" in item.text for item in bot.world.slack.ledger))
    [told] = [item for item in bot.world.slack.ledger if "was not canceled" in item.text]
    assert told.channel == "D0ANA"
    assert "Request ID: req_" in told.text


async def test_an_order_that_cannot_be_read_is_given_up(bot: RunningBot) -> None:
    changes = {command_hash("name_1"): {"order": json.dumps({"sort": "sing"})}, "orders": {"name_1": "0"}}
    await bot.app.outbox.commit([], changes=changes)
    await pass_time(bot, 0)
    assert await open_orders(bot) == {}


async def test_an_order_whose_time_cannot_be_read_is_carried_out(bot: RunningBot) -> None:
    order = RunCommand(sort="cancel", channel="C0QA", run="run_nowhere", by=ANA)
    changes = {
        command_hash("name_1"): {"order": order.model_dump_json()},
        "orders": {"a": "no time", "b": "nan", "name_1": "soon"},
    }
    await bot.app.outbox.commit([], changes=changes)
    with capture_logs() as logs:
        await pass_time(bot, 0)
    assert await open_orders(bot) == {}
    refused = [line["name"] for line in logs if line["event"] == "run command refused"]
    assert refused == ["name_1"]
    unread = [line for line in logs if line["event"] == "unreadable time of a run command"]
    assert [line["name"] for line in unread] == ["a", "b", "name_1"]

"""The rounds of people on call: what is open, whom an escalation calls, how a shift went, and runs ended early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import SECRET, alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.rules import RuleBench, failed_finding, make_finding, make_subscription, passed_finding
from tests.support.triage import button_of, press_button, raise_alert, thread_of
from zofbot.alerting.state import rerun_hash
from zofbot.domain.errors import BadInput
from zofbot.domain.model import Outcome
from zofbot.notifications.idempotency import edit_key
from zofbot.simulator.seed import ON_CALL_GROUP
from zofbot.simulator.slack.model import PostedMessage
from zofbot.slack.views.oncall import ACKNOWLEDGE_ACTION_ID
from zofbot.store.audit import AuditLog
from zofbot.triage import Action, Actor, TriageRecord, TriageState
from zofbot.triage.shift_report import ActionRecord, FailureSummary, build_shift_report
from zofbot.triage.wake_times import parse_start_time

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0

# --- pure


def failure_summary(
    key: str, state: TriageState, *, began: float = NOW - 9 * HOUR, since: float = NOW - HOUR
) -> FailureSummary:
    return FailureSummary(
        key, f"title of {key}", began, TriageRecord(state=state, since=since, by=Actor(id="U1", name="Ana"))
    )


def test_a_shift_is_what_is_left_what_was_done_and_how_fast() -> None:
    told = build_shift_report(
        [
            failure_summary("a", TriageState.OPEN),
            failure_summary("b", TriageState.ACKNOWLEDGED, began=NOW - 2 * HOUR),
            failure_summary("c", TriageState.SNOOZED),
            failure_summary("d", TriageState.RESOLVED, began=NOW - 3 * HOUR, since=NOW - HOUR),
            failure_summary("e", TriageState.RECOVERED, began=NOW - 5 * HOUR, since=NOW - HOUR),
            failure_summary("f", TriageState.RESOLVED, since=NOW - 20 * HOUR),
        ],
        [
            ActionRecord("b", "acknowledge", "Ana", NOW - 2 * HOUR + 60),
            ActionRecord("d", "acknowledge", "Cem", NOW - 4 * HOUR),
            ActionRecord("b", "acknowledge", "Ben", NOW - 2 * HOUR + 600),
            ActionRecord("d", "acknowledge", "Ben", NOW - 3 * HOUR + 180),
            ActionRecord("d", "resolve", "Ben", NOW - HOUR),
            ActionRecord("f", "resolve", "Cem", NOW - 20 * HOUR),
        ],
        NOW - 12 * HOUR,
    )
    assert [item.key for item in told.open] == ["a", "b"]
    assert [item.key for item in told.snoozed] == ["c"]
    assert [item.key for item in told.resolved] == ["d"]
    assert [item.key for item in told.recovered] == ["e"]
    assert told.deeds == (("Ben", 3), ("Ana", 1), ("Cem", 1))
    assert told.answered == 120
    assert told.ended == 3 * HOUR


STORIES = st.lists(
    st.builds(
        failure_summary, st.sampled_from("abcdef"), st.sampled_from(TriageState), began=st.floats(NOW - 1e6, NOW),
        since=st.floats(NOW - 1e6, NOW),
    ),
    unique_by=lambda build: build.key,
)  # fmt: skip
DEEDS = st.lists(st.builds(
    ActionRecord, st.sampled_from("abcdefgh"), st.sampled_from([*Action, "rerun"]), st.sampled_from(["Ana", "Ben", ""]),
    st.floats(NOW - 1e6, NOW),
))  # fmt: skip


@given(STORIES, DEEDS, st.floats(NOW - 1e6, NOW))
def test_a_shift_counts_each_failure_at_most_once_and_each_deed_once(
    stories: list[FailureSummary], deeds: list[ActionRecord], since: float
) -> None:
    told = build_shift_report(stories, deeds, since)
    listed = [*told.open, *told.snoozed, *told.resolved, *told.recovered]
    assert len(listed) == len({item.key for item in listed})
    assert all(not item.present.state.is_closed or item.present.since >= since for item in listed)
    assert {story.key for story in stories if not story.present.state.is_closed} <= {item.key for item in listed}
    assert sum(number for _, number in told.deeds) == sum(deed.at >= since for deed in deeds)
    assert all(seconds is None or seconds >= 0 for seconds in (told.answered, told.ended))


@pytest.mark.parametrize(
    ("words", "hours"), [("8h", 8), ("since 90m", 1.5), ("22:00", 16), ("since 9am", 5), ("last 1d", 24)]
)
def test_since_when_is_said_as_people_say_it(words: str, hours: float) -> None:
    assert parse_start_time(words, NOW, ZoneInfo("Europe/Berlin")) == NOW - hours * HOUR


@pytest.mark.parametrize("words", ["", "yesterdayish", "0h", "90d", "25:00"])
def test_what_is_no_time_is_refused(words: str) -> None:
    with pytest.raises(BadInput):
        parse_start_time(words, NOW, UTC)


def rerun_of(root: str, finding_id: str = "run_2") -> RuleBench:
    house_ = RuleBench(make_subscription("group:case"))
    house_.process_findings(failed_finding("1", NOW, "a"))
    house_.memory = house_.memory.with_changes({rerun_hash(finding_id): {"root": root}})
    return house_


def test_how_a_run_ended_that_was_started_from_a_thread_is_said_there_once() -> None:
    root = "case:res_1_a:failed:C1"
    house_ = rerun_of(root)
    told = house_.process_findings(failed_finding("2", NOW + 60, "a"))
    assert f"rerun-ended:run_2:{root}" in told
    assert f"rerun-ended:run_2:{root}" not in house_.process_findings(failed_finding("2", NOW + 60, "a"))
    assert house_.memory.hashes[rerun_hash("run_2")] == {}


def test_a_recovery_by_that_run_says_as_much() -> None:
    root = "case:res_1_a:failed:C1"
    told = rerun_of(root).process_findings(passed_finding("2", NOW + 60, "a"))
    assert "recovered:res_1_a:failed:C1" in told
    assert not [key for key in told if key.startswith("rerun-ended:")]


def test_a_run_that_was_cancelled_is_an_answer_too() -> None:
    root = "case:res_1_a:failed:C1"
    told = rerun_of(root).process_findings(make_finding("2", NOW + 60, outcome=Outcome.CANCELED))
    assert told == [edit_key(root), f"rerun-ended:run_2:{root}"], "and the card offers to run them again"


# --- through the real door


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url, zofbot_allow_runs=True) as bot:
        await bot.type_text(
            f"/zof subscribe group:case layout:flat escalate:15m-><!subteam^{ON_CALL_GROUP}>,45m-><@U0CHIOMA>"
        )
        yield bot


async def test_subscriptions_name_whom_they_mention(bot: RunningBot) -> None:
    wish = "group:case layout:flat escalate:15m-&gt;@oncall-checkout,45m-&gt;@chioma"
    assert wish in await bot.answer_text("/zof subscriptions")
    await bot.type_text("/zof unsubscribe 1")
    await wait_until(lambda: sum(wish in text_of(message) for message in bot.public_messages()) == 2)


async def test_what_is_open_is_listed_oldest_first_with_who_has_it(bot: RunningBot) -> None:
    assert "No open failures in this channel" in await bot.answer_text("/zof triage")
    root = await raise_alert(bot)
    await press_button(bot, "U0BEN", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    listed = await bot.answer_text("/zof triage")
    assert "1 failure in this channel" in listed
    assert "ben · acknowledged" in listed
    assert root.ts.replace(".", "") in listed, "the title leads to the alert"
    assert "No open failures are assigned to you" in await bot.answer_text("/zof triage mine")
    assert "1 failure assigned to you" in await bot.answer_text("/zof triage mine", user="U0BEN")
    assert "Unknown option" in await bot.answer_text("/zof triage everything")
    await bot.type_text("/zof subscribe group:case", channel="C0INCIDENT")


async def test_long_lists_are_paged_and_private_channels_are_only_counted(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case layout:flat", channel="C0INCIDENT")
    finished = fail_run(bot, 12)
    assert await post_webhook(bot, webhook_event(finished["id"], "evt_many")) == 200

    async def is_listed() -> bool:
        return "12 failures" in await bot.answer_text("/zof triage")

    await wait_until(is_listed)
    assert "and 2 more failures" in await bot.answer_text("/zof triage")
    await bot.press_button(bot.private_messages()[-1], "zof_open_page")
    await wait_until(lambda: "11 to 12 of 12 failures" in text_of(bot.private_messages()[-1]))
    everywhere = await bot.answer_text("/zof triage all")
    assert "12 failures in all channels" in everywhere
    assert "12 failures in channels you can't see not shown" in everywhere


async def test_who_acknowledges_a_listed_failure_too_late_is_told_who_was_faster(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    await bot.answer_text("/zof triage")
    listed = bot.private_messages()[-1]
    await press_button(bot, "U0BEN", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await bot.press_button(listed, ACKNOWLEDGE_ACTION_ID)
    await wait_until(lambda: "Acknowledged by ben" in text_of(bot.private_messages()[-1]))


async def list_two_failures(bot: RunningBot) -> PostedMessage:
    """Fail two cases and return the list of them."""
    finished = fail_run(bot, 2)
    assert await post_webhook(bot, webhook_event(finished["id"], "evt_two")) == 200

    async def is_listed() -> bool:
        return "2 failures" in await bot.answer_text("/zof triage")

    await wait_until(is_listed)
    return bot.private_messages()[-1]


async def test_several_are_selected_only_while_slack_opens_the_form_and_one_is_open(bot: RunningBot) -> None:
    listed = await list_two_failures(bot)
    bot.world.slack.faults.set_fault("500", only="views.open")
    await bot.press_button(listed, "zof_do_select_rows")
    await wait_until(lambda: "Slack couldn't open the form." in text_of(bot.private_messages()[-1]))
    assert "Reference: `ref_" in text_of(bot.private_messages()[-1])
    bot.world.slack.faults.set_fault("none")

    def roots() -> list[PostedMessage]:
        return [item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("case:")]

    await wait_until(lambda: len(roots()) == 2)
    for root in roots():
        await press_button(bot, "U0BEN", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: all("Acknowledged" in text_of(root) for root in roots()))
    await bot.press_button(listed, "zof_do_select_rows")
    await wait_until(lambda: "Nothing to select." in text_of(bot.private_messages()[-1]))
    assert not bot.world.slack.modals.get("U0ANA")


async def test_a_selection_that_cannot_be_acknowledged_keeps_the_form_open_and_says_why(bot: RunningBot) -> None:
    listed = await list_two_failures(bot)
    client, index = bot.app.store.client, "{zofbot}:failures"
    times: dict[Any, Any] = await client.hgetall(index)
    await client.hset(index, mapping=dict.fromkeys(times, b"\xff"))  # not UTF-8, which nothing expects
    await bot.press_button(listed, "zof_do_select_rows")
    await wait_until(lambda: "Something went wrong in zofbot" in text_of(bot.private_messages()[-1]))
    await client.hset(index, mapping=times)
    await bot.press_button(listed, "zof_do_select_rows")
    await wait_until(lambda: bool(bot.world.slack.modals.get("U0ANA")))
    [view] = bot.world.slack.modals["U0ANA"]
    chosen = {"rows": {"rows": {"type": "checkboxes", "selected_options": [{"value": "0"}]}}}
    offered = view.payload["private_metadata"]
    view.payload["private_metadata"] = offered.replace("C0QA", "C0SEARCH", 1)
    await bot.simulator.people.submit_view("U0ANA", view.id, chosen)
    assert "is in another channel" in (view.errors or {})["rows"]
    view.payload["private_metadata"] = offered
    await client.config_set("maxmemory", "1")
    try:
        await bot.simulator.people.submit_view("U0ANA", view.id, chosen)
    finally:
        await client.config_set("maxmemory", "0")
    assert "store (Redis) rejects commands" in (view.errors or {})["rows"]
    await bot.simulator.people.submit_view("U0ANA", view.id, chosen)
    await wait_until(lambda: any("ana · acknowledged" in text_of(message) for message in bot.private_messages()))
    assert not bot.world.slack.modals["U0ANA"]


async def test_on_call_says_who_would_be_called_and_calls_nobody(bot: RunningBot) -> None:
    told = await bot.answer_text("/zof oncall")
    assert "after 15 min" in told
    assert "ana" in told.lower()
    assert "ben" in told.lower()
    assert "<@U0CHIOMA>" in told
    assert bot.private_messages()[-1].only_to == "U0ANA"
    assert "No escalation policy" in await bot.answer_text("/zof oncall", channel="C0SEARCH")


async def test_where_slack_does_not_say_who_is_in_a_group_that_is_said(bot: RunningBot) -> None:
    bot.world.slack.scopes.discard("usergroups:read")
    told = await bot.answer_text("/zof oncall")
    assert f"<!subteam^{ON_CALL_GROUP}> (members unknown)" in told
    assert "<@U0CHIOMA>" in told


async def test_a_handover_is_posted_once_in_the_name_of_who_asked(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    await press_button(bot, "U0BEN", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    assert "Handover posted" in await bot.answer_text("/zof handover 8h")
    await wait_until(lambda: any("Handover: 1 open" in text_of(message) for message in bot.public_messages()))
    [posted] = [message for message in bot.public_messages() if "Handover" in text_of(message)]
    assert "Requested by ana" in text_of(posted)
    assert "ben (1 action)" in text_of(posted)
    assert "Median time to acknowledge" in text_of(posted)
    assert "Unknown start time." in await bot.answer_text("/zof handover whenever")


async def test_a_handover_comes_where_the_bot_is_no_member_too(bot: RunningBot) -> None:
    assert "Handover posted" in await bot.answer_text("/zof handover", channel="C0INCIDENT")
    shown = [text_of(message) for message in bot.world.slack.messages["C0INCIDENT"].values() if not message.only_to]
    assert sum("Handover: 0 open" in item for item in shown) == 1


async def test_a_run_is_cancelled_once_somebody_has_seen_which(bot: RunningBot) -> None:
    started = bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly"})
    assert "Cancel" in await bot.answer_text(f"/zof cancel {started['id']}")
    asked = bot.private_messages()[-1]
    await asyncio.gather(bot.press_button(asked, "zof_cancel"), bot.press_button(asked, "zof_cancel"))
    await wait_until(lambda: bot.world.zof.runs[started["id"]]["status"] == "canceled")

    async def is_written() -> bool:
        entries = await AuditLog(bot.app.store.keyspace).read_records()
        told = [(entry.user, entry.details["run"]) for entry in entries if entry.act == "cancel"]
        return told == [("U0ANA", started["id"])]

    await wait_until(is_written)
    assert "Already finished" in await bot.answer_text(f"/zof cancel {started['id']}")
    assert "Request ID" in await bot.answer_text("/zof cancel run_nowhere")
    guest = bot.world.slack.channels["C0QA"].members
    guest.add("U0GUEST")
    assert "guest" in (await bot.answer_text("/zof cancel run_1", user="U0GUEST")).lower()


async def test_a_run_that_ends_before_the_button_is_pressed_says_so(bot: RunningBot) -> None:
    started = bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly"})
    await bot.answer_text(f"/zof cancel {started['id']}")
    bot.world.zof.finish_run(started["id"], "passed")
    await bot.press_button(bot.private_messages()[-1], "zof_cancel")
    await wait_until(lambda: "Already finished" in text_of(bot.private_messages()[-1]))


async def test_a_run_that_was_started_from_a_thread_is_watched_until_it_ends(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=1, zof_webhook_secret=SECRET,
                     zofbot_allow_runs=True) as bot:  # fmt: skip
        await wait_for_first_poll(bot)
        await bot.type_text("/zof subscribe group:case")
        root = await raise_alert(bot)
        await press_button(
            bot, "U0ANA", root, button_of(root, "zof_triage_more") | {"selected_option": {"value": "rerun"}}
        )
        await wait_until(
            lambda: any("Re-run the failed cases" in text_of(message) for message in bot.private_messages())
        )
        [asked] = [message for message in bot.private_messages() if "Re-run the failed cases" in text_of(message)]
        await bot.press_button(asked, "zof_rerun")
        await wait_until(lambda: any(run.get("test_case_ids") == ["tc_0"] for run in bot.world.zof.runs.values()))
        [started] = [run for run in bot.world.zof.runs.values() if run.get("test_case_ids") == ["tc_0"]]
        bot.world.zof.add_result(started["id"], status="failed", test_case_id="tc_0", name="Case 0")
        bot.world.zof.finish_run(started["id"])
        await wait_until(
            lambda: any("Re-run finished: 1 case failed again" in line for line in thread_of(bot, root)), 15
        )

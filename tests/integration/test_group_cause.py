"""``group:cause`` in Slack: one message for what fails for one reason in several projects, and what people do to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.storms import storm_bot, storm_roots, thread_text
from tests.support.triage import button_of, mention_bot, open_form, press_button, private_text, thread_of
from zofbot.alerting.failure_signature import make_signature
from zofbot.simulator.slack.model import PostedMessage

TIMEOUT = "TimeoutError: Timeout 30000ms exceeded waiting for locator('#pay') <@U0ANA> password=hunter2secret"
REFUSED = "ConnectionError: connect ECONNREFUSED 10.0.0.7:5432"
PROJECTS = ("proj_checkout", "proj_search", "proj_accounts")


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    """A bot in whose channel causes have their own messages."""
    async with storm_bot(store_url, "group:cause") as bot:
        yield bot


def end_run(bot: RunningBot, project: str, texts: tuple[str, ...]) -> str:
    """End a run now; its cases pass where their text is empty."""
    zof = bot.world.zof
    run = zof.start_run({"project_id": project, "environment": "staging", "name": "nightly"})
    for number, text in enumerate(texts):
        failed = {"failure_summary": text, "status": "failed"} if text else {"status": "passed"}
        zof.add_result(run["id"], name=f"Case {number}", test_case_id=f"{project}_{number}", **failed)
    return str(zof.finish_run(run["id"])["id"])


async def wait_for_cause(bot: RunningBot, words: str) -> PostedMessage:
    await wait_until(lambda: any(words in text_of(root) for root in storm_roots(bot)))
    return next(root for root in storm_roots(bot) if words in text_of(root))


async def test_one_cause_in_three_projects_is_one_message_until_all_have_passed(bot: RunningBot) -> None:
    run, *_ = [end_run(bot, project, (TIMEOUT, TIMEOUT, "")) for project in PROJECTS]
    root = await wait_for_cause(bot, "6 failures in 3 projects · 1 cause")
    for words in (*PROJECTS, "Timeout 30000ms exceeded", "Open in 3 of 3 places", "for example *Case 0*"):
        assert words in text_of(root)
    assert "hunter2secret" not in text_of(root)
    assert "<@U0ANA>" not in text_of(root)
    await wait_until(lambda: sum(line.startswith("2 cases with the same cause") for line in thread_of(bot, root)) == 3)
    assert "and 1 more case" in thread_text(bot, root)
    assert storm_roots(bot) == [root]
    why = await bot.answer_text(f"/zof why {run}")
    for words in (
        "The alert for its cause (6 failures in 3 places)",
        "2 failures with the same cause",
        "Case 0, Case 1",
    ):
        assert words in why
    assert make_signature(TIMEOUT).normalized.partition("<")[0] in why
    for project in PROJECTS:
        end_run(bot, project, ("", "", ""))
    await wait_until(lambda: root.text.startswith("Recovered"))
    await wait_until(lambda: "Recovered after" in thread_text(bot, root))


async def test_a_cause_is_snoozed_until_it_stops_and_resolved_as_one(bot: RunningBot) -> None:
    end_run(bot, PROJECTS[0], (TIMEOUT,))
    root = await wait_for_cause(bot, "1 failure · 1 cause")
    form = await open_form(bot, "U0BEN", root, "snooze")
    assert "until this cause stops" in str(bot.world.slack.modals["U0BEN"][-1])
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "until this cause stops"}}}
    assert (await bot.simulator.people.submit_view("U0BEN", form, words)).is_accepted
    await wait_until(lambda: root.text.startswith("Snoozed"))
    end_run(bot, PROJECTS[1], (TIMEOUT, REFUSED))
    await wait_for_cause(bot, "ECONNREFUSED")
    await wait_until(lambda: "2 failures in 2 projects" in root.text)
    assert root.text.startswith("Snoozed")
    assert "2 failures in this channel" in await bot.answer_text("/zof triage")
    assert (await mention_bot(bot, root, "resolve flaky: stale fixture")).is_accepted
    await wait_until(lambda: root.text.startswith("Resolved"))
    end_run(bot, PROJECTS[2], (TIMEOUT,))
    again = await wait_for_cause(bot, "Failing again")
    assert "stale fixture" in text_of(again)
    await press_button(bot, "U0ANA", again, button_of(again, "zof_triage_acknowledge"))
    await wait_until(lambda: again.text.startswith("Acknowledged"))
    await press_button(bot, "U0ANA", again, button_of(again, "zof_triage_more") | {"selected_option": {"value": "why"}})
    await wait_until(lambda: "its cause (1 failure in 1 place)" in private_text(bot, "U0ANA"))
    assert "· cause `s2-" in private_text(bot, "U0ANA")


async def test_what_is_done_to_a_cause_that_was_looked_up_is_done_to_its_message(bot: RunningBot) -> None:
    for project in PROJECTS[:2]:
        end_run(bot, project, (TIMEOUT,))
    root = await wait_for_cause(bot, "2 failures in 2 projects")
    shown = await bot.answer_text(f"/zof cause {make_signature(TIMEOUT).id}")
    assert "2 alerts, 2 open" in shown
    assert "the cause of Case 0" in shown
    assert "in a storm" not in shown
    posted = len(storm_roots(bot))
    await bot.press_button(bot.private_messages()[-1], "zof_triage_acknowledge")
    await wait_until(lambda: root.text.startswith("Acknowledged"))
    await wait_until(lambda: any("ana acknowledged this" in line for line in thread_of(bot, root)))
    assert len(storm_roots(bot)) == posted


async def test_a_cause_that_waits_for_a_mute_is_told_where_nothing_is_muted(bot: RunningBot) -> None:
    assert PROJECTS[0] in await bot.answer_text(f"/zof mute project:{PROJECTS[0]} 7d")
    run = end_run(bot, PROJECTS[0], (TIMEOUT,))

    async def is_held() -> bool:
        return "it is muted" in await bot.answer_text(f"/zof why {run}")

    await wait_until(is_held)
    assert storm_roots(bot) == []
    end_run(bot, PROJECTS[1], (TIMEOUT, TIMEOUT))
    told = await wait_for_cause(bot, "2 failures · 1 cause")
    assert PROJECTS[1] in text_of(told)
    assert PROJECTS[0] not in text_of(told)
    assert storm_roots(bot) == [told]
    await bot.answer_text("/zof unmute")
    await wait_until(lambda: len(storm_roots(bot)) == 2)
    assert PROJECTS[0] in text_of(storm_roots(bot)[1])

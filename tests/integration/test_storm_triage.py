"""A storm is one failure to work on: what is done about its summary is done about every alert in it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.storms import finish_runs, storm_bot, storm_roots, thread_text, wait_for_storm
from tests.support.triage import (
    audit_entries,
    button_of,
    flaky_resolution,
    mention_bot,
    open_form,
    press_button,
    private_text,
)
from zofbot.observability.emitter import EventEmitter
from zofbot.services.triage import TriageService
from zofbot.simulator.slack.model import PostedMessage


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    """A bot in whose channel sixty runs failed at once."""
    async with storm_bot(store_url, "mention:<@U0ANA> escalate:10m-><@U0BEN>") as bot:
        finish_runs(bot, 60)
        yield bot


def mentions_of(bot: RunningBot, person: str) -> list[PostedMessage]:
    """The public messages that mention somebody, where that notifies them."""
    return [message for message in bot.public_messages() if f"<@{person}>" in str([message.text, message.blocks])]


async def test_sixty_failing_runs_mention_twice_and_one_summary_counts_all(bot: RunningBot) -> None:
    summary = await wait_for_storm(bot, 60)
    assert len(storm_roots(bot, "run")) == 20
    assert len(storm_roots(bot, "storm")) == 1
    assert "60 of 60 alerts still open" in text_of(summary)
    assert len(mentions_of(bot, "U0ANA")) == 2
    assert "58 mentions left out" in text_of(summary)


async def test_the_thread_lists_every_alert_page_by_page(bot: RunningBot) -> None:
    summary = await wait_for_storm(bot, 60)
    await wait_until(lambda: all(f"Suite {number:03}" in thread_text(bot, summary) for number in range(60)))
    pages = [item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("members:")]
    assert len(pages) == 3
    assert all(page.thread_ts == summary.ts for page in pages)


async def test_triage_lists_every_alert(bot: RunningBot) -> None:
    await wait_for_storm(bot, 60)
    shown = await bot.answer_text("/zof triage")
    assert "60 failures in this channel" in shown
    assert "in a storm" in shown


async def test_home_and_the_handover_count_a_storm_as_one_thing_to_do(bot: RunningBot) -> None:
    summary = await wait_for_storm(bot, 60)
    await press_button(bot, "U0ANA", summary, button_of(summary, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in summary.text)
    await bot.simulator.people.open_home("U0ANA")
    await wait_until(lambda: "U0ANA" in bot.world.slack.homes)
    await wait_until(lambda: "the storm of 60 alerts" in json.dumps(bot.world.slack.homes["U0ANA"].payload))
    assert "Suite" not in json.dumps(bot.world.slack.homes["U0ANA"].payload)
    await bot.type_text("/zof handover 8h")
    await wait_until(lambda: any("Handover: 1 open" in message.text for message in bot.public_messages()))


async def test_to_acknowledge_the_summary_acknowledges_every_alert(bot: RunningBot) -> None:
    summary = await wait_for_storm(bot, 60)
    await press_button(bot, "U0BEN", summary, button_of(summary, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in summary.text)
    await wait_until(lambda: all("Acknowledged" in root.text for root in storm_roots(bot, "run")))
    failures = await TriageService(bot.app.outbox, bot.world.clock, EventEmitter()).list_failures("C0QA")
    assert len(failures) == 61
    assert {(failure.present.state.value, failure.present.owner.id) for failure in failures} == {
        ("acknowledged", "U0BEN")
    }
    assert len(await audit_entries(bot, "acknowledge")) == 1
    bot.world.clock.advance(1200)
    await bot.answer_text("/zof triage")
    assert not mentions_of(bot, "U0BEN"), "what is acknowledged is not escalated, in none of its parts"


async def test_a_storm_is_escalated_once(bot: RunningBot) -> None:
    summary = await wait_for_storm(bot, 60)
    bot.world.clock.advance(700)
    await wait_until(lambda: "Not acknowledged" in thread_text(bot, summary))
    bot.world.clock.advance(120)
    await bot.answer_text("/zof triage")
    assert [item.thread_ts for item in mentions_of(bot, "U0BEN")] == [summary.ts]


@pytest.mark.parametrize("place", ["the summary", "an alert in it"])
async def test_an_escalation_that_the_storm_sent_is_not_repeated(bot: RunningBot, place: str) -> None:
    summary = await wait_for_storm(bot, 60)
    bot.world.clock.advance(700)
    await wait_until(lambda: "Not acknowledged" in thread_text(bot, summary))
    await mention_bot(bot, summary if place == "the summary" else storm_roots(bot, "run")[0], "escalate")
    await wait_until(lambda: "Everyone in the escalation policy was already" in private_text(bot, "U0ANA"))
    assert len(mentions_of(bot, "U0BEN")) == 1


async def test_a_step_that_was_taken_for_one_alert_of_a_storm_is_not_repeated_for_it(bot: RunningBot) -> None:
    await wait_for_storm(bot, 60)
    first = storm_roots(bot, "run")[0]
    await wait_until(lambda: "Part of a storm" in text_of(first))
    await mention_bot(bot, first, "escalate")
    await wait_until(lambda: len(mentions_of(bot, "U0BEN")) == 1)
    await mention_bot(bot, first, "escalate", "U0BEN")
    await wait_until(lambda: "Everyone in the escalation policy was already" in private_text(bot, "U0BEN"))
    assert len(mentions_of(bot, "U0BEN")) == 1


async def test_a_storm_is_assigned_snoozed_and_resolved_as_one(bot: RunningBot) -> None:
    summary = await wait_for_storm(bot, 60)
    await mention_bot(bot, summary, "assign <@U0BEN>")
    await wait_until(lambda: any("assigned you the storm of 60 alerts" in item.text for item in bot.world.slack.ledger))
    await mention_bot(bot, summary, "snooze 2h")
    await wait_until(lambda: "Snoozed" in summary.text)
    await wait_until(lambda: all("Snoozed" in root.text for root in storm_roots(bot, "run")))
    await mention_bot(bot, summary, "resolve flaky: the runner was down")
    await wait_until(lambda: "Resolved" in summary.text)
    await wait_until(lambda: all("Resolved" in root.text for root in storm_roots(bot, "run")))
    assert "No open failures in this channel" in await bot.answer_text("/zof triage")


async def test_one_alert_of_a_storm_can_be_worked_on_by_itself(bot: RunningBot) -> None:
    summary = await wait_for_storm(bot, 60)
    first = storm_roots(bot, "run")[0]
    await wait_until(lambda: "Part of a storm" in text_of(first))
    await press_button(bot, "U0BEN", first, button_of(first, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in first.text)
    assert "Acknowledged" not in summary.text
    await press_button(bot, "U0ANA", summary, button_of(summary, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged* by ana" in text_of(first))


async def test_alerts_recover_one_by_one_and_the_summary_says_how_many_are_open(bot: RunningBot) -> None:
    summary = await wait_for_storm(bot, 60)
    finish_runs(bot, 12, "passed")
    finish_runs(bot, 10, "passed", first=40)
    await wait_until(lambda: "38 of 60 alerts still open" in text_of(summary))
    await wait_until(lambda: thread_text(bot, summary).count("recovered") >= 22)
    assert "38 failures in this channel" in await bot.answer_text("/zof triage")
    finish_runs(bot, 28, "passed", first=12)
    finish_runs(bot, 10, "passed", first=50)
    await wait_until(lambda: "All of 60 alerts recovered" in text_of(summary))
    await wait_until(lambda: "Recovered after" in thread_text(bot, summary))
    assert summary.text.startswith("Recovered")
    assert not bot.private_messages() or "No open failures" in await bot.answer_text("/zof triage")


async def test_an_alert_that_fails_again_is_said_in_the_thread_and_opens_the_storm(bot: RunningBot) -> None:
    summary = await wait_for_storm(bot, 60)
    finish_runs(bot, 60, "passed")
    await wait_until(lambda: "All of 60 alerts recovered" in text_of(summary))
    bot.world.clock.advance(60)
    alone = " ".join(map(text_of, storm_roots(bot, "run")))
    again = next(number for number in range(60) if f"Suite {number:03}" not in alone)
    finish_runs(bot, 1, first=again)
    await wait_until(lambda: "1 of 60 alerts still open" in text_of(summary))
    await wait_until(lambda: "Failing again" in thread_text(bot, summary))
    assert len(storm_roots(bot)) == 21, "no message but the thread's"


async def test_what_fails_again_after_its_storm_was_resolved_is_a_message_that_says_so(store_url: str) -> None:
    async with storm_bot(store_url, "group:case mention:<@U0BEN>") as bot:
        finish_runs(bot, 1, cases=30)
        summary = await wait_for_storm(bot, 30)
        await press_button(bot, "U0ANA", summary, button_of(summary, "zof_triage_acknowledge"))
        await wait_until(lambda: "Acknowledged" in summary.text)
        view = await open_form(bot, "U0ANA", summary, "resolve")
        await bot.simulator.people.submit_view("U0ANA", view, flaky_resolution())
        await wait_until(lambda: "Resolved" in summary.text)
        bot.world.clock.advance(60)
        finish_runs(bot, 1, cases=1)
        await wait_until(lambda: len(storm_roots(bot, "case")) == 1)
        [again] = storm_roots(bot, "case")
        assert "Failing again: Case 000-00" in again.text
        assert "after ana resolved it" in text_of(again)
        assert mentions_of(bot, "U0BEN") == [summary, again]
        assert "Resolved" in summary.text


async def test_a_critical_failure_and_one_of_another_subscription_stand_by_themselves(store_url: str) -> None:
    subscribed = "env:staging,production mention:<@U0ANA>", "env:qa mention:<@U0BEN> escalate:10m-><@U0BEN>"
    async with storm_bot(store_url, *subscribed) as bot:
        finish_runs(bot, 40)
        await wait_for_storm(bot, 40)
        [qa] = finish_runs(bot, 1, environment="qa", first=40)
        [production] = finish_runs(bot, 1, environment="production", first=41)
        keys = {f"run:{run['id']}:failed:C0QA" for run in (qa, production)}
        await wait_until(lambda: keys <= {root.idempotency_key for root in storm_roots(bot)})
        alone = next(root for root in storm_roots(bot) if qa["id"] in (root.idempotency_key or ""))
        assert mentions_of(bot, "U0BEN") == [alone]
        bot.world.clock.advance(650)
        await wait_until(lambda: "Not acknowledged" in thread_text(bot, alone))


async def test_thirty_failing_cases_of_one_run_are_named_and_listed(store_url: str) -> None:
    async with storm_bot(store_url, "group:case mention:<@U0ANA>") as bot:
        finish_runs(bot, 1, cases=30)
        summary = await wait_for_storm(bot, 30)
        await wait_until(lambda: all(f"Case 000-{number:02}" in thread_text(bot, summary) for number in range(30)))
        assert "All in run *Suite 000*" in text_of(summary)
        assert storm_roots(bot) == [summary]
        assert mentions_of(bot, "U0ANA") == [summary]

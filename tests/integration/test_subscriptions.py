"""Subscribing from Slack: the form, its preview, a test alert, editing and removing; over both transports."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bot import RunningBot, buttons_of, over_socket, running_bot, text_of, wait_until
from tests.support.strategies import SUBSCRIPTIONS
from tests.support.subscriptions import remove_subscription, store_subscription
from zofbot.alerting.preview import PreviewSimulation, assemble_findings
from zofbot.domain.errors import BadInput
from zofbot.domain.model import Outcome, Result, Run
from zofbot.listeners.subscription.preview import READ_TIMEOUT_SECONDS
from zofbot.notifications.preview_result import PreviewResult
from zofbot.simulator.blockkit import blocks
from zofbot.simulator.slack import client_views, payloads, views_api
from zofbot.simulator.slack.model import PostedMessage, View
from zofbot.slack.views import preview
from zofbot.slack.views.forms import parse_private_metadata
from zofbot.slack.views.subscription_form import form_parser, modal
from zofbot.slack.views.subscription_form.modal import SubscriptionFormState
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import EventType, Grouping, QuietHours, Subscription, Threshold, format_filters, parse_filters
from zofbot.subscriptions.model import MAX_SUBSCRIPTIONS

FORM = SubscriptionFormState("C0QA", "https://hooks.slack.example/commands/T0/1/abc", 1_750_000_000.0, "0123456789ab")
NOON = datetime(2026, 6, 10, 12, tzinfo=UTC).timestamp()


@pytest.fixture
async def working_bot(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[RunningBot]:
    """A bot that delivers and polls too seldom to matter."""
    async with running_bot(store_url, workers=True, socket=over_socket(request), zofbot_poll_interval=3600) as bot:
        yield bot


# --- the form, pure


def view_values(view: dict[str, Any]) -> dict[str, Any]:
    """What Slack would say stands in a form nobody has touched."""
    return views_api.view_state(View("V1", "U1", view, "h"))


def form_values(start: Subscription, room: str = "qa-alerts") -> dict[str, Any]:
    return modal.build_modal(FORM, room, start)


@given(SUBSCRIPTIONS)
def test_every_subscription_is_read_back_from_its_form_as_it_was(subscription: Subscription) -> None:
    view = form_values(subscription)
    assert blocks.find_problems(view, "modal") == []
    assert form_parser.parse_form(view_values(view)) == form_parser.ParsedForm(subscription)


@pytest.mark.parametrize("pattern", ["R&amp;D", "&&lt;", 'a"b', "a\\b", "a, b", "“x„", "-a b", "a:b", "a\nb", " a"])
def test_odd_patterns_are_read_back_from_the_form(pattern: str) -> None:
    wanted = Subscription(case=(f"x{pattern}", "y"))
    assert form_parser.parse_form(view_values(form_values(wanted))).subscription == wanted


def test_the_longest_subscription_that_can_be_typed_fits_into_the_form() -> None:
    values = ",".join("x" * 146 + f"{n:02}" for n in range(20))
    longest = parse_filters(f"project:{values} env:{values} case:{values} on:{','.join(EventType)} group:case")
    assert blocks.find_problems(form_values(longest), "modal") == []
    with pytest.raises(BadInput, match="longer than 3000"):
        parse_filters("case:" + ",".join("x" * 190 + str(n) for n in range(20)))


@given(SUBSCRIPTIONS, st.text(min_size=1, max_size=300))
def test_slack_takes_the_form_with_its_preview_or_what_is_wrong(subscription: Subscription, wrong: str) -> None:
    filled = form_parser.ParsedForm(subscription, {"project": wrong, "env": wrong})
    assert (
        blocks.find_problems(
            modal.with_preview(form_values(subscription), form_parser.invalid_form_text(filled)),
            "modal",
        )
        == []
    )


def test_what_a_form_carries_along_comes_back() -> None:
    assert parse_private_metadata(SubscriptionFormState, form_values(Subscription())) == FORM


@pytest.mark.parametrize(
    ("room", "hint"),
    [
        ("qa-alerts", ""),
        ("directmessage", "direct message with zofbot"),
        ("privategroup", "invite"),
        ("mpdm-ana--ben-1", "invite"),
    ],
)
def test_the_form_says_where_alerts_may_not_arrive(room: str, hint: str) -> None:
    shown = json.dumps(form_values(Subscription(), room)["blocks"][1])
    assert hint in shown
    assert bool(hint) == ("context" in shown)


def text_value(block: str, value: str) -> dict[str, Any]:
    return {block: {block: {"type": "plain_text_input", "value": value}}}


def picked_option(block: str, value: str) -> dict[str, Any]:
    return {block: {block: {"type": "radio_buttons", "selected_option": {"value": value}}}}


def picked_people(*users: str) -> dict[str, Any]:
    return {"people": {"people": {"type": "multi_users_select", "selected_users": list(users)}}}


def picked_times(*times: str) -> dict[str, Any]:
    """The pickers of quiet hours, from and until."""
    pickers = zip(("quiet_from", "quiet_until"), times, strict=False)
    return {"quiet_hours": {action: {"type": "timepicker", "selected_time": at} for action, at in pickers}}


def picked_step(number: int, after: str, *users: str) -> dict[str, Any]:
    block, people = f"escalate_after_{number}", f"escalate_people_{number}"
    chosen = {"type": "static_select", "selected_option": {"value": after} if after else None}
    return {block: {block: chosen}, people: {people: {"type": "multi_users_select", "selected_users": list(users)}}}


@pytest.mark.parametrize(
    ("values", "typed"),
    [
        (picked_times("22:00", "07:00"), "quiet:22:00-07:00"),
        (picked_times("08:00", "08:00"), ""),
        (picked_times("22:00", "07:00") | text_value("zone", "Europe/Berlin"), "quiet:22-7,Europe/Berlin"),
        (picked_step(1, "15m", "U1", "U2") | picked_step(2, "1h", "U3"), "escalate:15m-><@U1>,<@U2>,1h-><@U3>"),
        (text_value("project", "checkout, shop-*"), "project:checkout,shop-*"),
        (text_value("case", "cart total*\n-*flaky one*"), 'case:"cart total*","-*flaky one*"'),
        (text_value("case", "R&D"), "case:R&D"),
        (text_value("after", "3") | picked_option("window", "1d"), "after:3/1d"),
        (text_value("quiet", "22:00-07:00"), "quiet:22:00-07:00"),
        (
            text_value("quiet", "22-7, critical") | text_value("zone", "Europe/Berlin"),
            "quiet:22-7,critical,Europe/Berlin",
        ),
        (
            text_value("groups", "S0614TZR7, <!subteam^S9|@shop>") | picked_people("U1"),
            "mention:<@U1>,<!subteam^S0614TZR7>,<!subteam^S9>",
        ),
        (
            text_value("escalate", "45m -> U1, 15m->S9, U2") | text_value("reack", "4h"),
            "escalate:45m-><@U1>,15m-><!subteam^S9>,<@U2> reack:4h",
        ),
    ],
)
def test_what_people_fill_in_is_what_they_would_type(values: dict[str, Any], typed: str) -> None:
    assert form_parser.parse_form(view_values(form_values(Subscription())) | values) == form_parser.ParsedForm(
        parse_filters(typed)
    )


@pytest.mark.parametrize(
    ("values", "block", "typed"),
    [
        (text_value("project", "x" * 201), "project", "project:" + "x" * 201),
        (text_value("env", "-"), "env", "env:-"),
        (text_value("case", '"say hi'), "case", 'case:"say hi'),
        (text_value("after", "1"), "after", "after:1/1h"),
        (text_value("after", "many"), "after", "after:many/1h"),
        (text_value("quiet", "late"), "quiet", "quiet:late"),
        (text_value("quiet", "22:00-07:00") | text_value("zone", "Berlin"), "zone", "quiet:22:00-07:00,Berlin"),
        (picked_people(*(f"U{n}" for n in range(21))), "people", "mention:" + ",".join(f"<@U{n}>" for n in range(21))),
        (picked_people(*(f"U{n}" for n in range(20))) | text_value("groups", "S1"), "people",
         "mention:" + ",".join(f"<@U{n}>" for n in range(21))),
        (text_value("reack", "10s"), "reack", "reack:10s"),
        ({"on": {"on": {"type": "checkboxes", "selected_options": []}}}, "on", "on:"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_in_words_of_the_form(values: dict[str, Any], block: str, typed: str) -> None:
    with pytest.raises(BadInput):
        parse_filters(typed)
    errors = form_parser.parse_form(view_values(form_values(Subscription())) | values).errors
    assert list(errors) == [block]
    assert "`" not in errors[block]
    assert not re.search(r"\b(project|env|case|after|quiet|mention|escalate|reack|on):", errors[block])
    assert len(re.findall(r"[.?](?: |$)", errors[block])) >= 2, "what is wrong, and what to enter"


def test_a_group_that_is_no_id_says_where_to_find_one() -> None:
    errors = form_parser.parse_form(view_values(form_values(Subscription())) | text_value("groups", "@oncall")).errors
    assert errors == {"groups": "zofbot doesn't know @oncall. " + form_parser.field_error_text(BadInput(""), "groups")}


@pytest.mark.parametrize(
    ("values", "block", "said"),
    [
        (picked_times("22:00"), "quiet_hours", "Quiet hours need two times. Choose both"),
        (picked_times("22:00", "07:00") | text_value("zone", "Berlin"), "zone", "Enter a name such as Europe/Berlin."),
        (picked_step(2, "15m"), "escalate_after_2", "Escalation 2 needs a time and someone to mention."),
        (picked_step(1, "", "U1"), "escalate_after_1", "Choose both, or neither."),
    ],
)
def test_half_a_choice_is_said_in_words_of_the_form(values: dict[str, Any], block: str, said: str) -> None:
    errors = form_parser.parse_form(view_values(form_values(Subscription())) | values).errors
    assert list(errors) == [block]
    assert said in errors[block]


def test_several_wrong_fields_are_said_at_once_and_the_rest_is_understood() -> None:
    filled = form_parser.parse_form(
        view_values(form_values(Subscription()))
        | text_value("env", "-")
        | text_value("quiet", "?")
        | text_value("case", "cart*")
    )
    assert set(filled.errors) == {"env", "quiet"}
    assert filled.subscription == Subscription(case=("cart*",))


# --- the preview, pure


def failing_pair(
    number: int, at: float, *, case: str = "tc_1", outcome: Outcome = Outcome.FAILED
) -> tuple[Run, Result]:
    when = datetime.fromtimestamp(at, UTC)
    run = Run(id=f"run_{number}", outcome=outcome, title="nightly", project_name="checkout", ended=when)
    result = Result(
        id=f"res_{number}", run_id=run.id, outcome=outcome, case_id=case, project_name="checkout", ended=when
    )
    return run, result


def run_preview(subscription: Subscription, pairs: list[tuple[Run, Result]]) -> PreviewResult:
    rehearsal = PreviewSimulation(subscription)
    found = assemble_findings([run for run, _ in pairs], [result for _, result in pairs], NOON - 7 * 86400, NOON)
    for at in range(0, len(found), 2):
        rehearsal.play_findings(found[at : at + 2])
    return rehearsal.preview_result()


def test_a_preview_counts_messages_by_day_and_replies_apart() -> None:
    week = [failing_pair(n, NOON - n * 7200) for n in range(20)]
    seen = run_preview(Subscription(created=NOON), week)
    days = [datetime.fromtimestamp(NOON - n * 7200, UTC).date() for n in range(20)]
    worst = max(days.count(day) for day in days)
    assert (seen.messages, seen.worst, seen.replies) == (20, worst, 20)
    assert seen.day is not None
    assert days.count(seen.day) == worst


def test_a_preview_keeps_the_rules_of_grouping_filters_and_after() -> None:
    week = [failing_pair(n, NOON - n * 7200) for n in range(20)]
    assert run_preview(Subscription(group=Grouping.CASE), week).messages == 1
    assert run_preview(Subscription(project=("search",)), week).messages == 0
    assert run_preview(Subscription(after=Threshold(count=3, window=5 * 3600)), week).messages == 18
    assert run_preview(Subscription(on=(EventType.ERROR,)), week).messages == 0


def test_a_case_that_passed_in_between_is_a_message_again() -> None:
    failed = [failing_pair(n, NOON - n * 86400) for n in (1, 3, 5)]
    passed = [failing_pair(n, NOON - n * 86400, outcome=Outcome.PASSED) for n in (2, 4)]
    seen = run_preview(Subscription(group=Grouping.CASE), failed + passed)
    assert (seen.messages, seen.replies) == (3, 2)


def test_a_preview_puts_what_quiet_hours_hold_into_the_day_it_would_come() -> None:
    night = datetime(2026, 6, 9, 23, tzinfo=UTC).timestamp()
    seen = run_preview(Subscription(quiet=QuietHours(start=22 * 60, end=7 * 60)), [failing_pair(1, night)])
    assert str(seen.day) == "2026-06-10"


def test_a_storm_is_previewed_as_the_few_messages_it_would_be() -> None:
    assert run_preview(Subscription(), [failing_pair(n, NOON - 30 + n / 2) for n in range(60)]).messages == 21


def test_results_whose_run_was_not_listed_are_one_run() -> None:
    pairs = [failing_pair(1, NOON - 60), failing_pair(2, NOON - 60)]
    lost = [result.model_copy(update={"run_id": "run_x", "case_id": result.id}) for _, result in pairs]
    [found] = assemble_findings([], lost, 0, NOON)
    assert (found.run.id, len(found.failures), found.has_ended) == ("run_x", 2, True)


def test_a_preview_leaves_out_what_is_older_or_has_no_time() -> None:
    old, _ = failing_pair(1, NOON - 8 * 86400)
    assert assemble_findings([old, Run(id="run_2", outcome=Outcome.FAILED)], [], NOON - 7 * 86400, NOON) == []


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (PreviewResult(), "posted nothing."),
        (PreviewResult(1, 1, datetime(2026, 6, 9, tzinfo=UTC).date()), "posted *1 message*."),
        (PreviewResult(21, 6, datetime(2026, 6, 9, tzinfo=UTC).date(), 1),
         "posted *21 messages*, 6 on the worst day (Tuesday, June 9), and 1 reply in threads."),
        (PreviewResult(2, 2, datetime(2026, 6, 9, tzinfo=UTC).date(), partial=True),
         "at least *2 messages*, 2 on the worst day (Tuesday, June 9). Incomplete: Zof has more"),
        (PreviewResult(partial=True), "posted nothing so far. Incomplete: Zof has more"),
        (PreviewResult(unlisted=True), "aren't counted"),
    ],
)  # fmt: skip
def test_a_preview_is_one_sentence(seen: PreviewResult, sentence: str) -> None:
    assert sentence in preview.preview_text(seen)


# --- the walk


def top_modal(bot: RunningBot, user: str = "U0ANA") -> View:
    [view] = bot.world.slack.modals[user]
    return view


async def open_form(bot: RunningBot, *, channel: str = "C0QA") -> View:
    assert (await bot.type_text("/zof subscribe", channel=channel)).status == 200
    await wait_until(lambda: bool(bot.world.slack.modals.get("U0ANA")))
    return top_modal(bot)


def last_message(bot: RunningBot, channel: str = "C0QA") -> PostedMessage:
    return bot.private_messages(channel)[-1]


async def wait_for_answer(bot: RunningBot, words: str, channel: str = "C0QA") -> PostedMessage:
    await wait_until(lambda: any(words in text_of(message) for message in bot.private_messages(channel)))
    return next(message for message in reversed(bot.private_messages(channel)) if words in text_of(message))


async def wait_for_line(bot: RunningBot, words: str, channel: str = "C0QA") -> None:
    await wait_until(lambda: any(words in text_of(message) for message in bot.public_messages(channel)))


async def test_typed_alone_it_opens_a_form_that_subscribes_and_previews(working_bot: RunningBot) -> None:
    view = await open_form(working_bot)
    assert not working_bot.private_messages()
    labels = [block["label"]["text"] for block in view.payload["blocks"] if block["type"] == "input"]
    assert labels == ["Projects", "Environments", "Notify on", "Mention people", "Mention user groups"]
    assert "*Quiet hours*" in shown_text(view)
    await press_in(working_bot, view, modal.MORE_ACTION_ID, text_value("project", "checkout"))
    await wait_until(lambda: "Escalation 2" in shown_text(view))
    values = text_value("case", "-flaky")
    outcome = await working_bot.simulator.people.submit_view("U0ANA", view.id, values)
    assert (outcome.status, working_bot.world.slack.modals["U0ANA"]) == (200, [])
    await wait_for_answer(working_bot, "Subscribed: matching failures will be posted here")
    await wait_for_line(working_bot, "ana subscribed this channel to project:checkout case:-flaky.")
    previewed = await wait_for_answer(working_bot, "Over the last 7 days this would have posted")
    assert "Subscribed: matching failures will be posted here" not in text_of(previewed), "it adds only what is new"
    assert len(working_bot.private_messages()) == 2
    assert "project:checkout case:-flaky" in await working_bot.answer_text("/zof subscriptions")


@pytest.mark.parametrize("working_bot", ["http", "socket"], indirect=True)
async def test_a_wrong_field_keeps_the_form_open_with_the_reason_beside_it(working_bot: RunningBot) -> None:
    view = await open_form(working_bot)
    await working_bot.simulator.people.submit_view("U0ANA", view.id, picked_times("22:00") | text_value("env", "-"))
    assert {block: words.split(".")[0] for block, words in (top_modal(working_bot).errors or {}).items()} == {
        "env": "A value of this field is empty",
    }
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("env", "production"))
    assert "• Quiet hours need two times. Choose both" in shown_text(top_modal(working_bot)), "a row shows no error"
    await working_bot.simulator.people.submit_view("U0ANA", view.id, picked_times("22:00", "07:00"))
    await wait_for_line(working_bot, "to env:production quiet:22:00-07:00,Europe/Berlin.")


async def press_in(bot: RunningBot, view: View, action: str, values: dict[str, Any] | None = None) -> None:
    outcome = await bot.simulator.people.press_element("U0ANA", {"action_id": action}, view_id=view.id, values=values)
    assert outcome.status == 200


def shown_text(view: View) -> str:
    return json.dumps(view.payload, ensure_ascii=False)


async def test_the_form_previews_itself_and_keeps_what_was_typed(working_bot: RunningBot) -> None:
    view = await open_form(working_bot)
    await press_in(working_bot, view, modal.PREVIEW_ACTION_ID, text_value("project", "nothing-of-that-name"))
    await wait_until(lambda: "would have posted nothing" in shown_text(view))
    await press_in(working_bot, view, modal.PREVIEW_ACTION_ID, text_value("project", "checkout"))
    await wait_until(lambda: "messages*" in shown_text(view))
    await press_in(working_bot, view, modal.PREVIEW_ACTION_ID, text_value("project", '"'))
    await wait_until(lambda: "A quote isn't closed" in shown_text(view))
    await working_bot.simulator.people.submit_view(
        "U0ANA", view.id, text_value("env", "staging") | text_value("project", "checkout")
    )
    await wait_for_line(working_bot, "to project:checkout env:staging.")


async def test_a_preview_that_further_fields_overtake_is_not_promised_any_more(working_bot: RunningBot) -> None:
    view = await open_form(working_bot)
    working_bot.world.zof.faults.delays["slow"] = 0.3
    working_bot.world.zof.faults.set_fault("slow", 1)
    await press_in(working_bot, view, modal.PREVIEW_ACTION_ID)
    await wait_until(lambda: "Checking the last" in shown_text(view))
    await press_in(working_bot, view, modal.MORE_ACTION_ID)
    await wait_until(lambda: any(call.error == "hash_conflict" for call in working_bot.world.slack.calls))
    assert "Escalation 2" in shown_text(view)
    assert "Checking the last" not in shown_text(view)
    await press_in(working_bot, view, modal.PREVIEW_ACTION_ID)
    await wait_until(lambda: "Over the last 7 days" in shown_text(view))
    await press_in(working_bot, view, modal.PREVIEW_ACTION_ID)
    assert "Escalation 2" in shown_text(view)


async def test_a_preview_that_is_shown_stays_when_further_fields_come(working_bot: RunningBot) -> None:
    view = await open_form(working_bot)
    await press_in(working_bot, view, modal.PREVIEW_ACTION_ID)
    await wait_until(lambda: "Over the last 7 days" in shown_text(view))
    await press_in(working_bot, view, modal.MORE_ACTION_ID)
    await wait_until(lambda: "Escalation 2" in shown_text(view))
    assert "Over the last 7 days" in shown_text(view)


async def test_a_preview_of_a_form_that_was_closed_meanwhile_harms_nobody(working_bot: RunningBot) -> None:
    view = await open_form(working_bot)
    working_bot.world.zof.faults.delays["slow"] = 0.3
    working_bot.world.zof.faults.set_fault("slow", 1)
    await press_in(working_bot, view, modal.PREVIEW_ACTION_ID)
    await wait_until(lambda: "Checking the last" in shown_text(view))
    await working_bot.simulator.people.dismiss_view("U0ANA", view.id)
    await wait_until(lambda: any(call.error == "not_found" for call in working_bot.world.slack.calls))
    assert "No subscriptions in this channel yet" in await working_bot.answer_text("/zof subscriptions")


async def test_a_form_that_was_closed_before_its_further_fields_came_stays_closed(working_bot: RunningBot) -> None:
    view, people, slack = await open_form(working_bot), working_bot.simulator.people, working_bot.world.slack
    chosen = {"action_id": "quiet_from", "selected_time": "22:00"}
    assert (await people.press_element("U0ANA", chosen, view_id=view.id)).is_accepted
    slack.faults.set_fault("error:not_found", 1, only="views.update")
    with structlog.testing.capture_logs() as lines:
        await press_in(working_bot, view, modal.MORE_ACTION_ID)
        await wait_until(lambda: any(line["event"] == "more options not shown" for line in lines))
    assert not working_bot.private_messages()


async def test_a_preview_that_zof_is_too_slow_for_says_what_it_has(working_bot: RunningBot) -> None:
    zof = working_bot.world.zof
    zof.faults.delays["slow"] = 9.0
    zof.faults.set_fault("slow")
    await working_bot.answer_text("/zof subscribe project:checkout")
    message = await wait_for_answer(working_bot, "Over the last 7 days")
    assert "Incomplete: Zof" in text_of(message)


async def test_the_typed_line_answers_first_and_previews_later(working_bot: RunningBot) -> None:
    assert "Subscribed: matching failures will be posted here" in await working_bot.answer_text(
        "/zof subscribe project:checkout"
    )
    await wait_for_answer(working_bot, "Over the last 7 days this would have posted")
    assert len(working_bot.private_messages()) == 2


async def test_without_zof_the_subscription_stands_and_says_why_there_is_no_preview(working_bot: RunningBot) -> None:
    working_bot.world.zof.key = "zof_live_another"
    assert "Subscribed: matching failures will be posted here" in await working_bot.answer_text(
        "/zof subscribe project:checkout"
    )
    message = await wait_for_answer(working_bot, "No preview")
    assert "Request ID: `" in text_of(message)
    assert "project:checkout" in await working_bot.answer_text("/zof subscriptions")


async def test_a_subscription_is_edited_in_its_form_and_keeps_its_birth(working_bot: RunningBot) -> None:
    await working_bot.answer_text("/zof subscribe project:checkout mention:@ben quiet:22:00-07:00,critical")
    await wait_for_answer(working_bot, "Over the last 7 days")
    [before] = await saved_subscriptions(working_bot)
    await working_bot.answer_text("/zof subscriptions")
    await working_bot.press_button(last_message(working_bot), "zof_edit", user="U0ANA")
    await wait_until(lambda: bool(working_bot.world.slack.modals.get("U0ANA")))
    view = top_modal(working_bot)
    assert "Edit subscription" in shown_text(view)
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "search"))
    await wait_for_line(working_bot, "ana changed this channel's subscription from project:checkout")
    await wait_for_answer(working_bot, "Subscription updated")
    [after] = await saved_subscriptions(working_bot)
    assert after == before.model_copy(update={"project": ("search",)})
    assert after.created > 0


async def saved_subscriptions(bot: RunningBot) -> list[Subscription]:
    records = await bot.app.store.client.hgetall("{zofbot}:subscriptions")
    return [Subscription.model_validate_json(record) for record in records.values()]


async def test_what_ended_while_its_form_was_open_does_not_come_back(working_bot: RunningBot) -> None:
    await working_bot.answer_text("/zof subscribe project:checkout")
    await working_bot.answer_text("/zof subscriptions")
    await working_bot.press_button(last_message(working_bot), "zof_edit")
    await wait_until(lambda: bool(working_bot.world.slack.modals.get("U0ANA")))
    view = top_modal(working_bot)
    await working_bot.answer_text("/zof unsubscribe all", user="U0BEN")
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "search"))
    assert "was already removed" in (top_modal(working_bot).errors or {})["project"]
    assert await saved_subscriptions(working_bot) == []


@pytest.mark.parametrize("by", ["words", "form"])
async def test_what_ends_while_slack_is_asked_for_names_has_ended(working_bot: RunningBot, by: str) -> None:
    keyspace, slack = working_bot.app.store.keyspace, working_bot.world.slack
    first = parse_filters("project:checkout").model_copy(update={"id": "s1", "channel": "C0QA"})
    await store_subscription(keyspace, first)
    if by == "form":
        await working_bot.answer_text("/zof subscriptions")
    await store_subscription(keyspace, first.model_copy(update={"mention": ("U0BEN",)}))
    if by == "form":
        await working_bot.press_button(last_message(working_bot), "zof_edit")
        await wait_until(lambda: bool(slack.modals.get("U0ANA")))
    slack.faults.delays["slow"] = 0.5
    slack.faults.set_fault("slow", only="users.info")
    if by == "form":
        acting = asyncio.create_task(
            working_bot.simulator.people.submit_view(
                "U0ANA", top_modal(working_bot).id, text_value("project", "search")
            )
        )
    else:
        acting = asyncio.create_task(working_bot.type_text("/zof unsubscribe 1"))
    await wait_until(lambda: any(call.arguments.get("user") == "U0BEN" for call in slack.calls))
    await remove_subscription(keyspace, "s1")
    await acting
    told = str(top_modal(working_bot).errors) if by == "form" else text_of(last_message(working_bot))
    assert "That subscription was already removed" in told
    assert await saved_subscriptions(working_bot) == []
    assert working_bot.public_messages() == []


async def test_one_form_submitted_twice_is_one_subscription(working_bot: RunningBot) -> None:
    view = await open_form(working_bot)
    working_bot.world.slack.request_url, real = "http://127.0.0.1:9/nobody", working_bot.world.slack.request_url
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "checkout"))
    assert top_modal(working_bot) is view, "the client keeps a form whose answer was lost"
    working_bot.world.slack.request_url = real
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "checkout"))
    working_bot.world.slack.modals["U0ANA"] = [view]
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "search"))
    [kept] = await saved_subscriptions(working_bot)
    assert format_filters(kept) == "project:search"


async def test_a_form_corrected_and_submitted_again_with_the_same_trigger_is_saved(bot: RunningBot) -> None:
    """Emulators of Slack have one trigger for all."""
    view, slack = await open_form(bot), bot.world.slack
    answers = []
    for values in (text_value("project", "-"), text_value("project", "checkout")):
        client_views.fill_view(view, values)
        payload = payloads.submission_payload(slack, slack.users["U0ANA"], view) | {"trigger_id": "1.2.a"}
        answers.append(await bot.simulator.people.deliver_payload("interactive", payload))
    assert "errors" in str(answers[0].body)
    assert not answers[1].body
    [kept] = await saved_subscriptions(bot)
    assert format_filters(kept) == "project:checkout"


async def test_the_same_form_submitted_again_is_saved_once_it_is_valid(bot: RunningBot) -> None:
    view, slack = await open_form(bot), bot.world.slack
    client_views.fill_view(view, text_value("project", "checkout") | picked_people("U0BEN"))
    payload = payloads.submission_payload(slack, slack.users["U0ANA"], view)
    slack.users["U0BEN"].deleted = True
    refused = await bot.simulator.people.deliver_payload("interactive", payload)
    assert "is deactivated" in str(refused.body)
    slack.users["U0BEN"].deleted = False
    bot.world.clock.advance(61)
    assert not (await bot.simulator.people.deliver_payload("interactive", payload)).body
    [kept] = await saved_subscriptions(bot)
    assert kept.mention_ids == ("U0BEN",)


async def test_a_form_that_slack_delivers_twice_is_answered_once(bot: RunningBot) -> None:
    view, slack = await open_form(bot), bot.world.slack
    client_views.fill_view(view, text_value("project", "checkout"))
    payload = payloads.submission_payload(slack, slack.users["U0ANA"], view)
    known = len(bot.private_messages())
    for _ in range(2):
        assert not (await bot.simulator.people.deliver_payload("interactive", payload)).body
        await asyncio.sleep(5)
    replies = [text_of(message) for message in bot.private_messages()[known:]]
    assert sum("Subscribed" in reply for reply in replies) == 1
    assert not any("already" in reply for reply in replies)


async def test_a_subscription_is_removed_by_its_button(working_bot: RunningBot) -> None:
    await working_bot.answer_text("/zof subscribe project:checkout")
    await working_bot.answer_text("/zof subscribe project:search")
    await working_bot.answer_text("/zof subscriptions")
    message = last_message(working_bot)
    [first, second] = await saved_subscriptions(working_bot)
    checkout = first if first.project == ("checkout",) else second
    await working_bot.press_button(message, "zof_remove", label=checkout.id)
    await wait_until(lambda: "Removed" in text_of(message))
    assert "project:search" in text_of(message)
    await wait_for_line(working_bot, "ana removed this channel's subscription to project:checkout.")
    assert [subscription.project for subscription in await saved_subscriptions(working_bot)] == [("search",)]


async def test_a_long_list_of_subscriptions_is_turned_in_pages_that_slack_takes(working_bot: RunningBot) -> None:
    for number in range(12):
        await working_bot.answer_text(f"/zof subscribe project:p{number}")
    assert "and 2 more subscriptions" in await working_bot.answer_text("/zof subscriptions")
    message = last_message(working_bot)
    await working_bot.press_button(message, "zof_subscriptions_page")
    await wait_until(lambda: "*12.*" in text_of(message))
    assert len([button for button in buttons_of(message) if button["action_id"] == "zof_remove"]) == 2


async def test_a_channel_takes_no_more_than_it_may_have(working_bot: RunningBot) -> None:
    keyspace = working_bot.app.store.keyspace
    for number in range(MAX_SUBSCRIPTIONS):
        wish = parse_filters(f"env:e{number}")
        own = {"id": f"s{number}", "channel": "C0QA", "created": float(number)}
        await store_subscription(keyspace, wish.model_copy(update=own))
    answer = await working_bot.answer_text("/zof subscribe env:other")
    assert f"This channel already has {MAX_SUBSCRIPTIONS} subscriptions." in answer
    assert "/zof subscriptions" in answer
    assert len(await Subscriptions(keyspace).list_all()) == MAX_SUBSCRIPTIONS
    assert "Subscribed: matching failures will be posted here" in await working_bot.answer_text(
        "/zof subscribe env:other", channel="C0SEARCH"
    )


async def test_what_nobody_subscribed_cannot_be_ended(working_bot: RunningBot) -> None:
    for which in ("1", "all"):
        assert "No subscriptions in this channel." in await working_bot.answer_text(f"/zof unsubscribe {which}")


async def test_what_is_too_long_for_a_form_is_not_edited_in_one(working_bot: RunningBot) -> None:
    """What is typed may be no longer than a form takes, but records of older versions may."""
    long = Subscription(id="s1", channel="C0QA", case=tuple(f"{number}".rjust(190, "x") for number in range(20)))
    await store_subscription(working_bot.app.store.keyspace, long)
    await working_bot.answer_text("/zof subscriptions")
    await working_bot.press_button(last_message(working_bot), "zof_edit")
    assert "Remove it and type a new one." in text_of(
        await wait_for_answer(working_bot, "This subscription is too long for the form.")
    )
    assert not working_bot.world.slack.modals.get("U0ANA")


async def test_a_test_alert_is_marked_names_who_asked_and_leaves_no_trace(working_bot: RunningBot) -> None:
    await working_bot.answer_text("/zof subscribe project:checkout env:nightly group:case mention:@ben")
    message = last_message(working_bot)
    await working_bot.press_button(message, "zof_test_alert")
    await wait_for_answer(working_bot, "Test alert sent")
    await wait_for_line(working_bot, "Test alert. Nothing failed.")
    alert = next(message for message in working_bot.public_messages() if "Test alert" in text_of(message))
    for words in ("Requested by ana", "checkout", "nightly", "would mention 1 person or group"):
        assert words in text_of(alert)
    assert "U0BEN" not in text_of(alert)
    assert buttons_of(alert) == []
    await working_bot.press_button(message, "zof_test_alert")
    await wait_until(lambda: sum("Test alert" in text_of(message) for message in working_bot.public_messages()) == 2)
    names = [name async for name in working_bot.app.store.client.scan_iter("*")]
    assert not [name for name in names if any(word in str(name) for word in (":open:", ":seen:", ":storm:"))]


@pytest.mark.parametrize("typed", ["on:gate", "on:error", "on:failed case:login,-x*", "group:cause"])
async def test_a_test_alert_looks_like_what_the_subscription_asks_for(working_bot: RunningBot, typed: str) -> None:
    await working_bot.answer_text(f"/zof subscribe {typed}")
    await working_bot.press_button(last_message(working_bot), "zof_test_alert")
    await wait_for_line(working_bot, "Test alert. Nothing failed.")
    words = {"on:gate": "Release gate blocked", "on:error": "Error", "on:failed case:login,-x*": "login"}
    assert words.get(typed, "3 failures · 1 cause") in text_of(
        next(message for message in working_bot.public_messages() if "Test alert" in text_of(message))
    )


async def test_a_test_alert_where_the_bot_is_no_member_says_what_it_waits_for(working_bot: RunningBot) -> None:
    channel = "C0INCIDENT"
    await working_bot.answer_text("/zof subscribe project:checkout", channel=channel)
    await wait_for_answer(working_bot, "Subscribed", channel)
    message = next(item for item in working_bot.private_messages(channel) if "zof_test_alert" in text_of(item))

    async def is_parked() -> bool:
        return bool(await working_bot.app.outbox.parked_channels())

    await wait_until(is_parked)
    await working_bot.press_button(message, "zof_test_alert")
    told = await wait_for_answer(working_bot, "Test alert", channel)
    assert "Test alert queued: zofbot can't see this channel." in text_of(told)
    assert "/invite @zofbot" in text_of(told)


async def test_a_test_alert_that_is_reported_as_failed_is_not_sent(bot: RunningBot) -> None:
    """Else the person presses again, and two are sent."""
    await bot.answer_text("/zof subscribe project:checkout")
    message, store = last_message(bot), bot.app.store
    before, pause = (await bot.app.outbox.read_stats()).pending, store.keyspace.key("outbox", "pause")
    await store.client.set(pause, "not a hash")
    await bot.press_button(message, "zof_test_alert")
    await wait_for_answer(bot, "Redis")
    await store.client.delete(pause)
    assert (await bot.app.outbox.read_stats()).pending == before


async def test_a_test_alert_of_what_has_ended_says_so(working_bot: RunningBot) -> None:
    await working_bot.answer_text("/zof subscribe project:checkout")
    message = last_message(working_bot)
    await working_bot.answer_text("/zof unsubscribe 1")
    await working_bot.press_button(message, "zof_test_alert")
    await wait_for_answer(working_bot, "was already removed")


async def test_a_form_to_edit_that_cannot_open_advises_no_second_subscription(working_bot: RunningBot) -> None:
    await working_bot.answer_text("/zof subscribe project:checkout")
    working_bot.world.slack.faults.set_fault("500", 1, only="views.open")
    card = next(item for item in working_bot.private_messages() if "zof_edit" in text_of(item))
    await working_bot.press_button(card, "zof_edit")
    message = await wait_for_answer(working_bot, "The form did not open")
    assert "Try again." in text_of(message)
    assert "/zof subscribe project:checkout env:production" not in text_of(message)


async def test_a_form_that_cannot_open_is_answered_with_what_can_be_typed(working_bot: RunningBot) -> None:
    working_bot.world.slack.faults.set_fault("500", 1, only="views.open")
    await working_bot.type_text("/zof subscribe")
    message = await wait_for_answer(working_bot, "The form did not open")
    assert "/zof subscribe project:checkout env:production" in text_of(message)


@pytest.mark.parametrize(
    "typed", ["`subscribe`", " ` Subscribe ` ", "```subscribe```", "subscribe ``", "`subscribe` `"]
)
async def test_code_marks_around_the_word_alone_change_nothing(working_bot: RunningBot, typed: str) -> None:
    await working_bot.type_text(f"/zof {typed}")
    await wait_until(lambda: bool(working_bot.world.slack.modals.get("U0ANA")))
    assert not working_bot.private_messages()
    assert not await Subscriptions(working_bot.app.store.keyspace).list_for_channel("C0QA")


async def test_a_form_whose_three_seconds_are_over_says_so(working_bot: RunningBot) -> None:
    slack = working_bot.world.slack
    url = slack.new_response_url("U0ANA", "C0QA")
    payload = payloads.command_payload(slack, slack.users["U0ANA"], slack.channels["C0QA"], "/zof subscribe", url)
    slack.triggers[payload["trigger_id"]].at -= 4
    await working_bot.simulator.people.deliver_payload("slash_commands", payload)
    await wait_for_answer(working_bot, "It took too long for Slack")


async def test_a_form_opens_where_the_bot_is_no_member_and_says_what_that_means(working_bot: RunningBot) -> None:
    view = await open_form(working_bot, channel="C0INCIDENT")
    assert "/invite @zofbot" in shown_text(view)
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "checkout"))
    await wait_for_answer(working_bot, "Subscribed: matching failures will be posted here", channel="C0INCIDENT")
    await wait_until(
        lambda: any("can't see this channel" in text_of(message) for message in working_bot.public_messages("D0ANA"))
    )


async def test_a_form_in_a_direct_message_subscribes_that(working_bot: RunningBot) -> None:
    view = await open_form(working_bot, channel="D0ANA")
    assert "this conversation" in shown_text(view)
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "checkout"))
    await wait_for_line(working_bot, "ana subscribed this channel to project:checkout.", channel="D0ANA")


async def test_a_form_of_another_version_says_so_and_stays(working_bot: RunningBot) -> None:
    view = await open_form(working_bot)
    view.payload["private_metadata"] = '{"of": "another version"}'
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "checkout"))
    assert "This form is from another version of zofbot. Close it, and open it again." in str(view.errors)


async def test_a_form_left_open_for_longer_than_slack_takes_answers_shows_its_answer_itself(
    working_bot: RunningBot,
) -> None:
    view = await open_form(working_bot)
    meant = parse_private_metadata(SubscriptionFormState, view.payload)
    view.payload["private_metadata"] = replace(meant, at=meant.at - 1800).dump_metadata()
    await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "checkout"))
    assert "Subscribed: matching failures will be posted here" in shown_text(top_modal(working_bot))
    assert not working_bot.private_messages()


async def test_a_preview_of_more_than_is_read_says_at_least(working_bot: RunningBot) -> None:
    zof = working_bot.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly cart"})
    for number in range(1001):
        zof.add_result(run["id"], status="failed", name=f"Case {number}", test_case_id=f"tc_{number}")
    zof.finish_run(run["id"])
    await working_bot.answer_text("/zof subscribe project:proj_checkout")
    message = await wait_for_answer(working_bot, "Over the last 7 days")
    assert "posted at least *" in text_of(message)
    assert "Incomplete: Zof has more runs than were read." in text_of(message)


async def test_a_preview_that_zof_is_too_slow_for_says_that_it_is_incomplete(working_bot: RunningBot) -> None:
    working_bot.world.zof.faults.delays["slow"] = READ_TIMEOUT_SECONDS / 3  # the last of four listings is not read
    working_bot.world.zof.faults.set_fault("slow")
    await working_bot.answer_text("/zof subscribe project:proj_checkout")
    message = await wait_for_answer(working_bot, "Over the last 7 days")
    assert "posted at least *" in text_of(message)
    assert "Incomplete: Zof has more runs than were read." in text_of(message)


async def test_a_preview_reads_what_passed_for_it_counts_recoveries(working_bot: RunningBot) -> None:
    zof = working_bot.world.zof
    for status in ("failed", "passed"):
        run = zof.start_run({"project_id": "proj_checkout", "environment": "canary", "name": "nightly cart"})
        zof.add_result(run["id"], status=status, name="Case", test_case_id="tc_1")
        zof.finish_run(run["id"])
        await asyncio.sleep(0.01)  # a run that passed in the same moment would not be known to be later
    await working_bot.answer_text("/zof subscribe env:canary")
    message = await wait_for_answer(working_bot, "Over the last 7 days")
    assert "*1 message*, and 2 replies in threads." in text_of(message)


async def test_without_redis_the_form_stays_open_and_says_so(working_bot: RunningBot) -> None:
    view = await open_form(working_bot)
    await working_bot.app.store.client.config_set("maxmemory", "1")
    try:
        await working_bot.simulator.people.submit_view("U0ANA", view.id, text_value("project", "checkout"))
    finally:
        await working_bot.app.store.client.config_set("maxmemory", "0")
    assert modal.FIRST_BLOCK_ID in (top_modal(working_bot).errors or {})


async def test_help_lists_every_filter(working_bot: RunningBot) -> None:
    answer = await working_bot.answer_text("/zof help subscribe")
    assert all(f"`{name}:" in answer for name in ("project", "env", "case", "on", "after", "mention", "quiet"))

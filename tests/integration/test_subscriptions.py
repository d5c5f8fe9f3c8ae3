"""Subscribing from Slack: the form, its preview, a test alert, editing and removing; over both transports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bot import RunningBot, buttons, running_bot, text_of, until
from tests.support.strategies import SUBSCRIPTIONS
from zofbot.errors import BadInput
from zofbot.model import Outcome, Result, Run
from zofbot.pipeline.preview import Rehearsal, findings
from zofbot.routing import After, Group, On, Quiet, Subscription, parse, spelled
from zofbot.routing.subscription import MOST
from zofbot.simulator import blocks, payloads, views
from zofbot.simulator.entities import Message, View
from zofbot.slack import foresight, modals
from zofbot.slack.foresight import Foresight
from zofbot.slack.modals import Form
from zofbot.slack.payload import carried
from zofbot.store.subscriptions import Subscriptions

FORM = Form("C0QA", "https://hooks.slack.example/commands/T0/1/abc", 1_750_000_000.0, "0123456789ab")
NOON = datetime(2026, 6, 10, 12, tzinfo=UTC).timestamp()


@pytest.fixture(params=["http", "socket"])
async def desk(request: pytest.FixtureRequest, valkey: str) -> AsyncIterator[RunningBot]:
    """A bot that delivers and polls too seldom to matter."""
    async with running_bot(valkey, works=True, socket=request.param == "socket", zofbot_poll_interval=3600) as bot:
        yield bot


@pytest.fixture
async def one(valkey: str) -> AsyncIterator[RunningBot]:
    """The same over HTTP alone."""
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600) as bot:
        yield bot


# --- the form, pure


def state(view: dict[str, Any]) -> dict[str, Any]:
    """What Slack would say stands in a form nobody has touched."""
    return views.state(View("V1", "U1", view, "h"))


def form(start: Subscription, room: str = "qa-alerts") -> dict[str, Any]:
    return modals.subscribing(FORM, room, start)


@given(SUBSCRIPTIONS)
def test_every_subscription_is_read_back_from_its_form_as_it_was(subscription: Subscription) -> None:
    view = form(subscription)
    assert blocks.problems(view, "modal") == []
    assert modals.read(state(view)) == modals.Filled(subscription)


@pytest.mark.parametrize("pattern", ["R&amp;D", "&&lt;", 'a"b', "a\\b", "a, b", "“x„", "-a b", "a:b", "a\nb", " a"])
def test_odd_patterns_are_read_back_from_the_form(pattern: str) -> None:
    wanted = Subscription(case=(f"x{pattern}", "y"))
    assert modals.read(state(form(wanted))).subscription == wanted


def test_the_longest_subscription_that_can_be_typed_fits_into_the_form() -> None:
    values = ",".join("x" * 146 + f"{n:02}" for n in range(20))
    longest = parse(f"project:{values} env:{values} case:{values} on:{','.join(On)} group:case")
    assert blocks.problems(form(longest), "modal") == []
    with pytest.raises(BadInput, match="longer than 3000"):
        parse("case:" + ",".join("x" * 190 + str(n) for n in range(20)))


@given(SUBSCRIPTIONS, st.text(min_size=1, max_size=300))
def test_slack_takes_the_form_with_its_preview_or_what_is_wrong(subscription: Subscription, wrong: str) -> None:
    filled = modals.Filled(subscription, {"project": wrong, "env": wrong})
    assert blocks.problems(modals.foretold(form(subscription), modals.unclear(filled)), "modal") == []


def test_what_a_form_carries_along_comes_back() -> None:
    assert carried(Form, form(Subscription())) == FORM


@pytest.mark.parametrize(
    ("room", "hint"),
    [("qa-alerts", ""), ("directmessage", "itself"), ("privategroup", "invite"), ("mpdm-ana--ben-1", "invite")],
)
def test_the_form_says_where_alerts_may_not_arrive(room: str, hint: str) -> None:
    shown = json.dumps(form(Subscription(), room)["blocks"][1])
    assert hint in shown
    assert bool(hint) == ("context" in shown)


def line(block: str, value: str) -> dict[str, Any]:
    return {block: {block: {"type": "plain_text_input", "value": value}}}


def picked(block: str, value: str) -> dict[str, Any]:
    return {block: {block: {"type": "radio_buttons", "selected_option": {"value": value}}}}


def people(*users: str) -> dict[str, Any]:
    return {"people": {"people": {"type": "multi_users_select", "selected_users": list(users)}}}


@pytest.mark.parametrize(
    ("values", "typed"),
    [
        (line("project", "checkout, shop-*"), "project:checkout,shop-*"),
        (line("case", "cart total*\n-*flaky one*"), 'case:"cart total*","-*flaky one*"'),
        (line("case", "R&D"), "case:R&D"),
        (line("after", "3") | picked("window", "1d"), "after:3/1d"),
        (line("quiet", "22:00-07:00"), "quiet:22:00-07:00"),
        (line("quiet", "22-7, critical") | line("zone", "Europe/Berlin"), "quiet:22-7,critical,Europe/Berlin"),
        (line("groups", "S0614TZR7, <!subteam^S9|@shop>") | people("U1"),
         "mention:<@U1>,<!subteam^S0614TZR7>,<!subteam^S9>"),
        (line("escalate", "45m -> U1, 15m->S9, U2") | line("reack", "4h"),
         "escalate:45m-><@U1>,15m-><!subteam^S9>,<@U2> reack:4h"),
    ],
)  # fmt: skip
def test_what_people_fill_in_is_what_they_would_type(values: dict[str, Any], typed: str) -> None:
    assert modals.read(state(form(Subscription())) | values) == modals.Filled(parse(typed))


@pytest.mark.parametrize(
    ("values", "block", "typed"),
    [
        (line("project", "x" * 201), "project", "project:" + "x" * 201),
        (line("env", "-"), "env", "env:-"),
        (line("case", '"say hi'), "case", 'case:"say hi'),
        (line("after", "1"), "after", "after:1/1h"),
        (line("after", "many"), "after", "after:many/1h"),
        (line("quiet", "late"), "quiet", "quiet:late"),
        (line("quiet", "22:00-07:00") | line("zone", "Berlin"), "zone", "quiet:22:00-07:00,Berlin"),
        (people(*(f"U{n}" for n in range(21))), "people", "mention:" + ",".join(f"<@U{n}>" for n in range(21))),
        (people(*(f"U{n}" for n in range(20))) | line("groups", "S1"), "people",
         "mention:" + ",".join(f"<@U{n}>" for n in range(21))),
        (line("reack", "10s"), "reack", "reack:10s"),
        ({"on": {"on": {"type": "checkboxes", "selected_options": []}}}, "on", "on:"),
    ],
)  # fmt: skip
def test_a_wrong_field_says_what_typing_it_would_say(values: dict[str, Any], block: str, typed: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(typed)
    errors = modals.read(state(form(Subscription())) | values).errors
    assert list(errors) == [block]
    assert errors[block].startswith(refused.value.sentence)
    assert refused.value.next_step in errors[block]


def test_a_group_that_is_no_id_says_where_to_find_one() -> None:
    errors = modals.read(state(form(Subscription())) | line("groups", "@oncall")).errors
    assert errors == {"groups": "`@oncall` is nobody Slack knows. " + modals.complaint(BadInput(""), "groups")}


def test_several_wrong_fields_are_said_at_once_and_the_rest_is_understood() -> None:
    filled = modals.read(state(form(Subscription())) | line("env", "-") | line("quiet", "?") | line("case", "cart*"))
    assert set(filled.errors) == {"env", "quiet"}
    assert filled.subscription == Subscription(case=("cart*",))


# --- the preview, pure


def failing(number: int, at: float, *, case: str = "tc_1", outcome: Outcome = Outcome.FAILED) -> tuple[Run, Result]:
    when = datetime.fromtimestamp(at, UTC)
    run = Run(id=f"run_{number}", outcome=outcome, title="nightly", project_name="checkout", ended=when)
    result = Result(
        id=f"res_{number}", run_id=run.id, outcome=outcome, case_id=case, project_name="checkout", ended=when
    )
    return run, result


def rehearsed(subscription: Subscription, pairs: list[tuple[Run, Result]]) -> Foresight:
    rehearsal = Rehearsal(subscription)
    found = findings([run for run, _ in pairs], [result for _, result in pairs], NOON - 7 * 86400, NOON)
    for at in range(0, len(found), 2):
        rehearsal.play(found[at : at + 2])
    return rehearsal.outcome()


def test_a_preview_counts_messages_by_day_and_replies_apart() -> None:
    week = [failing(n, NOON - n * 7200) for n in range(20)]
    seen = rehearsed(Subscription(created=NOON), week)
    days = [datetime.fromtimestamp(NOON - n * 7200, UTC).date() for n in range(20)]
    worst = max(days.count(day) for day in days)
    assert (seen.messages, seen.worst, seen.replies) == (20, worst, 20)
    assert seen.day is not None
    assert days.count(seen.day) == worst


def test_a_preview_keeps_the_rules_of_grouping_filters_and_after() -> None:
    week = [failing(n, NOON - n * 7200) for n in range(20)]
    assert rehearsed(Subscription(group=Group.CASE), week).messages == 1
    assert rehearsed(Subscription(project=("search",)), week).messages == 0
    assert rehearsed(Subscription(after=After(count=3, window=5 * 3600)), week).messages == 18
    assert rehearsed(Subscription(on=(On.ERROR,)), week).messages == 0


def test_a_case_that_passed_in_between_is_a_message_again() -> None:
    failed = [failing(n, NOON - n * 86400) for n in (1, 3, 5)]
    passed = [failing(n, NOON - n * 86400, outcome=Outcome.PASSED) for n in (2, 4)]
    seen = rehearsed(Subscription(group=Group.CASE), failed + passed)
    assert (seen.messages, seen.replies) == (3, 2)


def test_a_preview_puts_what_quiet_hours_hold_into_the_day_it_would_come() -> None:
    night = datetime(2026, 6, 9, 23, tzinfo=UTC).timestamp()
    seen = rehearsed(Subscription(quiet=Quiet(start=22 * 60, end=7 * 60)), [failing(1, night)])
    assert str(seen.day) == "2026-06-10"


def test_a_storm_is_previewed_as_the_few_messages_it_would_be() -> None:
    assert rehearsed(Subscription(), [failing(n, NOON - 30 + n / 2) for n in range(60)]).messages == 21


def test_results_whose_run_was_not_listed_are_one_run() -> None:
    pairs = [failing(1, NOON - 60), failing(2, NOON - 60)]
    lost = [result.model_copy(update={"run_id": "run_x", "case_id": result.id}) for _, result in pairs]
    [found] = findings([], lost, 0, NOON)
    assert (found.run.id, len(found.bad), found.ended) == ("run_x", 2, True)


def test_a_preview_leaves_out_what_is_older_or_has_no_time() -> None:
    old, _ = failing(1, NOON - 8 * 86400)
    assert findings([old, Run(id="run_2", outcome=Outcome.FAILED)], [], NOON - 7 * 86400, NOON) == []


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (Foresight(), "posted nothing."),
        (Foresight(1, 1, datetime(2026, 6, 9, tzinfo=UTC).date()), "posted *1 message*."),
        (Foresight(21, 6, datetime(2026, 6, 9, tzinfo=UTC).date(), 1),
         "posted *21 messages*, 6 on the worst day (Tuesday, 09 June), and 1 reply in threads."),
        (Foresight(2, 2, datetime(2026, 6, 9, tzinfo=UTC).date(), partial=True),
         "at least *2 messages*, at least 2 on the worst day (Tuesday, 09 June). Zof lists more"),
        (Foresight(partial=True), "posted nothing of what was read. Zof lists more"),
        (Foresight(unlisted=True), "not counted"),
    ],
)  # fmt: skip
def test_a_preview_is_one_sentence(seen: Foresight, sentence: str) -> None:
    assert sentence in foresight.sentence(seen)


# --- the walk


def modal(bot: RunningBot, user: str = "U0ANA") -> View:
    [view] = bot.world.slack.modals[user]
    return view


async def opened(bot: RunningBot, *, channel: str = "C0QA") -> View:
    assert (await bot.type("/zof subscribe", channel=channel)).status == 200
    await until(lambda: bool(bot.world.slack.modals.get("U0ANA")))
    return modal(bot)


def last(bot: RunningBot, channel: str = "C0QA") -> Message:
    return bot.private(channel)[-1]


async def answered(bot: RunningBot, words: str, channel: str = "C0QA") -> Message:
    await until(lambda: any(words in text_of(message) for message in bot.private(channel)))
    return next(message for message in reversed(bot.private(channel)) if words in text_of(message))


async def lined(bot: RunningBot, words: str, channel: str = "C0QA") -> None:
    await until(lambda: any(words in text_of(message) for message in bot.public(channel)))


async def test_typed_alone_it_opens_a_form_that_subscribes_and_previews(desk: RunningBot) -> None:
    view = await opened(desk)
    assert not desk.private()
    values = line("project", "checkout") | line("case", "-flaky")
    outcome = await desk.stage.people.submit("U0ANA", view.id, values)
    assert (outcome.status, desk.world.slack.modals["U0ANA"]) == (200, [])
    await answered(desk, "This channel is subscribed")
    await lined(desk, "ana subscribed this channel to project:checkout case:-flaky.")
    previewed = await answered(desk, "Over the last 7 days this would have posted")
    assert "This channel is subscribed" not in text_of(previewed), "it adds only what is new"
    assert len(desk.private()) == 2
    assert "project:checkout case:-flaky" in await desk.answer("/zof subscriptions")


async def test_a_wrong_field_keeps_the_form_open_with_the_reason_beside_it(desk: RunningBot) -> None:
    view = await opened(desk)
    await desk.stage.people.submit("U0ANA", view.id, line("quiet", "late") | line("env", "-"))
    assert modal(desk).errors is not None
    assert {block: words.split(".")[0] for block, words in (modal(desk).errors or {}).items()} == {
        "quiet": "`late` is not a span of hours",
        "env": "A value of `env:` is empty",
    }
    await desk.stage.people.submit("U0ANA", view.id, line("quiet", "22-7") | line("env", "production"))
    await lined(desk, "to env:production quiet:22:00-07:00,Europe/Berlin.")


async def press_in(bot: RunningBot, view: View, action: str, values: dict[str, Any] | None = None) -> None:
    outcome = await bot.stage.people.press("U0ANA", {"action_id": action}, view_id=view.id, values=values)
    assert outcome.status == 200


def shown(view: View) -> str:
    return json.dumps(view.payload, ensure_ascii=False)


async def test_the_form_previews_itself_and_keeps_what_was_typed(desk: RunningBot) -> None:
    view = await opened(desk)
    await press_in(desk, view, modals.PREVIEW, line("project", "nothing-of-that-name"))
    await until(lambda: "would have posted nothing" in shown(view))
    await press_in(desk, view, modals.PREVIEW, line("project", "checkout"))
    await until(lambda: "messages*" in shown(view))
    await press_in(desk, view, modals.PREVIEW, line("project", '"'))
    await until(lambda: "A quote is opened" in shown(view))
    await desk.stage.people.submit("U0ANA", view.id, line("env", "staging") | line("project", "checkout"))
    await lined(desk, "to project:checkout env:staging.")


async def test_a_preview_of_a_form_that_was_closed_meanwhile_harms_nobody(one: RunningBot) -> None:
    view = await opened(one)
    one.world.zof.faults.delays["slow"] = 0.3
    one.world.zof.faults.set("slow", 1)
    await press_in(one, view, modals.PREVIEW)
    await until(lambda: "Looking what" in shown(view))
    await one.stage.people.dismiss("U0ANA", view.id)
    await until(lambda: any(call.error == "not_found" for call in one.world.slack.calls))
    assert "told of no failures" in await one.answer("/zof subscriptions")


async def test_the_typed_line_answers_first_and_previews_later(desk: RunningBot) -> None:
    assert "This channel is subscribed" in await desk.answer("/zof subscribe project:checkout")
    await answered(desk, "Over the last 7 days this would have posted")
    assert len(desk.private()) == 2


async def test_without_zof_the_subscription_stands_and_says_why_there_is_no_preview(one: RunningBot) -> None:
    one.world.zof.key = "zof_live_another"
    assert "This channel is subscribed" in await one.answer("/zof subscribe project:checkout")
    message = await answered(one, "No preview could be made")
    assert "Request ID: `" in text_of(message)
    assert "project:checkout" in await one.answer("/zof subscriptions")


async def test_a_subscription_is_edited_in_its_form_and_keeps_its_birth(desk: RunningBot) -> None:
    await desk.answer("/zof subscribe project:checkout mention:@ben quiet:22:00-07:00,critical")
    await answered(desk, "Over the last 7 days")
    [before] = await subscriptions(desk)
    await desk.answer("/zof subscriptions")
    await desk.press(last(desk), "zof_edit", user="U0ANA")
    await until(lambda: bool(desk.world.slack.modals.get("U0ANA")))
    view = modal(desk)
    assert "Edit subscription" in shown(view)
    await desk.stage.people.submit("U0ANA", view.id, line("project", "search"))
    await lined(desk, "ana changed this channel's subscription from project:checkout")
    await answered(desk, "The subscription is changed")
    [after] = await subscriptions(desk)
    assert after == before.model_copy(update={"project": ("search",)})
    assert after.created > 0


async def subscriptions(bot: RunningBot) -> list[Subscription]:
    records = await bot.app.store.client.hgetall("{zofbot}:subscriptions")
    return [Subscription.model_validate_json(record) for record in records.values()]


async def test_what_ended_while_its_form_was_open_does_not_come_back(one: RunningBot) -> None:
    await one.answer("/zof subscribe project:checkout")
    await one.answer("/zof subscriptions")
    await one.press(last(one), "zof_edit")
    await until(lambda: bool(one.world.slack.modals.get("U0ANA")))
    view = modal(one)
    await one.answer("/zof unsubscribe all", user="U0BEN")
    await one.stage.people.submit("U0ANA", view.id, line("project", "search"))
    assert "has ended meanwhile" in (modal(one).errors or {})["project"]
    assert await subscriptions(one) == []


@pytest.mark.parametrize("by", ["words", "form"])
async def test_what_ends_while_slack_is_asked_for_names_has_ended(one: RunningBot, by: str) -> None:
    kept, slack = Subscriptions(one.app.store.client, "zofbot"), one.world.slack
    first = parse("project:checkout").model_copy(update={"id": "s1", "channel": "C0QA"})
    await kept.add(first)
    if by == "form":
        await one.answer("/zof subscriptions")
        await one.press(last(one), "zof_edit")
        await until(lambda: bool(slack.modals.get("U0ANA")))
    await kept.replace(first.model_copy(update={"mention": ("U0BEN",)}))
    slack.faults.delays["slow"] = 0.5
    slack.faults.set("slow", only="users.info")
    if by == "form":
        acting = asyncio.create_task(one.stage.people.submit("U0ANA", modal(one).id, line("project", "search")))
    else:
        acting = asyncio.create_task(one.type("/zof unsubscribe 1"))
    await until(lambda: any(call.arguments.get("user") == "U0BEN" for call in slack.calls))
    assert await kept.remove("s1") == 1
    await acting
    told = str(modal(one).errors) if by == "form" else text_of(last(one))
    assert "That subscription has ended meanwhile" in told
    assert await subscriptions(one) == []
    assert one.public() == []


async def test_one_form_submitted_twice_is_one_subscription(one: RunningBot) -> None:
    view = await opened(one)
    one.world.slack.request_url, real = "http://127.0.0.1:9/nobody", one.world.slack.request_url
    await one.stage.people.submit("U0ANA", view.id, line("project", "checkout"))
    assert modal(one) is view, "the client keeps a form whose answer was lost"
    one.world.slack.request_url = real
    await one.stage.people.submit("U0ANA", view.id, line("project", "checkout"))
    one.world.slack.modals["U0ANA"] = [view]
    await one.stage.people.submit("U0ANA", view.id, line("project", "search"))
    [kept] = await subscriptions(one)
    assert spelled(kept) == "project:search"


async def test_a_subscription_is_removed_by_its_button(desk: RunningBot) -> None:
    await desk.answer("/zof subscribe project:checkout")
    await desk.answer("/zof subscribe project:search")
    await desk.answer("/zof subscriptions")
    message = last(desk)
    [first, second] = await subscriptions(desk)
    checkout = first if first.project == ("checkout",) else second
    await desk.press(message, "zof_remove", label=checkout.id)
    await until(lambda: "Ended" in text_of(message))
    assert "project:search" in text_of(message)
    await lined(desk, "ana ended this channel's subscription to project:checkout.")
    assert [one.project for one in await subscriptions(desk)] == [("search",)]


async def test_a_long_list_of_subscriptions_is_turned_in_pages_that_slack_takes(one: RunningBot) -> None:
    for number in range(12):
        await one.answer(f"/zof subscribe project:p{number}")
    assert "and 2 more subscriptions" in await one.answer("/zof subscriptions")
    message = last(one)
    await one.press(message, "zof_subscriptions_page")
    await until(lambda: "*12.*" in text_of(message))
    assert len([button for button in buttons(message) if button["action_id"] == "zof_remove"]) == 2


async def test_a_channel_takes_no_more_than_it_may_have(one: RunningBot) -> None:
    kept = Subscriptions(one.app.store.client, "zofbot")
    for number in range(MOST):
        wish = parse(f"env:e{number}")
        await kept.add(wish.model_copy(update={"id": f"s{number}", "channel": "C0QA", "created": float(number)}))
    answer = await one.answer("/zof subscribe env:other")
    assert f"This channel has {MOST} subscriptions already." in answer
    assert "/zof subscriptions" in answer
    assert len(await kept.all()) == MOST
    assert "This channel is subscribed" in await one.answer("/zof subscribe env:other", channel="C0SEARCH")


async def test_what_nobody_subscribed_cannot_be_ended(one: RunningBot) -> None:
    for which in ("1", "all"):
        assert "This channel has no subscription." in await one.answer(f"/zof unsubscribe {which}")


async def test_what_is_too_long_for_a_form_is_not_edited_in_one(one: RunningBot) -> None:
    """What is typed may be no longer than a form takes, but records of older versions may."""
    long = Subscription(id="s1", channel="C0QA", case=tuple(f"{number}".rjust(190, "x") for number in range(20)))
    await Subscriptions(one.app.store.client, "zofbot").add(long)
    await one.answer("/zof subscriptions")
    await one.press(last(one), "zof_edit")
    assert "End it and type it anew." in text_of(await answered(one, "This subscription is too long for a form."))
    assert not one.world.slack.modals.get("U0ANA")


async def test_a_test_alert_is_marked_names_who_asked_and_leaves_no_trace(desk: RunningBot) -> None:
    await desk.answer("/zof subscribe project:checkout env:nightly group:case mention:@ben")
    message = last(desk)
    await desk.press(message, "zof_test_alert")
    await answered(desk, "on its way")
    await lined(desk, "This is a test; nothing failed.")
    alert = next(message for message in desk.public() if "This is a test" in text_of(message))
    for words in ("ana asked for it", "checkout", "nightly", "would mention 1 person or group"):
        assert words in text_of(alert)
    assert "U0BEN" not in text_of(alert)
    assert buttons(alert) == []
    await desk.press(message, "zof_test_alert")
    await until(lambda: sum("This is a test" in text_of(message) for message in desk.public()) == 2)
    names = [name async for name in desk.app.store.client.scan_iter("*")]
    assert not [name for name in names if any(word in str(name) for word in (":open:", ":seen:", ":storm:"))]


@pytest.mark.parametrize("typed", ["on:gate", "on:error", "on:failed case:login,-x*"])
async def test_a_test_alert_looks_like_what_the_subscription_asks_for(one: RunningBot, typed: str) -> None:
    await one.answer(f"/zof subscribe {typed}")
    await one.press(last(one), "zof_test_alert")
    await lined(one, "This is a test; nothing failed.")
    words = {"on:gate": "Release gate blocked", "on:error": "Error", "on:failed case:login,-x*": "login"}[typed]
    assert words in text_of(next(message for message in one.public() if "This is a test" in text_of(message)))


async def test_a_test_alert_of_what_has_ended_says_so(one: RunningBot) -> None:
    await one.answer("/zof subscribe project:checkout")
    message = last(one)
    await one.answer("/zof unsubscribe 1")
    await one.press(message, "zof_test_alert")
    await answered(one, "has ended meanwhile")


async def test_a_form_that_cannot_open_is_answered_with_what_can_be_typed(one: RunningBot) -> None:
    one.world.slack.faults.set("500", 1, only="views.open")
    await one.type("/zof subscribe")
    message = await answered(one, "The form did not open")
    assert "/zof subscribe project:checkout env:production" in text_of(message)


async def test_a_form_whose_three_seconds_are_over_says_so(one: RunningBot) -> None:
    slack = one.world.slack
    url = slack.new_hook("U0ANA", "C0QA")
    payload = payloads.command(slack, slack.users["U0ANA"], slack.channels["C0QA"], "/zof subscribe", url)
    slack.triggers[payload["trigger_id"]].at -= 4
    await one.stage.people.deliver("slash_commands", payload)
    await answered(one, "Slack's three seconds for it were over")


async def test_a_form_opens_where_the_bot_is_no_member_and_says_what_that_means(one: RunningBot) -> None:
    view = await opened(one, channel="C0INCIDENT")
    assert "/invite @zofbot" in shown(view)
    await one.stage.people.submit("U0ANA", view.id, line("project", "checkout"))
    await answered(one, "This channel is subscribed", channel="C0INCIDENT")
    await until(lambda: any("cannot see this channel" in text_of(message) for message in one.public("D0ANA")))


async def test_a_form_in_a_direct_message_subscribes_that(one: RunningBot) -> None:
    view = await opened(one, channel="D0ANA")
    assert "this conversation" in shown(view)
    await one.stage.people.submit("U0ANA", view.id, line("project", "checkout"))
    await lined(one, "ana subscribed this channel to project:checkout.", channel="D0ANA")


async def test_a_form_of_another_version_says_so_and_stays(one: RunningBot) -> None:
    view = await opened(one)
    view.payload["private_metadata"] = '{"of": "another version"}'
    await one.stage.people.submit("U0ANA", view.id, line("project", "checkout"))
    assert "This form is from another version of zofbot. Close it, and open it again." in str(view.errors)


async def test_a_form_left_open_for_longer_than_slack_takes_answers_shows_its_answer_itself(one: RunningBot) -> None:
    view = await opened(one)
    meant = carried(Form, view.payload)
    view.payload["private_metadata"] = replace(meant, at=meant.at - 1800).dump()
    await one.stage.people.submit("U0ANA", view.id, line("project", "checkout"))
    assert "This channel is subscribed" in shown(modal(one))
    assert not one.private()


async def test_a_preview_of_more_than_is_read_says_at_least(one: RunningBot) -> None:
    zof = one.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly cart"})
    for number in range(1001):
        zof.add_result(run["id"], status="failed", name=f"Case {number}", test_case_id=f"tc_{number}")
    zof.finish_run(run["id"])
    await one.answer("/zof subscribe project:proj_checkout")
    message = await answered(one, "Over the last 7 days")
    assert "posted at least *" in text_of(message)
    assert "Zof lists more than was read here" in text_of(message)


async def test_a_preview_reads_what_passed_for_it_counts_recoveries(one: RunningBot) -> None:
    zof = one.world.zof
    for status in ("failed", "passed"):
        run = zof.start_run({"project_id": "proj_checkout", "environment": "canary", "name": "nightly cart"})
        zof.add_result(run["id"], status=status, name="Case", test_case_id="tc_1")
        zof.finish_run(run["id"])
        await asyncio.sleep(0.01)  # a run that passed in the same moment would not be known to be later
    await one.answer("/zof subscribe env:canary")
    message = await answered(one, "Over the last 7 days")
    assert "*1 message*, and 2 replies in threads." in text_of(message)


async def test_only_what_stands_is_replaced(one: RunningBot) -> None:
    kept = Subscriptions(one.app.store.client, "zofbot")
    subscription = Subscription(id="s1", channel="C0QA", project=("checkout",))
    assert not await kept.replace(subscription)
    assert await kept.all() == []
    await kept.add(subscription)
    assert await kept.replace(subscription.model_copy(update={"project": ("search",)}))
    [found] = await kept.all()
    assert found.project == ("search",)


async def test_without_redis_the_form_stays_open_and_says_so(one: RunningBot) -> None:
    view = await opened(one)
    await one.app.store.client.config_set("maxmemory", "1")
    try:
        await one.stage.people.submit("U0ANA", view.id, line("project", "checkout"))
    finally:
        await one.app.store.client.config_set("maxmemory", "0")
    assert modals.FIRST in (modal(one).errors or {})


async def test_help_lists_every_filter(one: RunningBot) -> None:
    answer = await one.answer("/zof help subscribe")
    assert all(f"`{name}:" in answer for name in ("project", "env", "case", "on", "after", "mention", "quiet"))

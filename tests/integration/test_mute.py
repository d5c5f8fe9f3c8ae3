"""``/zof mute``: what matches is not told for a while, and summed up at the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.bot import RunningBot, buttons_of, text_of, wait_until
from tests.support.nights import HOUR_SECONDS, NightBench, night
from tests.support.triage import BOT, audit_entries, count_mentions, mention_bot, press_with_changed_payload, thread_of
from zofbot.listeners.mutes import MAX_MUTES
from zofbot.subscriptions.mute import Mute


@pytest.fixture
async def day(store_url: str) -> AsyncIterator[NightBench]:
    async with night(store_url, "/zof subscribe group:case") as made:
        yield made


async def mute_channel(day: NightBench, typed: str, **more: str) -> str:
    said = await day.bot.answer_text(f"/zof mute {typed}", **more)
    await day.wait_until_settled()
    day.clock.advance(1)  # mutes are numbered by when they were made
    return said


async def test_what_matches_waits_and_is_summed_up_at_the_end(day: NightBench) -> None:
    said = await mute_channel(day, "project:proj_checkout 2h release week")
    assert "*Muted:* `project:proj_checkout`" in said
    await day.end_run("failed", "Cart", "Pay")
    await day.pass_time(600)
    await day.end_run("passed", passed=("Cart",))
    await day.end_run("failed", "Search", project_id="proj_search")
    assert [text_of(message).count("Search") > 0 for message in day.root_messages()] == [True], (
        "what does not match is told"
    )
    await day.pass_time(2 * HOUR_SECONDS)
    assert day.message_kinds() == ["case", "catchup", "case"]
    summary = text_of(day.root_messages()[1])
    assert "Mute ended: 2 failures (1 still open, 1 recovered)" in summary
    assert "Muted: `project:proj_checkout`" in summary
    await day.pass_time(2 * HOUR_SECONDS)
    assert day.message_kinds() == ["case", "catchup", "case"]


async def test_everybody_sees_who_muted_what_until_when_and_why(day: NightBench) -> None:
    await mute_channel(day, "project:proj_checkout 2h release week")
    assert any("ana muted project:proj_checkout in this channel for 2 h: release week" in text_of(message)
               for message in day.bot.public_messages())  # fmt: skip
    listed = await day.bot.answer_text("/zof subscriptions", user="U0BEN")
    assert re.search(r"1\. `project:proj_checkout` <!date\^\d+\^until ", listed)
    assert "by ana: release week" in listed
    await day.bot.simulator.people.open_home("U0BEN")
    await wait_until(lambda: "`project:proj_checkout` <!date" in str(day.bot.world.slack.homes.get("U0BEN")))
    run = await day.end_run("failed", "Cart")
    why = await day.bot.answer_text(f"/zof why {run}")
    assert "🔕" in why
    assert "hasn't been posted here yet" in why
    assert re.search(r"ana muted project:proj_checkout \(release week\) until<!date", why.replace("\u2060", ""))
    assert re.search(r"it is muted<!date\^\d+\^ until ", why)
    [entry] = await audit_entries(day.bot, "mute")
    assert (entry.user, entry.channel) == ("U0ANA", "C0QA")
    assert entry.after.startswith("project:proj_checkout until ")


async def test_the_summary_dates_a_failure_by_itself_and_not_by_its_escalation(store_url: str) -> None:
    async with night(store_url, "/zof subscribe escalate:15m-><@U0BEN>") as day:
        await mute_channel(day, "project:proj_checkout 2h")
        failed = day.clock.time()
        await day.end_run("failed", "Cart")
        await day.bot.answer_text("/zof unmute")
        await day.pass_time(5)
        dates = re.findall(r"<!date\^(\d+)\^failed ", text_of(day.root_messages()[0]))
        assert [int(date) - failed for date in dates] == [pytest.approx(0, abs=60)]


@pytest.mark.parametrize("which", ["", "1", "#1", "all", "project:proj_checkout"])
async def test_unmute_brings_what_waited_at_once(day: NightBench, which: str) -> None:
    await mute_channel(day, "project:proj_checkout 1d")
    await day.end_run("failed", "Cart")
    assert day.root_messages() == []
    assert "Unmuted" in await day.bot.answer_text(f"/zof unmute {which}".strip())
    await day.pass_time(5)
    assert day.message_kinds() == ["catchup", "case"]
    assert "Muted" not in await day.bot.answer_text("/zof subscriptions")
    assert len(await audit_entries(day.bot, "unmute")) == 1
    await day.pass_time(25 * HOUR_SECONDS)
    assert day.message_kinds() == ["catchup", "case"]


async def test_the_button_in_the_list_ends_one(day: NightBench) -> None:
    await mute_channel(day, "project:proj_checkout 1d")
    await day.bot.type_text("/zof subscriptions")
    [listed] = [message for message in day.bot.private_messages() if "subscription in this channel" in message.text]
    await day.bot.press_button(listed, "zof_unmute")
    await wait_until(lambda: any("Unmuted" in text_of(message) for message in day.bot.private_messages()))
    assert "No mutes in this channel" in await day.bot.answer_text("/zof unmute")


@pytest.mark.parametrize("trigger", ["1.2.a", None])
async def test_buttons_with_the_same_trigger_or_none_end_one_mute_each(day: NightBench, trigger: str | None) -> None:
    for filters in ("env:qa", "env:staging"):
        await mute_channel(day, f"{filters} 1d")
    await day.bot.type_text("/zof subscriptions")
    listed = day.bot.private_messages()[-1]
    for button in [button for button in buttons_of(listed) if button["action_id"] == "zof_unmute"]:
        known = len(await audit_entries(day.bot, "unmute"))
        await press_with_changed_payload(day.bot, "U0ANA", listed, button, trigger_id=trigger)

        async def is_ended(known: int = known) -> bool:
            return len(await audit_entries(day.bot, "unmute")) == known + 1

        await wait_until(is_ended)
    assert "No mutes in this channel" in await day.bot.answer_text("/zof unmute")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("mute", "Nothing to mute."),
        ("mute project:checkout", "The duration is missing."),
        ("mute checkout 2h", "Did you mean `project:checkout`"),
        ("unmute", "No mutes in this channel"),
    ],
)
async def test_what_is_mistyped_says_what_is_missing(bot: RunningBot, typed: str, says: str) -> None:
    answer = await bot.answer_text(f"/zof {typed}")
    assert says in answer.replace("\\", "")
    assert "/zof mute" in answer


async def test_of_many_mutes_that_end_the_rest_are_counted(day: NightBench) -> None:
    for number in range(12):
        await mute_channel(day, f"env:e{number} 2h")
    assert "`env:e9`, and 2 more" in await day.bot.answer_text("/zof unmute all")
    note = "ana unmuted env:e0; env:e1; env:e2; env:e3; env:e4; and 7 more in this channel."
    await wait_until(lambda: any(note in text_of(message) for message in day.bot.public_messages()))


async def test_of_several_unmute_asks_which(day: NightBench) -> None:
    await mute_channel(day, "project:proj_checkout 2h")
    await mute_channel(day, "env:staging 2h")
    answer = await day.bot.answer_text("/zof unmute")
    assert "2 mutes are active here" in answer
    assert "2: `env:staging`" in answer
    assert "No mute number 3" in await day.bot.answer_text("/zof unmute 3")
    for wrong in ("project:other", "checkout", "tag:x", "1 2", 'project:"'):
        answer = await day.bot.answer_text(f"/zof unmute {wrong}")
        assert "No such mute in this channel. Give a number, or `all`. Active: 1: `project" in answer
        assert "For example: `/zof unmute 1`" in answer
    assert "Unmuted: `env:staging`" in await day.bot.answer_text("/zof unmute 2")
    await day.end_run("failed", "Cart")
    assert day.root_messages() == [], "the other one still matches"


async def test_the_buttons_of_two_mutes_pressed_at_once_end_those_two(bot: RunningBot) -> None:
    for name in ("checkout", "search", "billing"):
        await bot.answer_text(f"/zof mute project:{name} 2h")
    replies = bot.private_messages()
    [ended] = [button["value"] for button in buttons_of(replies[0])]
    await bot.type_text("/zof subscriptions")
    listed = bot.private_messages()[-1]
    await asyncio.gather(*(bot.press_button(reply, "zof_unmute") for reply in replies[:2]))
    await wait_until(lambda: all("*Muted:*" not in text_of(reply) for reply in replies[:2]))
    assert [reply.text.partition(".")[0] for reply in replies[:2]] == [
        "Unmuted: `project:checkout`",
        "Unmuted: `project:search`",
    ]
    assert "*Muted* (1)" in await bot.answer_text("/zof subscriptions")
    await bot.press_button(listed, "zof_unmute", label=ended)
    await wait_until(lambda: "That mute has already ended." in text_of(bot.private_messages()[-1]))
    assert "Unmuted: `project:billing`" in await bot.answer_text("/zof unmute")


async def test_a_mute_that_two_people_change_or_end_at_once_stays_one_and_ends_once(bot: RunningBot) -> None:
    for user in ("U0ANA", "U0BEN"):
        await bot.answer_text("/zof mute project:checkout 1h", user=user)
    both = await asyncio.gather(
        *(bot.answer_text("/zof mute project:checkout 2h", user=user) for user in ("U0ANA", "U0BEN"))
    )
    assert all("*Muted:*" in answer for answer in both)
    assert len(await audit_entries(bot, "mute")) == 4
    assert "*Muted* (1)" in await bot.answer_text("/zof subscriptions")
    both = await asyncio.gather(*(bot.answer_text("/zof unmute", user=user) for user in ("U0ANA", "U0BEN")))
    assert sorted("Unmuted" in answer for answer in both) == [False, True]
    assert any("No mutes in this channel" in answer for answer in both)
    assert len(await audit_entries(bot, "unmute")) == 1


async def test_a_channel_has_no_more_than_so_many_mutes(bot: RunningBot) -> None:
    until = bot.world.clock.time() + 3600
    kept = [Mute(id=f"m{number}", channel="C0QA", until=until, case=(f"c{number}",)) for number in range(MAX_MUTES)]
    await bot.app.store.client.hset("{zofbot}:mutes", mapping={each.id: each.model_dump_json() for each in kept})
    assert "already has 20 mutes. Remove one first." in await bot.answer_text("/zof mute case:cart 2h")
    assert "*Muted:*" in await bot.answer_text("/zof mute case:c1 3h"), "a muted case can get another end"


async def test_what_two_mutes_hold_comes_when_both_are_over(day: NightBench) -> None:
    await mute_channel(day, "project:proj_checkout 1h")
    await mute_channel(day, "env:staging 5h")
    await day.end_run("failed", "Cart")
    await day.bot.answer_text("/zof unmute 2")
    await day.pass_time(60)
    assert day.root_messages() == []
    await day.pass_time(HOUR_SECONDS)
    assert day.message_kinds() == ["catchup", "case"]


async def test_muting_the_same_again_gives_it_another_end(day: NightBench) -> None:
    await mute_channel(day, "project:proj_checkout 1h")
    await day.end_run("failed", "Cart")
    await mute_channel(day, "project:proj_checkout 3h longer")
    await day.pass_time(2 * HOUR_SECONDS)
    assert day.root_messages() == []
    assert "longer" in await day.bot.answer_text("/zof subscriptions")
    await day.pass_time(HOUR_SECONDS + 60)
    assert day.message_kinds() == ["catchup", "case"]


async def test_unmuting_in_quiet_hours_leaves_it_to_them(store_url: str) -> None:
    async with night(store_url, "/zof subscribe group:case quiet:HOURS") as made:
        await mute_channel(made, "project:proj_checkout 8h")
        await made.end_run("failed", "Cart")
        await made.bot.answer_text("/zof unmute")
        await made.pass_time(60)
        assert made.root_messages() == []
        await made.pass_time(3.5 * HOUR_SECONDS)
        assert made.message_kinds() == ["catchup", "case"]


@pytest.mark.parametrize("ends_early", [False, True])
async def test_what_a_mute_left_to_quiet_hours_and_recovers_is_in_the_summary_only(
    store_url: str, ends_early: bool
) -> None:
    async with night(store_url, "/zof subscribe group:case quiet:HOURS") as made:
        await mute_channel(made, "project:proj_checkout 1h")
        await made.end_run("failed", "Cart")
        if ends_early:
            await made.bot.answer_text("/zof unmute")
        await made.pass_time(1.5 * HOUR_SECONDS)
        await made.end_run("passed", passed=("Cart",))
        await made.pass_time(3 * HOUR_SECONDS)
        assert made.message_kinds() == ["catchup"]


async def test_what_was_posted_as_its_mute_ended_early_and_recovers_says_so(day: NightBench) -> None:
    await mute_channel(day, "project:proj_checkout 1d")
    await day.end_run("failed", "Cart")
    await day.bot.answer_text("/zof unmute")
    await day.pass_time(60)
    await day.end_run("passed", passed=("Cart",))
    assert "Recovered" in text_of(day.root_messages()[-1])
    await mute_channel(day, "project:proj_checkout 1h")
    await day.end_run("failed", "Pay")
    await day.pass_time(2 * HOUR_SECONDS)
    assert "Mute ended: 1 failure" in text_of(day.root_messages()[-2])


@pytest.mark.parametrize("recovers", [False, True])
async def test_a_cause_has_one_message_though_its_mute_ended_early(store_url: str, recovers: bool) -> None:
    async with night(store_url, "/zof subscribe group:cause") as made:
        await mute_channel(made, "project:proj_checkout 20d")
        await made.end_run("failed", "Cart")
        await made.pass_time(HOUR_SECONDS)
        if recovers:
            await made.end_run("passed", passed=("Cart",))
        await made.bot.answer_text("/zof unmute")
        await made.pass_time(60)
        for case in ("Cart", "Cart", "Pay"):
            await made.end_run("failed", case)
            await made.pass_time(60)
        assert made.message_kinds() == ["catchup", "storm"]
        assert thread_of(made.bot, made.root_messages()[0]) == []


async def test_a_muted_case_is_not_shown_by_the_message_of_its_run(store_url: str) -> None:
    async with night(store_url, "/zof subscribe project:*") as made:
        await mute_channel(made, "case:cart 2h")
        await made.end_run("failed", "Cart", "Pay")
        [root] = made.root_messages()
        assert "Cart" not in text_of(root) + str(thread_of(made.bot, root))
        await made.pass_time(2 * HOUR_SECONDS + 60)
        assert made.message_kinds() == ["run", "catchup", "case"]


async def test_an_escalation_of_what_is_muted_later_waits(store_url: str) -> None:
    async with night(store_url, "/zof subscribe group:case escalate:30m-><@U0BEN>") as made:
        await made.end_run("failed", "Cart")
        [root] = made.root_messages()
        await mute_channel(made, "project:proj_checkout 8h")
        await made.pass_time(HOUR_SECONDS)
        assert not any("<@U0BEN>" in line for line in thread_of(made.bot, root))
        await made.bot.answer_text("/zof unmute")
        await made.pass_time(5)
        assert sum("<@U0BEN>" in line for line in thread_of(made.bot, root)) == 1


async def test_an_alert_that_a_mute_held_back_is_escalated_when_asked(store_url: str) -> None:
    async with night(store_url, "/zof subscribe group:case escalate:15m-><@U0BEN>") as made:
        await mute_channel(made, "project:* 1h")
        await made.end_run("failed", "Cart")
        await made.pass_time(HOUR_SECONDS + 60)
        [root] = [message for message in made.root_messages() if "catchup" not in (message.idempotency_key or "")]
        assert (await mention_bot(made.bot, root, "escalate")).is_accepted
        await made.pass_time(60)
        assert count_mentions(made.bot, root) == 1
        await made.pass_time(HOUR_SECONDS)
        assert count_mentions(made.bot, root) == 1


@pytest.mark.parametrize(
    ("mute", "waits"),
    [
        ("project:proj_checkout 8h", False),
        ("env:staging 8h", True),
        ("project:proj_* env:staging 8h", True),
        ("case:Cart 8h", False),
    ],
)
async def test_an_escalation_of_a_cause_waits_if_all_places_where_it_was_seen_are_muted(
    store_url: str, mute: str, waits: bool
) -> None:
    async with night(store_url, "/zof subscribe group:cause escalate:30m-><@U0BEN>") as made:
        await made.end_run("failed", "Cart")
        await made.end_run("failed", "Search", project_id="proj_search")
        [root] = made.root_messages()
        await mute_channel(made, mute)
        await made.pass_time(HOUR_SECONDS)
        assert any("<@U0BEN>" in line for line in thread_of(made.bot, root)) is not waits
        await made.bot.answer_text("/zof unmute")
        await made.pass_time(5)
        assert sum("<@U0BEN>" in line for line in thread_of(made.bot, root)) == 1


async def test_what_quiet_hours_held_waits_for_a_mute_that_came_later(store_url: str) -> None:
    async with night(store_url, "/zof subscribe group:case quiet:HOURS") as made:
        await made.end_run("failed", "Cart")
        await mute_channel(made, "project:proj_checkout 6h")
        await made.pass_time(4 * HOUR_SECONDS)
        assert "case" not in made.message_kinds()
        await made.pass_time(3 * HOUR_SECONDS)
        assert made.message_kinds().count("case") == 1


def mention_event(words: str, number: int) -> dict[str, Any]:
    """What Slack delivers of a mention of the bot in a channel."""
    inner = {"type": "app_mention", "user": "U0ANA", "text": f"<@{BOT}> {words}", "ts": f"1795000000.00010{number}",
             "channel": "C0QA", "event_ts": f"1795000000.00010{number}"}  # fmt: skip
    ours = [{"team_id": "T0ACME", "user_id": BOT, "is_bot": True}]
    return {
        "type": "event_callback",
        "team_id": "T0ACME",
        "event_id": f"Ev{number}",
        "event": inner,
        "authorizations": ours,
    }


async def test_a_mention_mutes_and_what_slack_repeats_changes_nothing(day: NightBench) -> None:
    people = day.bot.simulator.people
    mutes, ends = (
        mention_event('mute project:proj_checkout 2h "release week"', 1),
        mention_event("unmute project:proj_checkout", 2),
    )
    for body in (mutes, mutes):
        assert (await people.deliver_payload("events_api", body)).is_accepted
    assert "release week" in await day.bot.answer_text("/zof subscriptions")
    for body in (ends, mutes, ends):
        assert (await people.deliver_payload("events_api", body)).is_accepted
    assert "No mutes in this channel" in await day.bot.answer_text("/zof unmute")
    await mute_channel(day, "project:proj_checkout 2h")
    assert (await people.deliver_payload("events_api", ends)).is_accepted
    assert "Muted" in await day.bot.answer_text("/zof subscriptions")
    assert (len(await audit_entries(day.bot, "mute")), len(await audit_entries(day.bot, "unmute"))) == (2, 1)


async def test_in_the_bots_own_direct_messages_it_is_about_them(store_url: str) -> None:
    async with night(store_url) as made:
        slack = made.bot.world.slack
        [direct] = [
            name for name, place in slack.channels.items() if name.startswith("D") and "U0ANA" in place.members
        ][:1]
        await made.bot.simulator.people.type_text("U0ANA", direct, "mute project:proj_checkout 2h")
        await wait_until(lambda: any("*Muted:*" in text_of(message) for message in made.bot.visible_messages(direct)))


async def test_only_responders_may(bot: RunningBot) -> None:
    where = "C0CHECKOUT"
    for typed, said in (("mute project:checkout 2h", "mute alerts in this channel"), ("unmute", "unmute")):
        answer = await bot.answer_text(f"/zof {typed}", user="U0GUEST", channel=where)
        assert said in answer
        assert "Guests of this workspace" in answer
    assert "*Muted:*" in await bot.answer_text("/zof mute project:checkout 2h", channel=where)
    assert "Unmuted" in await bot.answer_text("/zof unmute", user="U0BEN", channel=where)


async def test_a_mute_of_a_project_that_there_is_not_says_which_one_may_be_meant(bot: RunningBot) -> None:
    said = await bot.answer_text("/zof mute project:chekout 2h")
    assert "*Muted:* `project:chekout`" in said
    assert "No project named `chekout`; did you mean `checkout`?" in said
    assert "No project named" not in await bot.answer_text("/zof mute project:checkout 2h")

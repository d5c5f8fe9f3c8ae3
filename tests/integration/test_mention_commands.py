"""Every verb of the slash command after a mention: in a channel, in the thread of an alert, in a direct message."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from tests.support.bot import RunningBot, buttons_of, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run
from tests.support.triage import BOT, audit_entries, raise_alert
from zofbot.domain.commands import VERBS
from zofbot.simulator.slack import payloads
from zofbot.simulator.slack.model import PostedMessage
from zofbot.store.subscriptions import Subscriptions
from zofbot.triage import Action

QA, DM, PARTNERS = "C0QA", "D0ANA", "C0PARTNERS"
ANA, GUEST, PETRA = "U0ANA", "U0GUEST", "U0EXT"
RESULT = "res_4821"


class Place(NamedTuple):
    """Where somebody types; ``thread`` is the timestamp of the alert whose thread it is."""

    channel: str
    thread: str | None = None
    mention: str = f"<@{BOT}> "


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url, zofbot_allow_runs=True) as bot:
        await bot.type_text("/zof subscribe group:case escalate:4h-><@U0BEN>")
        await wait_until(lambda: len(bot.private_messages()) == 2)  # with the preview
        yield bot


@pytest.fixture(params=["channel", "thread", "direct"])
async def place(request: pytest.FixtureRequest, bot: RunningBot) -> Place:
    """A channel with an alert, the alert's thread, or the bot's direct messages, which have no alert."""
    root = await raise_alert(bot)
    where = {"channel": Place(QA), "thread": Place(QA, root.ts), "direct": Place(DM, mention="")}
    return where[request.param]


async def answer_to(bot: RunningBot, place: Place, words: str, user: str = ANA) -> PostedMessage:
    """Type to the bot; gives the first new private answer."""
    known = {message.ts for message in bot.private_messages(place.channel, user)}
    text = f"{place.mention}{words}"
    assert (await bot.simulator.people.type_text(user, place.channel, text, place.thread)).is_accepted
    return await new_answer(bot, place, known, user)


async def new_answer(bot: RunningBot, place: Place, known: set[str], user: str = ANA) -> PostedMessage:
    def added() -> list[PostedMessage]:
        return [message for message in bot.private_messages(place.channel, user) if message.ts not in known]

    await wait_until(lambda: bool(added()))
    return added()[0]


async def command_answer(bot: RunningBot, place: Place, words: str) -> PostedMessage:
    known = {message.ts for message in bot.private_messages(place.channel)}
    assert (await bot.type_text(f"/zof {words}", channel=place.channel)).is_accepted
    return await new_answer(bot, place, known)


async def settle() -> None:
    """Let previews and other second answers arrive."""
    await asyncio.sleep(5)


def shown(message: PostedMessage) -> str:
    """What a message shows, without what differs from answer to answer: ids, references and ages."""
    return re.sub(
        r'"block_id": "\w+"|open [0-9a-z ]+|ref_[0-9a-f]{10}|req_\w+|order\W+[0-9a-f]{32}', "…", text_of(message)
    )


def running_run(bot: RunningBot) -> str:
    run = bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly"})
    return str(run["id"])


async def test_every_verb_gives_the_answer_of_the_slash_command(bot: RunningBot, place: Place) -> None:
    running = running_run(bot)
    causes = await command_answer(bot, Place(QA), "causes")
    [cause] = set(re.findall(r"s\d+-[0-9a-f]{16}", text_of(causes)))
    words = [
        f"result {RESULT}", RESULT, f"https://app.zof.ai/results/{RESULT}", "run run_2038", "run_2038",
        "runs", "runs status:failed", "runs bogus:1", "runs -h", "subscribe bogus:1", "subscriptions", "unsubscribe",
        "unsubscribe 99", "mute", "unmute", "unmute 7", "triage", "triage mine", "triage all", "triage ours", "causes",
        "causes 24h", "causes soon", f"cause {cause}", "cause", "why run_2038", f"why {RESULT}", "why run_nowhere",
        "oncall", "handover never", "digest", "digest sometimes", f"cancel {running}", "cancel", "trace ref_0f3a",
        "trace", "help runs", "result", f"result {RESULT} shaer", "result res_nowhere",
        "result --help",
    ]  # fmt: skip
    assert {typed.split()[0] for typed in words} >= set(VERBS)
    for typed in words:
        expected = await command_answer(bot, place, typed)
        if typed == "digest":  # its preview follows
            await settle()
        answered = await answer_to(bot, place, typed)
        if typed == "digest":
            await settle()
        assert answered.thread_ts == place.thread
        assert shown(answered) == shown(expected), typed


async def test_help_lists_what_can_be_typed_there(bot: RunningBot, place: Place) -> None:
    for typed in ("help", "", "--help") if place.mention else ("help", "--help"):
        answer = text_of(await answer_to(bot, place, typed))
        assert "Commands in an alert's thread" in answer
        assert ("`/zof subscribe [filters]`" in answer) is not bool(place.thread)
    assert "snooze 2h" in text_of(await answer_to(bot, place, "help snooze"))


# --- why


@pytest.mark.parametrize("typed", ["escalate --help", "ack help", "take --help"])
async def test_help_after_a_word_for_an_action_lists_them_and_does_not_act(
    bot: RunningBot, place: Place, typed: str
) -> None:
    posted = len(bot.world.slack.ledger)
    assert "`@zofbot escalate`" in shown(await answer_to(bot, place, typed))
    await settle()
    assert len(bot.world.slack.ledger) == posted


async def test_help_after_a_verb_explains_the_verb(bot: RunningBot, place: Place) -> None:
    for verb in ("why", "mute", "runs"):
        explained = shown(await command_answer(bot, place, f"{verb} help"))
        assert shown(await answer_to(bot, place, f"{verb} --help")) == explained


async def test_an_id_after_why_is_read_in_the_thread_of_another_alert(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    thread, other = Place(QA, root.ts), fail_run(bot, 3, environment="production")
    for typed in (f"why {other['id']}", f"why {other['id']}?"):
        assert "production" in text_of(await answer_to(bot, thread, typed))
    for typed in ("why", "why?", "why was this posted"):
        answer = text_of(await answer_to(bot, thread, typed))
        assert "production" not in answer
        assert "was posted here" in answer


async def test_why_without_an_id_asks_for_one_elsewhere(bot: RunningBot) -> None:
    for place in (Place(QA), Place(DM, mention="")):
        assert "The run ID is missing." in text_of(await answer_to(bot, place, "why"))


# --- sharing


async def test_share_posts_the_card_once_however_often_slack_repeats_the_event(bot: RunningBot, place: Place) -> None:
    message = PostedMessage(
        place.channel, bot.world.slack.next_timestamp(), ANA, f"{place.mention}result {RESULT} share"
    )
    message.thread_ts = place.thread
    channel = bot.world.slack.channels[place.channel]
    kind = "message" if channel.im_with else "app_mention"
    body = payloads.event_payload(bot.world.slack, payloads.message_event(message, kind, channel))
    known = {each.ts for each in bot.private_messages(place.channel)}
    for _ in range(3):
        assert (await bot.simulator.people.deliver_payload("events_api", body)).is_accepted
    assert "Shared" in text_of(await new_answer(bot, place, known))
    await settle()

    def cards() -> list[PostedMessage]:
        return [each for each in bot.public_messages(place.channel) if RESULT in text_of(each)]

    [card] = cards()
    assert card.thread_ts is None
    assert "ana" in text_of(card)
    await answer_to(bot, place, f"result {RESULT} share")
    assert len(cards()) == 2, "a second message is a second wish"


# --- changes


async def test_a_subscription_is_made_listed_and_removed(bot: RunningBot, place: Place) -> None:
    known = {message.ts for message in bot.private_messages(place.channel)}
    first = await answer_to(bot, place, 'subscribe project:search case:"log  in" mention:<@U0BEN>')
    assert "Subscribed: matching failures will be posted here." in text_of(first)
    await settle()
    answers = [message for message in bot.private_messages(place.channel) if message.ts not in known]
    assert len(answers) == 2
    assert "Over the last 7 days" in text_of(answers[1])
    assert {message.thread_ts for message in answers} == {place.thread}
    assert ("Channels work better" in text_of(first)) is (place.channel == DM)
    listed = text_of(await answer_to(bot, place, "subscriptions"))
    assert "project:search" in listed
    number = "1" if place.channel == DM else "2"
    assert "Subscription removed" in text_of(await answer_to(bot, place, f"unsubscribe {number}"))
    assert "project:search" not in text_of(await answer_to(bot, place, "subscriptions"))
    assert len(await audit_entries(bot, "unsubscribe")) == 1


@pytest.mark.parametrize("typed", ["subscribe", "Subscribe.", "`subscribe`"])
async def test_subscribe_without_filters_offers_the_form(bot: RunningBot, place: Place, typed: str) -> None:
    offered = await answer_to(bot, place, typed)
    assert "`/zof subscribe project:checkout env:production,staging`" in text_of(offered)
    [button] = buttons_of(offered)
    assert await subscriptions_in(bot, DM) == 0
    await bot.press_button(offered, button["action_id"])
    await wait_until(lambda: bool(bot.world.slack.modals.get(ANA)))
    known = {message.ts for message in bot.private_messages(place.channel)}
    view = bot.world.slack.modals[ANA][-1]
    value = {"project": {"project": {"type": "plain_text_input", "value": "search"}}}
    assert (await bot.simulator.people.submit_view(ANA, view.id, value)).is_accepted
    answer = await new_answer(bot, place, known)
    assert "Subscribed: matching failures will be posted here." in text_of(answer)
    assert answer.thread_ts == place.thread
    assert await subscriptions_in(bot, place.channel) == (1 if place.channel == DM else 2)


async def test_subscribe_in_code_marks_subscribes_to_nothing(bot: RunningBot) -> None:
    """A slash command opens the form instead, which has a test of its own."""
    for place in (Place("C0SEARCH"), Place(DM, mention="")):
        assert buttons_of(await answer_to(bot, place, "`subscribe`"))
        assert await subscriptions_in(bot, place.channel) == 0


async def subscriptions_in(bot: RunningBot, channel: str) -> int:
    return len(await Subscriptions(bot.app.store.keyspace).list_for_channel(channel))


async def test_mutes_digests_and_handovers_are_made_for_the_channel(bot: RunningBot, place: Place) -> None:
    assert "Muted" in text_of(await answer_to(bot, place, "mute env:staging 2h moving."))
    assert "moving." in text_of(await answer_to(bot, place, "subscriptions"))
    assert "env:staging" in text_of(await answer_to(bot, place, "unmute env:staging"))
    assert "weekly" in text_of(await answer_to(bot, place, "digest weekly mon 09:00")).lower()
    assert "09:00" in text_of(await answer_to(bot, place, "digest"))
    await settle()
    assert "stop" in text_of(await answer_to(bot, place, "digest off")).lower()
    assert len(await audit_entries(bot, "digest")) == 2
    await answer_to(bot, place, "handover 8h")
    assert sum("Handover" in text_of(each) for each in bot.public_messages(place.channel)) == 1


async def test_a_run_is_canceled_by_the_button_of_the_answer(bot: RunningBot, place: Place) -> None:
    running = running_run(bot)
    asked = await answer_to(bot, place, f"cancel {running}")
    await bot.press_button(asked, "zof_cancel")
    await wait_until(lambda: bot.world.zof.runs[running]["status"] in ("canceled", "cancelled"))
    assert len(await audit_entries(bot, "cancel")) == 1


# --- permissions


@pytest.mark.parametrize("typed", ["subscribe", "subscribe env:qa", "unsubscribe all", "mute env:qa 2h", "digest off",
                                   "handover", "cancel run_2038", "trace ref_1"])  # fmt: skip
async def test_guests_change_nothing_after_a_mention(bot: RunningBot, typed: str) -> None:
    place = Place("C0CHECKOUT")
    answer = text_of(await answer_to(bot, place, typed, GUEST))
    assert "🔒" in answer
    assert len(await audit_entries(bot, "refused")) == 1


@pytest.mark.parametrize("typed", sorted(set(VERBS) - {"help"}))
async def test_people_of_other_organizations_get_nothing_after_a_mention(bot: RunningBot, typed: str) -> None:
    before = len(bot.public_messages(PARTNERS))
    answer = text_of(await answer_to(bot, Place(PARTNERS), VERBS[typed].example, PETRA))
    assert "Only members of this workspace" in answer
    assert len(bot.public_messages(PARTNERS)) == before


# --- words that are none


async def test_a_mistyped_word_gets_the_nearest_one(bot: RunningBot, place: Place) -> None:
    for typed, near in [("subscirbe env:qa", "subscribe"), ("trase ref_1", "trace"), ("acknowlege", "acknowledge")]:
        answer = text_of(await answer_to(bot, place, typed))
        assert "Unknown command" in answer
        assert f"Did you mean `{near}`?" in answer
    answer = text_of(await answer_to(bot, place, "do something"))
    assert "Unknown command" in answer
    assert "help` lists all commands" in answer


# --- messages with files, and replies that are also sent to the channel


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast"])
async def test_text_beside_a_file_or_sent_to_the_channel_too_is_typed_text(
    bot: RunningBot, place: Place, subtype: str
) -> None:
    message = PostedMessage(place.channel, bot.world.slack.next_timestamp(), ANA, f"{place.mention}runs")
    message.thread_ts = place.thread
    channel = bot.world.slack.channels[place.channel]
    event: dict[str, Any] = payloads.message_event(message, "message" if channel.im_with else "app_mention", channel)
    body = payloads.event_payload(bot.world.slack, event | {"subtype": subtype, "files": [{"id": "F1"}]})
    known = {each.ts for each in bot.private_messages(place.channel)}
    assert (await bot.simulator.people.deliver_payload("events_api", body)).is_accepted
    assert "zof_run" in text_of(await new_answer(bot, place, known))


async def test_an_action_beside_a_file_acts(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    message = PostedMessage(QA, bot.world.slack.next_timestamp(), ANA, f"<@{BOT}> ack", thread_ts=root.ts)
    event = payloads.message_event(message, "app_mention", bot.world.slack.channels[QA]) | {"subtype": "file_share"}
    body = payloads.event_payload(bot.world.slack, event)
    for _ in range(2):
        assert (await bot.simulator.people.deliver_payload("events_api", body)).is_accepted
    await wait_until(lambda: "Acknowledged" in text_of(root))
    assert len(await audit_entries(bot, "acknowledge")) == 1


async def test_a_mention_in_a_quote_asks_for_nothing(bot: RunningBot) -> None:
    root = await raise_alert(bot)
    known = len(bot.private_messages(QA))
    text = f"> <@{BOT}> ack\nwho did that?"
    assert (await bot.simulator.people.type_text(ANA, QA, text, root.ts)).is_accepted
    await settle()
    assert len(bot.private_messages(QA)) == known
    assert await audit_entries(bot, Action.ACKNOWLEDGE.value) == []


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_direct_message_is_answered_though_it_mentions_the_bot_only_in_a_quote(
    bot: RunningBot, is_known: bool
) -> None:
    """``is_known``: the event says which user the bot is."""
    slack, known = bot.world.slack, {each.ts for each in bot.private_messages(DM)}
    text = f"&gt; <@{BOT}> result {RESULT}\nrun run_2038"
    message = PostedMessage(DM, slack.next_timestamp(), ANA, text)
    body = payloads.event_payload(slack, payloads.message_event(message, "message", slack.channels[DM]))
    body |= {} if is_known else {"authorizations": []}
    assert (await bot.simulator.people.deliver_payload("events_api", body)).is_accepted
    answer = text_of(await new_answer(bot, Place(DM), known))
    assert "run_2038" in answer
    assert RESULT not in answer

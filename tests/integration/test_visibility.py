"""Who may read what: one rule for reading, typed or pressed, and one for what somebody sees of other channels."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.triage import BOT, button_of, mention_bot, press_button
from zofbot.config.manifest import SCOPES_BY_EVENT
from zofbot.simulator.slack import channel_changes
from zofbot.simulator.slack.model import Channel, PostedMessage
from zofbot.simulator.slack.sender import Acknowledgement

QA, CHECKOUT, SEARCH, INCIDENT, PARTNERS = "C0QA", "C0CHECKOUT", "C0SEARCH", "C0INCIDENT", "C0PARTNERS"
ANA, BEN, GUEST, PETRA = "U0ANA", "U0BEN", "U0GUEST", "U0EXT"
REFUSED = "Only members of this workspace"


@pytest.fixture
async def bot(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[RunningBot]:
    details = bool(getattr(request, "param", False))
    async with alerting_bot(store_url, zofbot_shared_details=details) as bot:
        bot.world.slack.events = set(SCOPES_BY_EVENT)
        bot.world.slack.channels[INCIDENT].members.add(BOT)
        yield bot


async def raise_alerts(bot: RunningBot, *channels: str) -> dict[str, PostedMessage]:
    """Have a case fail that these channels are told of; their alerts."""
    for channel in channels:
        await bot.type_text("/zof subscribe group:case", channel=channel, user=PETRA if channel == "D0EXT" else BEN)
    run = fail_run(bot, 1)
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}")) == 200

    def alerts_by_channel() -> dict[str, PostedMessage]:
        return {
            item.channel: item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("case:")
        }

    await wait_until(lambda: set(alerts_by_channel()) >= set(channels))
    return alerts_by_channel()


def home_of(bot: RunningBot, user: str) -> str:
    view = bot.world.slack.homes.get(user)
    return str(view.payload) if view else ""


# --- reading


@pytest.mark.parametrize(
    "typed",
    ["result res_4821", "run run_2038", "runs", "triage", "triage all", "triage mine", "why res_4821", "oncall",
     "digest", "subscriptions", "result res_4821 share", "res_4821"],
)  # fmt: skip
async def test_people_of_other_organizations_get_nothing_by_typing(bot: RunningBot, typed: str) -> None:
    before = len(bot.public_messages(PARTNERS))
    assert REFUSED in await bot.answer_text(f"/zof {typed}", user=PETRA, channel=PARTNERS)
    assert len(bot.public_messages(PARTNERS)) == before
    assert REFUSED not in await bot.answer_text("/zof help", user=PETRA, channel=PARTNERS)


@pytest.mark.parametrize("bot", [True], indirect=True)
async def test_where_an_operator_shows_them_details_they_read(bot: RunningBot) -> None:
    assert "order total is wrong" in await bot.answer_text("/zof result res_4821", user=PETRA, channel=PARTNERS)


async def test_guests_look_things_up_by_typing_as_by_pressing(bot: RunningBot) -> None:
    assert "order total is wrong" in await bot.answer_text("/zof result res_4821", user=GUEST, channel=CHECKOUT)
    alert = (await raise_alerts(bot, CHECKOUT))[CHECKOUT]
    await bot.press_button(alert, "zof_result", user=GUEST)
    await wait_until(lambda: "boom" in text_of(bot.private_messages(CHECKOUT, GUEST)[-1]))


async def test_somebody_whom_slack_does_not_name_reads_nothing_where_others_do(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.faults.set_fault("500", 1, "users.info")
    assert "didn't say who you are" in await bot.answer_text("/zof result res_4821", channel=PARTNERS)
    bot.world.clock.advance(11)
    assert "order total is wrong" in await bot.answer_text("/zof result res_4821", channel=PARTNERS)


async def test_in_our_own_channel_a_slack_that_does_not_answer_hinders_nobody(bot: RunningBot) -> None:
    bot.world.slack.faults.set_fault("500", None, "users.info")
    assert "order total is wrong" in await bot.answer_text("/zof result res_4821")


# --- seeing what stands in other channels


async def test_guests_see_the_failures_of_their_channels_alone(bot: RunningBot) -> None:
    await raise_alerts(bot, QA, SEARCH, CHECKOUT)
    assert "3 failures in all channels" in await bot.answer_text("/zof triage all")
    listed = await bot.answer_text("/zof triage all", user=GUEST, channel="C0RANDOM")
    assert "1 failure in all channels" in listed
    assert CHECKOUT in listed
    assert "2 failures in channels you can't see not shown" in listed


async def test_what_is_mine_is_shown_while_i_am_in_its_channel(bot: RunningBot) -> None:
    alert = (await raise_alerts(bot, INCIDENT))[INCIDENT]
    await press_button(bot, BEN, alert, button_of(alert, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(alert))
    assert "1 failure assigned to you" in await bot.answer_text("/zof triage mine", user=BEN)
    await channel_changes.remove_member(bot.simulator.people, BEN, INCIDENT)
    listed = await bot.answer_text("/zof triage mine", user=BEN)
    assert "Case 0" not in listed
    assert "1 failure in channels you can't see" in listed


async def test_private_channels_are_shown_to_their_members_anywhere(bot: RunningBot) -> None:
    await raise_alerts(bot, INCIDENT)
    assert "1 failure in all channels" in await bot.answer_text("/zof triage all", user=ANA)
    assert "Case 0" not in await bot.answer_text("/zof triage all", user="U0CHIOMA")


async def test_group_direct_messages_are_shown_to_their_members_anywhere(bot: RunningBot) -> None:
    bot.world.slack.channels["C0TALK"] = Channel(
        "C0TALK", "mpdm-ana--ben-1", {ANA, BEN, BOT}, private=True, group_dm=True
    )
    await raise_alerts(bot, "C0TALK")
    assert "1 failure in all channels" in await bot.answer_text("/zof triage all", user=ANA)
    assert "Case 0" not in await bot.answer_text("/zof triage all", user="U0CHIOMA")
    await bot.simulator.people.open_home(BEN)
    await wait_until(lambda: "Case 0" in home_of(bot, BEN))


@pytest.mark.parametrize("subscribed", [True, False])
@pytest.mark.parametrize("looks", [True, False])
async def test_whoever_is_removed_loses_it_on_their_home_as_well(
    bot: RunningBot, looks: bool, subscribed: bool
) -> None:
    await raise_alerts(bot, INCIDENT)
    if not subscribed:  # as the default channel never is
        await bot.answer_text("/zof unsubscribe all", channel=INCIDENT)
    await bot.simulator.people.open_home(BEN)
    await wait_until(lambda: "Case 0" in home_of(bot, BEN))
    if not looks:
        bot.world.clock.advance(3600)
    await channel_changes.remove_member(bot.simulator.people, BEN, INCIDENT)
    await wait_until(lambda: "Case 0" not in home_of(bot, BEN), 5)
    assert INCIDENT not in home_of(bot, BEN)


async def test_a_home_that_was_drawn_in_doubt_is_drawn_anew(bot: RunningBot) -> None:
    await raise_alerts(bot, INCIDENT)
    doubts = {"users.conversations": "Slack didn't return your channels", "users.info": "Try again in a moment"}
    for method, amiss in doubts.items():
        bot.world.clock.advance(3700)
        bot.world.slack.faults.set_fault("500", None, method)
        await bot.simulator.people.open_home(BEN)
        await wait_until(lambda amiss=amiss: amiss in home_of(bot, BEN), 10)
        assert not any(claim in home_of(bot, BEN) for claim in ("Case 0", "No open failures", "Open in your channels"))
        bot.world.slack.faults.set_fault("none")
        await wait_until(lambda: "Case 0" in home_of(bot, BEN), 60)


@pytest.mark.parametrize("scope", ["all", "mine"])
async def test_a_list_says_that_slack_did_not_list_the_channels(bot: RunningBot, scope: str) -> None:
    alert = (await raise_alerts(bot, INCIDENT))[INCIDENT]
    await press_button(bot, BEN, alert, button_of(alert, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(alert))
    bot.world.clock.advance(3700)
    bot.world.slack.faults.set_fault("500", None, "users.conversations")
    listed = await bot.answer_text(f"/zof triage {scope}", user=BEN)
    assert "Slack didn't say which channels you are in, so 1 failure isn't shown. Try again in a moment" in listed
    assert not any(claim in listed for claim in ("Case 0", "No open failures", "can't see"))
    await raise_alerts(bot, QA)
    if scope == "all":
        listed = await bot.answer_text("/zof triage all", user=BEN)
        assert "1 failure in all channels" in listed
        assert "Slack didn't say which channels you are in, so 1 failure isn't shown" in listed
    bot.world.slack.faults.set_fault("none")
    bot.world.clock.advance(11)
    assert "Case 0" in await bot.answer_text(f"/zof triage {scope}", user=BEN)


async def test_why_is_told_of_a_channel_only_to_who_sees_it(bot: RunningBot) -> None:
    alerts = await raise_alerts(bot, INCIDENT, QA)
    for times, word in enumerate(("why", "run"), start=1):
        assert (await press_forged(bot, alerts[QA], alerts[INCIDENT].idempotency_key or "", word)).is_accepted
        await wait_until(
            lambda times=times: (
                sum("is in another channel" in text_of(m) for m in bot.private_messages(QA, "U0CHIOMA")) == times
            )
        )


async def press_forged(bot: RunningBot, shown: PostedMessage, key: str, word: str) -> Acknowledgement:
    """Press the menu of a message of ours whose block names a failure of another channel."""
    blocks = [block for part in shown.attachments for block in part["blocks"] if block["type"] == "actions"]
    own = next(block for block in blocks if any(e["action_id"] == "zof_triage_more" for e in block["elements"]))
    own["block_id"] = own["block_id"].replace(shown.idempotency_key or "", key)
    chosen = button_of(shown, "zof_triage_more") | {"selected_option": {"value": word}}
    return await bot.simulator.people.press_element("U0CHIOMA", chosen, channel=shown.channel, ts=shown.ts)


async def test_words_in_a_thread_are_for_readers_too(bot: RunningBot) -> None:
    alert = (await raise_alerts(bot, PARTNERS))[PARTNERS]
    for words in ("why", "result res_4821"):
        assert (await mention_bot(bot, alert, words, PETRA)).is_accepted
    await wait_until(lambda: sum(REFUSED in text_of(m) for m in bot.private_messages(PARTNERS, PETRA)) == 2)

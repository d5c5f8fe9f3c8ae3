"""People go by one name, are told what they may not do, and what was refused can be looked up later."""

from __future__ import annotations

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_until
from tests.support.triage import (
    BOT,
    audit_entries,
    button_of,
    mention_bot,
    press_button,
    private_text,
    raise_alert,
    thread_of,
)
from zofbot.services.shift_reports import shift_report_for
from zofbot.simulator.slack import payloads
from zofbot.store.audit import REFUSED_ACTION, AuditRecord

ANA, BEN, GUEST = "U0ANA", "U0BEN", "U0GUEST"


async def test_one_person_has_one_name_in_lines_on_cards_and_in_the_handover(triage_bot: RunningBot) -> None:
    triage_bot.world.slack.users[ANA].display_name = "Ana Keller"  # while commands carry her handle, ``ana``
    triage_bot.world.clock.advance(61)  # what Slack said of her before is asked again
    await triage_bot.type_text("/zof subscribe project:checkout*")
    await wait_until(lambda: any("Ana Keller subscribed" in message.text for message in triage_bot.public_messages()))
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "by Ana Keller" in text_of(root))
    await triage_bot.type_text("/zof digest daily 09:00")
    await wait_until(
        lambda: any(
            "Ana Keller scheduled this channel's digest" in message.text for message in triage_bot.public_messages()
        )
    )
    await triage_bot.answer_text("/zof handover 8h")
    await wait_until(lambda: any("Handover" in message.text for message in triage_bot.public_messages()))
    [posted] = [text_of(message) for message in triage_bot.public_messages() if "Handover" in message.text]
    assert "Active: Ana Keller (4 actions)." in posted
    assert "Requested by Ana Keller" in posted


async def test_a_shared_card_names_the_person_alike(bot: RunningBot) -> None:
    bot.world.slack.users[ANA].display_name = "Ana Keller"
    await bot.type_text("/zof result res_4821 share")
    await wait_until(lambda: any("Ana Keller" in text_of(message) for message in bot.public_messages()))


def test_whoever_was_renamed_is_listed_once_and_two_of_one_name_are_two() -> None:
    acts = [
        AuditRecord(at=1.0, act="acknowledge", user=ANA, name="ana", channel="C1", key="a"),
        AuditRecord(at=2.0, act="resolve", user=ANA, name="Ana Keller", channel="C1", key="a"),
        AuditRecord(at=3.0, act="resolve", user="U0ANA2", name="Ana Keller", channel="C1", key="b"),
        AuditRecord(at=4.0, act=REFUSED_ACTION, user=BEN, name="ben", channel="C1", key="b"),
    ]
    assert shift_report_for([], acts, "C1", 0.0).deeds == (("Ana Keller", 2), ("Ana Keller", 1))


@pytest.mark.parametrize(
    ("action", "tried"),
    [("acknowledge", "acknowledge this failure"), ("assign", "assign this failure"), ("snooze", "snooze this failure")],
)
async def test_a_denial_names_what_was_tried_and_the_audit_has_it(
    triage_bot: RunningBot, action: str, tried: str
) -> None:
    root = await raise_alert(triage_bot)
    triage_bot.world.slack.channels[root.channel].members.add(GUEST)
    await press_button(triage_bot, GUEST, root, button_of(root, f"zof_triage_{action}"))
    await wait_until(lambda: f"can't {tried}" in private_text(triage_bot, GUEST))
    [entry] = await audit_entries(triage_bot, REFUSED_ACTION)
    assert (entry.user, entry.name, entry.key, entry.channel) == (GUEST, "gus", root.idempotency_key, root.channel)
    assert entry.details == {"tried": tried, "reason": "needs the role responder"}
    assert entry.request


@pytest.mark.parametrize(
    ("typed", "tried"),
    [
        ("/zof subscribe group:case", "subscribe this channel"),
        ("/zof unsubscribe 1", "remove this channel's subscriptions"),
        ("/zof digest daily 09:00", "set this channel's digest"),
        ("/zof handover", "post a handover"),
    ],
)
async def test_so_does_that_of_a_command(triage_bot: RunningBot, typed: str, tried: str) -> None:
    triage_bot.world.slack.channels["C0QA"].members.add(GUEST)
    assert f"can't {tried}" in await triage_bot.answer_text(typed, user=GUEST)
    [entry] = await audit_entries(triage_bot, REFUSED_ACTION)
    assert entry.details["tried"] == tried


async def test_that_runs_may_not_be_started_names_what_was_tried(triage_bot: RunningBot) -> None:
    told = await triage_bot.answer_text("/zof cancel run_1001")
    assert "You can't cancel a run here: starting and canceling runs from Slack is off" in told
    [entry] = await audit_entries(triage_bot, REFUSED_ACTION)
    assert entry.details == {"tried": "cancel a run", "reason": "needs the role operator"}


async def test_people_of_other_organizations_are_told_what_they_cannot_look_up(bot: RunningBot) -> None:
    bot.world.slack.channels["C0QA"].members.add("U0EXT")
    told = await bot.answer_text("/zof result res_4821", user="U0EXT")
    assert "You can't use `/zof result` here. Only members of this workspace" in told
    [entry] = await audit_entries(bot, REFUSED_ACTION)
    assert entry.details["reason"] == "may not read here: stranger"


async def test_what_was_overtaken_or_makes_no_sense_is_in_the_audit_once(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    ack = button_of(root, "zof_triage_acknowledge")
    triage_bot.world.slack.faults.set_fault("429", only="chat.update")
    assert (await mention_bot(triage_bot, root, "snooze 2h", BEN)).is_accepted
    await press_button(triage_bot, ANA, root, ack)
    await wait_until(lambda: "Nothing changed" in private_text(triage_bot, ANA))
    assert (await mention_bot(triage_bot, root, "reopen")).is_accepted
    await wait_until(lambda: "Reopen isn't possible" in private_text(triage_bot, ANA))
    found = [
        (entry.details["tried"], entry.details["reason"]) for entry in await audit_entries(triage_bot, REFUSED_ACTION)
    ]
    assert found == [
        ("acknowledge this failure", "the card was out of date"),
        ("reopen this failure", "not possible while snoozed"),
    ]
    assert [item for item in thread_of(triage_bot, root) if "ana" in item] == []


async def test_a_refusal_that_slack_delivers_twice_is_written_down_once(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    triage_bot.world.slack.channels[root.channel].members.add(GUEST)
    words = f"<@{BOT}> ack"
    said = {"type": "app_mention", "user": GUEST, "text": words, "ts": "1.1", "channel": root.channel}
    event = payloads.event_payload(triage_bot.world.slack, said | {"thread_ts": root.ts, "event_ts": "1.1"}, None)
    for _ in range(2):
        assert (await triage_bot.simulator.people.deliver_payload("events_api", event)).is_accepted
    await wait_until(lambda: private_text(triage_bot, GUEST).count("can't acknowledge this failure") >= 2)
    assert len(await audit_entries(triage_bot, REFUSED_ACTION)) == 1


async def test_without_a_store_it_is_refused_all_the_same(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        bot.world.slack.channels["C0QA"].members.add(GUEST)
        client, name = bot.app.store.client, f"{{{bot.settings.zofbot_namespace}}}:audit"
        await client.set(name, "no stream")
        assert "can't subscribe this channel" in await bot.answer_text("/zof subscribe group:case", user=GUEST)


async def test_to_assign_it_to_somebody_who_may_not_names_them(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    assert (await mention_bot(triage_bot, root, f"assign <@{GUEST}>")).is_accepted
    await wait_until(lambda: "gus isn't allowed to work on failures" in private_text(triage_bot, ANA))

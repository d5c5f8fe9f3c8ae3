"""The message shortcut: the same acts as on the card, from the alert or from a reply in its thread."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.triage import (
    chosen_act,
    forget_alert,
    open_triage_form,
    private_text,
    raise_alert,
    thread_of,
)
from zofbot.config.manifest import build_manifest
from zofbot.domain.commands import SHORTCUT_CALLBACK_ID
from zofbot.simulator.slack.model import Channel, PostedMessage


@pytest.mark.parametrize("triage_bot", ["http", "socket"], indirect=True)
async def test_an_act_is_chosen_on_a_reply_and_done(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await wait_until(lambda: bool(thread_of(triage_bot, root)))
    reply = next(item for item in triage_bot.world.slack.ledger if item.thread_ts == root.ts)
    view = await open_triage_form(triage_bot, reply)
    assert "Escalate now" in str(triage_bot.world.slack.modals["U0ANA"][-1].payload["blocks"])
    await triage_bot.simulator.people.submit_view("U0ANA", view, chosen_act("acknowledge", "Acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await wait_until(lambda: "You acknowledged" in private_text(triage_bot, "U0ANA"))
    assert not triage_bot.world.slack.modals["U0ANA"]


async def test_what_asks_something_leads_on_to_its_own_form(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_triage_form(triage_bot, root)
    await triage_bot.simulator.people.submit_view("U0ANA", view, chosen_act("resolve", "Resolve…"))
    await wait_until(lambda: triage_bot.world.slack.modals["U0ANA"][-1].payload["title"]["text"] == "Resolve")
    option = {"text": {"type": "plain_text", "text": "Flaky", "emoji": True}, "value": "flaky"}
    reason = {"reason": {"reason": {"type": "static_select", "selected_option": option}}}
    await triage_bot.simulator.people.submit_view("U0ANA", triage_bot.world.slack.modals["U0ANA"][-1].id, reason)
    await wait_until(lambda: "Resolved" in text_of(root))


@pytest.mark.parametrize("opened", [False, True], ids=["before the form opens", "while it is open"])
async def test_what_has_been_forgotten_by_zof_too_is_explained(triage_bot: RunningBot, opened: bool) -> None:
    root = await raise_alert(triage_bot)
    view = await open_triage_form(triage_bot, root) if opened else ""
    await forget_alert(triage_bot, root)
    triage_bot.world.zof.results.clear()
    if opened:
        await triage_bot.simulator.people.submit_view("U0ANA", view, chosen_act("resolve", "Resolve…"))
    else:
        triage_bot.world.slack.shortcuts = build_manifest()["features"]["shortcuts"]
        assert (
            await triage_bot.simulator.people.use_shortcut("U0ANA", root.channel, root.ts, SHORTCUT_CALLBACK_ID)
        ).is_accepted
    await wait_until(lambda: "This alert has expired" in private_text(triage_bot, "U0ANA"))
    assert not triage_bot.world.slack.modals.get("U0ANA")


async def test_a_form_of_another_version_or_without_a_choice_says_so(triage_bot: RunningBot) -> None:
    view = await open_triage_form(triage_bot, await raise_alert(triage_bot))
    form = triage_bot.world.slack.modals["U0ANA"][-1]
    await triage_bot.simulator.people.submit_view("U0ANA", view, chosen_act("dance", "Dance"))
    assert form.errors == {"act": "No action selected. Select an action."}
    form.payload["private_metadata"] = "{}"
    await triage_bot.simulator.people.submit_view("U0ANA", view, chosen_act("acknowledge", "Acknowledge"))
    assert form.errors == {"act": "This form is from another version of zofbot. Close it, and open it again."}


async def test_without_redis_the_form_stays_with_what_was_chosen_and_says_so(triage_bot: RunningBot) -> None:
    view = await open_triage_form(triage_bot, await raise_alert(triage_bot))
    form = triage_bot.world.slack.modals["U0ANA"][-1]
    client, name = triage_bot.app.store.client, "{zofbot}:triage:C0QA"
    await client.set(name, "no hash")  # so that it refuses at once
    outcome = await triage_bot.simulator.people.submit_view("U0ANA", view, chosen_act("resolve", "Resolve…"))
    await client.delete(name)
    assert outcome.is_accepted
    assert "store (Redis) isn't responding" in (form.errors or {}).get("act", "")
    assert triage_bot.world.slack.modals["U0ANA"] == [form]
    await triage_bot.simulator.people.submit_view("U0ANA", view, chosen_act("resolve", "Resolve…"))
    assert triage_bot.world.slack.modals["U0ANA"][-1].payload["title"]["text"] == "Resolve"


async def test_on_another_message_it_says_where_to_choose_it(triage_bot: RunningBot) -> None:
    triage_bot.world.slack.shortcuts = build_manifest()["features"]["shortcuts"]
    await triage_bot.type_text("nothing of ours")
    message = next(m for m in triage_bot.world.slack.messages["C0QA"].values() if m.text == "nothing of ours")
    await triage_bot.simulator.people.use_shortcut("U0ANA", "C0QA", message.ts, SHORTCUT_CALLBACK_ID)
    await wait_until(lambda: "This message isn't an alert" in private_text(triage_bot, "U0ANA"))


@pytest.mark.parametrize("private", [False, True], ids=["not_in_channel", "channel_not_found"])
@pytest.mark.parametrize("threaded", [False, True])
async def test_where_the_bot_cannot_read_a_message_is_no_alert(
    triage_bot: RunningBot, private: bool, threaded: bool
) -> None:
    slack = triage_bot.world.slack
    slack.shortcuts = build_manifest()["features"]["shortcuts"]
    slack.channels["C0OURS"] = Channel("C0OURS", "ours", {"U0ANA", "U0BEN"}, private=private)
    message = slack.add_message(PostedMessage("C0OURS", slack.next_timestamp(), "U0BEN", "hello"))
    if threaded:
        message = slack.add_message(
            PostedMessage("C0OURS", slack.next_timestamp(), "U0BEN", "so", thread_ts=message.ts)
        )
    await triage_bot.simulator.people.use_shortcut("U0ANA", "C0OURS", message.ts, SHORTCUT_CALLBACK_ID)
    await wait_until(lambda: bool(triage_bot.private_messages("C0OURS", "U0ANA")))
    assert [call.error for call in slack.calls if call.method == "conversations.replies"] == [
        "channel_not_found" if private else "not_in_channel"
    ]
    [answer] = triage_bot.private_messages("C0OURS", "U0ANA")
    assert "This message isn't an alert" in text_of(answer)


async def test_a_message_that_slack_does_not_show_is_explained_with_a_reference(triage_bot: RunningBot) -> None:
    slack = triage_bot.world.slack
    slack.shortcuts = build_manifest()["features"]["shortcuts"]
    await triage_bot.type_text("nothing of ours")
    message = next(m for m in slack.messages["C0QA"].values() if m.text == "nothing of ours")
    slack.faults.set_fault("error:missing_scope", only="conversations.replies")
    await triage_bot.simulator.people.use_shortcut("U0ANA", "C0QA", message.ts, SHORTCUT_CALLBACK_ID)
    await wait_until(lambda: "The Slack app lacks a permission" in private_text(triage_bot, "U0ANA"))
    assert "Reference: `ref_" in private_text(triage_bot, "U0ANA")


async def test_a_form_that_slack_does_not_open_is_to_be_tried_again(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    slack = triage_bot.world.slack
    slack.shortcuts = build_manifest()["features"]["shortcuts"]
    slack.faults.set_fault("500", only="views.open")
    await triage_bot.simulator.people.use_shortcut("U0ANA", root.channel, root.ts, SHORTCUT_CALLBACK_ID)
    await wait_until(lambda: "Slack couldn't open the form. Try again." in private_text(triage_bot, "U0ANA"))
    assert "Reference: `ref_" in private_text(triage_bot, "U0ANA")


async def test_a_guest_gets_no_form(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    triage_bot.world.slack.channels[root.channel].members.add("U0GUEST")
    triage_bot.world.slack.shortcuts = build_manifest()["features"]["shortcuts"]
    await triage_bot.simulator.people.use_shortcut("U0GUEST", root.channel, root.ts, SHORTCUT_CALLBACK_ID)
    await wait_until(lambda: "guest" in private_text(triage_bot, "U0GUEST").lower())
    await asyncio.sleep(0.1)
    assert not triage_bot.world.slack.modals.get("U0GUEST")

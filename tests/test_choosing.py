"""The message shortcut: the same acts as on the card, from the alert or from a reply in its thread."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import House, said, until
from tests.test_triage import alert, private, there, thread
from tests.test_triage_corners import forget
from zofbot.manifest import manifest
from zofbot.simulator.entities import Message
from zofbot.verbs import SHORTCUT

__all__ = ["there"]


async def choose(built: House, message: Message, user: str = "U0ANA") -> str:
    """Open the form; returns its id."""
    built.world.slack.shortcuts = manifest()["features"]["shortcuts"]
    assert (await built.stage.people.shortcut(user, message.channel, message.ts, SHORTCUT)).ok
    await until(lambda: bool(built.world.slack.modals.get(user)))
    return built.world.slack.modals[user][-1].id


def chosen(act: str, label: str) -> dict[str, Any]:
    option = {"text": {"type": "plain_text", "text": label, "emoji": True}, "value": act}
    return {"act": {"act": {"type": "radio_buttons", "selected_option": option}}}


@pytest.mark.parametrize("there", ["http", "socket"], indirect=True)
async def test_an_act_is_chosen_on_a_reply_and_done(there: House) -> None:
    root = await alert(there)
    await until(lambda: bool(thread(there, root)))
    reply = next(one for one in there.world.slack.ledger if one.thread_ts == root.ts)
    view = await choose(there, reply)
    assert "Escalate now" in str(there.world.slack.modals["U0ANA"][-1].payload["blocks"])
    await there.stage.people.submit("U0ANA", view, chosen("acknowledge", "Acknowledge"))
    await until(lambda: "Acknowledged" in said(root))
    await until(lambda: "You acknowledged" in private(there, "U0ANA"))
    assert not there.world.slack.modals["U0ANA"]


async def test_what_asks_something_leads_on_to_its_own_form(there: House) -> None:
    root = await alert(there)
    view = await choose(there, root)
    await there.stage.people.submit("U0ANA", view, chosen("resolve", "Resolve…"))
    await until(lambda: there.world.slack.modals["U0ANA"][-1].payload["title"]["text"] == "Resolve")
    option = {"text": {"type": "plain_text", "text": "Flaky", "emoji": True}, "value": "flaky"}
    reason = {"reason": {"reason": {"type": "static_select", "selected_option": option}}}
    await there.stage.people.submit("U0ANA", there.world.slack.modals["U0ANA"][-1].id, reason)
    await until(lambda: "Resolved" in said(root))


@pytest.mark.parametrize("opened", [False, True], ids=["before the form opens", "while it is open"])
async def test_what_has_been_forgotten_by_zof_too_is_explained(there: House, opened: bool) -> None:
    root = await alert(there)
    view = await choose(there, root) if opened else ""
    await forget(there, root)
    there.world.zof.results.clear()
    if opened:
        await there.stage.people.submit("U0ANA", view, chosen("resolve", "Resolve…"))
    else:
        there.world.slack.shortcuts = manifest()["features"]["shortcuts"]
        assert (await there.stage.people.shortcut("U0ANA", root.channel, root.ts, SHORTCUT)).ok
    await until(lambda: "does not know this alert any more" in private(there, "U0ANA"))
    assert not there.world.slack.modals.get("U0ANA")


async def test_a_form_of_another_version_or_without_a_choice_says_so(there: House) -> None:
    view = await choose(there, await alert(there))
    form = there.world.slack.modals["U0ANA"][-1]
    await there.stage.people.submit("U0ANA", view, chosen("dance", "Dance"))
    assert form.errors == {"act": "Nothing is chosen. Choose what to do."}
    form.payload["private_metadata"] = "{}"
    await there.stage.people.submit("U0ANA", view, chosen("acknowledge", "Acknowledge"))
    assert form.errors == {"act": "This form is from another version of zofbot. Close it, and open it again."}


async def test_without_redis_the_form_stays_with_what_was_chosen_and_says_so(there: House) -> None:
    view = await choose(there, await alert(there))
    form = there.world.slack.modals["U0ANA"][-1]
    client, name = there.bot.store.client, "{zofbot}:triage:C0QA"
    await client.set(name, "no hash")  # so that it refuses at once
    outcome = await there.stage.people.submit("U0ANA", view, chosen("resolve", "Resolve…"))
    await client.delete(name)
    assert outcome.ok
    assert "store (Redis) does not answer" in (form.errors or {}).get("act", "")
    assert there.world.slack.modals["U0ANA"] == [form]
    await there.stage.people.submit("U0ANA", view, chosen("resolve", "Resolve…"))
    assert there.world.slack.modals["U0ANA"][-1].payload["title"]["text"] == "Resolve"


async def test_on_another_message_it_says_where_to_choose_it(there: House) -> None:
    there.world.slack.shortcuts = manifest()["features"]["shortcuts"]
    await there.type("nothing of ours")
    message = next(m for m in there.world.slack.messages["C0QA"].values() if m.text == "nothing of ours")
    await there.stage.people.shortcut("U0ANA", "C0QA", message.ts, SHORTCUT)
    await until(lambda: "This message is not about a failure" in private(there, "U0ANA"))


async def test_a_guest_gets_no_form(there: House) -> None:
    root = await alert(there)
    there.world.slack.channels[root.channel].members.add("U0GUEST")
    there.world.slack.shortcuts = manifest()["features"]["shortcuts"]
    await there.stage.people.shortcut("U0GUEST", root.channel, root.ts, SHORTCUT)
    await until(lambda: "guest" in private(there, "U0GUEST").lower())
    await asyncio.sleep(0.1)
    assert not there.world.slack.modals.get("U0GUEST")

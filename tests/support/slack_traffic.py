"""Everything that people can do to the bot, done once, and kept as Slack sent it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.bot import RunningBot, buttons, text_of, until
from tests.support.triage import chosen_act, flaky_resolution, mention_bot, open_triage_form, raise_alert
from zofbot.simulator.delivery import Delivery, Kind, Outcome
from zofbot.simulator.entities import Message

Sent = tuple[Kind, dict[str, Any]]


class Keeping(Delivery):
    """Delivers as ever, and keeps what it delivered."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery.slack, delivery.clock)
        self.kept: list[Sent] = []

    async def send(self, kind: Kind, payload: Mapping[str, Any], retry: Mapping[str, Any] | None = None) -> Outcome:
        self.kept.append((kind, dict(payload)))
        return await super().send(kind, payload, retry)


async def do_everything(there: RunningBot) -> list[Sent]:
    """Do everything once: words, buttons, menus, forms, the shortcut, Home, mentions, links, channels that change."""
    people, slack = there.stage.people, there.world.slack
    await people.stop()
    keeping = people.delivery = Keeping(people.delivery)
    slack.events |= {"link_shared", "channel_unarchive", "member_joined_channel"}
    slack.unfurl_domains = {"app.zof.ai"}
    root = await raise_alert(there)
    await _look(there)
    await _triage(there, root)
    await _on_home(there)
    await people.type("U0ANA", "C0QA", "see https://app.zof.ai/results/res_4821")
    for archived in (True, False):
        await people.archive("U0ANA", "C0RANDOM", archived=archived)
    return keeping.kept


async def _look(there: RunningBot) -> None:
    people = there.stage.people
    for text in ("result res_4821", "runs", "subscriptions", "triage", "help"):
        await there.type(f"/zof {text}")
    for action in ("zof_share", "zof_runs_page", "zof_test_alert", "zof_edit"):
        message = next(one for one in there.private() if any(b["action_id"] == action for b in buttons(one)))
        await there.press(message, action)
    view = await form(there, "zof_subscription")
    await people.press("U0ANA", {"action_id": "zof_preview"}, view_id=view)
    await people.submit("U0ANA", view)


async def _triage(there: RunningBot, root: Message) -> None:
    people = there.stage.people
    await there.press(root, "zof_triage_assign")
    await people.submit("U0ANA", await form(there, "zof_act_assign"))
    await until(lambda: "Acknowledged" in text_of(root))
    await there.press(root, "zof_triage_snooze")
    view = await form(there, "zof_act_snooze")
    words: dict[str, Any] = {"action_id": "zof_wakes", "block_id": "words", "value": "90m"}
    await people.press("U0ANA", words, view_id=view)
    await people.submit("U0ANA", view)
    await until(lambda: "Snoozed" in text_of(root))
    await people.submit("U0ANA", await open_triage_form(there, root), chosen_act("wake", "Wake now"))
    await until(lambda: "Snoozed" not in text_of(root))
    for choice in ("why", "run", "resolve"):
        option = {"text": {"type": "plain_text", "text": choice}, "value": choice}
        act: dict[str, Any] = {"action_id": "zof_triage_more", "selected_option": option}
        await people.press("U0ANA", act, channel=root.channel, ts=root.ts)
    await people.submit("U0ANA", await form(there, "zof_act_resolve"), flaky_resolution())
    await until(lambda: "Resolved" in text_of(root))
    message = await answered(there, "zof_do_undo")
    await there.press(message, "zof_do_undo")
    for text in ("ack", "help"):
        await mention_bot(there, root, text)


async def _on_home(there: RunningBot) -> None:
    people, homes = there.stage.people, there.world.slack.homes
    await people.open_home("U0ANA")
    await until(lambda: "zof_home_edit" in str(homes.get("U0ANA")))
    await people.press("U0ANA", {"action_id": "zof_home_edit"}, view_id=homes["U0ANA"].id)
    await people.submit("U0ANA", await form(there, "zof_subscription"))


async def form(there: RunningBot, callback_id: str) -> str:
    """Wait for a form, which is then on top; returns its id."""

    def top() -> list[str]:
        return [one.id for one in there.world.slack.modals.get("U0ANA", [])[-1:]
                if one.payload["callback_id"] == callback_id]  # fmt: skip

    await until(lambda: bool(top()))
    return top()[0]


async def answered(there: RunningBot, action: str) -> Message:
    """Wait for a private answer with a button."""

    def offered() -> list[Message]:
        return [one for one in there.private() if any(b["action_id"] == action for b in buttons(one))]

    await until(lambda: bool(offered()))
    return offered()[-1]

"""Perform every kind of interaction with the bot once, and record Slack's payloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.bot import RunningBot, buttons_of, text_of, wait_until
from tests.support.failing_runs import fail_run
from tests.support.triage import chosen_act, flaky_resolution, mention_bot, open_triage_form, raise_alert
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.slack.sender import Acknowledgement, EnvelopeType, PayloadSender

SentPayload = tuple[EnvelopeType, dict[str, Any]]


class RecordingSender(PayloadSender):
    """A sender that also records what it sends."""

    def __init__(self, delivery: PayloadSender) -> None:
        super().__init__(delivery.slack, delivery.clock)
        self.kept: list[SentPayload] = []

    async def send_payload(
        self, kind: EnvelopeType, payload: Mapping[str, Any], retry: Mapping[str, Any] | None = None
    ) -> Acknowledgement:
        self.kept.append((kind, dict(payload)))
        return await super().send_payload(kind, payload, retry)


async def do_everything(there: RunningBot) -> list[SentPayload]:
    """Do everything once: commands, buttons, menus, forms, the shortcut, Home, mentions, links, channel changes."""
    people, slack = there.simulator.people, there.world.slack
    await people.stop()
    keeping = people.delivery = RecordingSender(people.delivery)
    slack.events |= {"link_shared", "channel_unarchive", "member_joined_channel"}
    slack.unfurl_domains = {"app.zof.ai"}
    root = await raise_alert(there)
    await _ask_questions(there)
    await _triage_alert(there, root)
    await _use_home(there)
    await people.type_text("U0ANA", "C0QA", "see https://app.zof.ai/results/res_4821")
    for archived in (True, False):
        await people.archive_channel("U0ANA", "C0RANDOM", archived=archived)
    return keeping.kept


async def _ask_questions(there: RunningBot) -> None:
    people = there.simulator.people
    for _ in range(20):  # for a second page of `/zof runs`
        fail_run(there, 0)
    for text in ("result res_4821", "runs", "subscriptions", "triage", "help"):
        await there.type_text(f"/zof {text}")
    for action in ("zof_share", "zof_runs_page", "zof_test_alert", "zof_edit"):
        message = next(
            message
            for message in there.private_messages()
            if any(b["action_id"] == action for b in buttons_of(message))
        )
        await there.press_button(message, action)
    view = await wait_for_form(there, "zof_subscription")
    await people.press_element("U0ANA", {"action_id": "zof_preview"}, view_id=view)
    await people.submit_view("U0ANA", view)


async def _triage_alert(there: RunningBot, root: PostedMessage) -> None:
    people = there.simulator.people
    await there.press_button(root, "zof_triage_assign")
    await people.submit_view("U0ANA", await wait_for_form(there, "zof_act_assign"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await there.press_button(root, "zof_triage_snooze")
    view = await wait_for_form(there, "zof_act_snooze")
    words: dict[str, Any] = {"action_id": "zof_wakes", "block_id": "words", "value": "90m"}
    await people.press_element("U0ANA", words, view_id=view)
    await people.submit_view("U0ANA", view)
    await wait_until(lambda: "Snoozed" in text_of(root))
    await people.submit_view("U0ANA", await open_triage_form(there, root), chosen_act("wake", "Wake now"))
    await wait_until(lambda: "Snoozed" not in text_of(root))
    for choice in ("why", "run", "resolve"):
        option = {"text": {"type": "plain_text", "text": choice}, "value": choice}
        act: dict[str, Any] = {"action_id": "zof_triage_more", "selected_option": option}
        await people.press_element("U0ANA", act, channel=root.channel, ts=root.ts)
    await people.submit_view("U0ANA", await wait_for_form(there, "zof_act_resolve"), flaky_resolution())
    await wait_until(lambda: "Resolved" in text_of(root))
    message = await wait_for_answer(there, "zof_do_undo")
    await there.press_button(message, "zof_do_undo")
    for text in ("ack", "help"):
        await mention_bot(there, root, text)


async def _use_home(there: RunningBot) -> None:
    people, homes = there.simulator.people, there.world.slack.homes
    await people.open_home("U0ANA")
    await wait_until(lambda: "zof_home_edit" in str(homes.get("U0ANA")))
    await people.press_element("U0ANA", {"action_id": "zof_home_edit"}, view_id=homes["U0ANA"].id)
    await people.submit_view("U0ANA", await wait_for_form(there, "zof_subscription"))


async def wait_for_form(there: RunningBot, callback_id: str) -> str:
    """Wait until a form is the topmost modal; returns its id."""

    def top_views() -> list[str]:
        return [item.id for item in there.world.slack.modals.get("U0ANA", [])[-1:]
                if item.payload["callback_id"] == callback_id]  # fmt: skip

    await wait_until(lambda: bool(top_views()))
    return top_views()[0]


async def wait_for_answer(there: RunningBot, action: str) -> PostedMessage:
    """Wait for an ephemeral answer with a button."""

    def answers_with_button() -> list[PostedMessage]:
        return [
            message
            for message in there.private_messages()
            if any(b["action_id"] == action for b in buttons_of(message))
        ]

    await wait_until(lambda: bool(answers_with_button()))
    return answers_with_button()[-1]

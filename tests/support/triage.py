"""Triage actions of people, and what they see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.bot import RunningBot, over_socket, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from zofbot.config.manifest import build_manifest
from zofbot.domain.commands import SHORTCUT_CALLBACK_ID
from zofbot.simulator.slack import payloads
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.slack.sender import Acknowledgement
from zofbot.store.audit import AuditLog, AuditRecord
from zofbot.triage import Action, ActionRequest, Actor, EscalationPolicy, EscalationStep, TriageRecord, TriageState

BOT = "U0ZOFBOT"

ANA, BEN = Actor(id="U0ANA", name="Ana"), Actor(id="U0BEN", name="Ben")


NOW = 1_800_000_000.0


POLICY = EscalationPolicy(
    escalate=(EscalationStep(after=900, mention=("S0AA",)), EscalationStep(after=2700, mention=("U0LEAD",))), reack=3600
)


def action_request(what: Action, at: float = NOW, who: Actor = ANA, **more: Any) -> ActionRequest:
    return ActionRequest(act=what, who=who, at=at, **more)


def record_in_state(state: TriageState) -> TriageRecord:
    return TriageRecord(state=state, since=NOW - 100, opened=NOW - 100, by=BEN, at=NOW - 100)


@pytest.fixture
async def triage_bot(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[RunningBot]:
    """Start a bot that receives webhooks and delivers, with a subscription that escalates."""
    async with alerting_bot(store_url, socket=over_socket(request)) as bot:
        await bot.type_text("/zof subscribe group:case escalate:4s-><@U0BEN>")
        yield bot


async def raise_alert(bot: RunningBot) -> PostedMessage:
    """Fail a case and return its root message."""
    run = fail_run(bot, 1)
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}")) == 200
    await wait_until(lambda: any((item.idempotency_key or "").startswith("case:") for item in bot.world.slack.ledger))
    return next(item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("case:"))


def button_of(message: PostedMessage, action: str) -> dict[str, Any]:
    rows = [block for part in message.attachments for block in part["blocks"] if block["type"] == "actions"]
    [found] = [item | {"block_id": row["block_id"]} for row in rows for item in row["elements"]
               if item["action_id"] == action]  # fmt: skip
    return {"type": found["type"], "action_id": action, "block_id": found["block_id"], "value": found.get("value", "")}


async def press_button(bot: RunningBot, user: str, message: PostedMessage, action: dict[str, Any]) -> None:
    outcome = await bot.simulator.people.press_element(user, action, channel=message.channel, ts=message.ts)
    assert outcome.is_accepted


async def press_with_changed_payload(
    bot: RunningBot, user: str, message: PostedMessage, action: dict[str, Any], /, **changed: Any
) -> None:
    """Press a button as another client than Slack's reports it: with changed fields, without those that are None."""
    slack = bot.world.slack
    done = action | {"action_ts": slack.next_timestamp()}
    url = slack.new_response_url(user, message.channel, message)
    payload = payloads.message_action_payload(slack, slack.users[user], message, done, url) | changed
    payload = {name: value for name, value in payload.items() if value is not None}
    assert (await bot.simulator.people.deliver_payload("interactive", payload)).is_accepted


def thread_of(bot: RunningBot, root: PostedMessage) -> list[str]:
    return [item.text for item in bot.world.slack.ledger if item.thread_ts == root.ts]


def private_text(bot: RunningBot, user: str) -> str:
    return " ".join(text_of(message) for message in bot.private_messages(user=user))


async def open_form(bot: RunningBot, user: str, root: PostedMessage, name: str) -> str:
    await press_button(bot, user, root, button_of(root, f"zof_triage_{name}"))
    await wait_until(lambda: bool(bot.world.slack.modals.get(user)))
    return bot.world.slack.modals[user][-1].id


def count_mentions(bot: RunningBot, root: PostedMessage) -> int:
    return sum("<@U0BEN>" in line for line in thread_of(bot, root))


def flaky_resolution(note: str = "") -> dict[str, Any]:
    """Build the values of a completed resolve form."""
    option = {"text": {"type": "plain_text", "text": "Flaky", "emoji": True}, "value": "flaky"}
    filled: dict[str, Any] = {"reason": {"reason": {"type": "static_select", "selected_option": option}}}
    return filled | ({"note": {"note": {"type": "plain_text_input", "value": note}}} if note else {})


async def forget_alert(bot: RunningBot, root: PostedMessage) -> None:
    """Delete the alert from the store, as when its records have expired."""
    client, prefix = bot.app.store.client, f"{{{bot.settings.zofbot_namespace}}}:"
    await client.delete(
        *(f"{prefix}{name}:{root.idempotency_key}" for name in ("note", "sent", "failure")), f"{prefix}triage:C0QA"
    )
    await client.hdel(f"{prefix}failures", root.idempotency_key or "")
    for name in [item async for item in client.scan_iter(f"{prefix}open:*")]:
        await client.delete(name)


async def open_triage_form(bot: RunningBot, message: PostedMessage, user: str = "U0ANA") -> str:
    """Open the form; returns its id."""
    bot.world.slack.shortcuts = build_manifest()["features"]["shortcuts"]
    assert (
        await bot.simulator.people.use_shortcut(user, message.channel, message.ts, SHORTCUT_CALLBACK_ID)
    ).is_accepted
    await wait_until(lambda: bool(bot.world.slack.modals.get(user)))
    return bot.world.slack.modals[user][-1].id


def chosen_act(act: str, label: str) -> dict[str, Any]:
    option = {"text": {"type": "plain_text", "text": label, "emoji": True}, "value": act}
    return {"act": {"act": {"type": "radio_buttons", "selected_option": option}}}


async def mention_bot(bot: RunningBot, root: PostedMessage | None, words: str, user: str = "U0ANA") -> Acknowledgement:
    start = root.ts if root else None
    return await bot.simulator.people.type_text(user, root.channel if root else "C0QA", f"<@{BOT}> {words}", start)


async def audit_entries(bot: RunningBot, act: str) -> list[AuditRecord]:
    entries = await AuditLog(bot.app.store.keyspace).read_records()
    return [entry for entry in entries if entry.act == act]

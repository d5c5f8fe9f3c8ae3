"""Listeners for App Home and its buttons, and a fallback for unused events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.domain.errors import BadInput
from zofbot.domain.permissions import Role
from zofbot.listeners import error_replies
from zofbot.listeners.buttons import parse_button_value
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.home_tab.updater import HomeUpdater
from zofbot.listeners.subscription import form
from zofbot.slack.views import home, replies
from zofbot.slack.views.blocks import Message
from zofbot.store.audit import AuditRecord

log = structlog.get_logger()


def register_listeners(app: AsyncApp, desk: ListenerContext, lobby: HomeUpdater) -> None:
    """Register App Home and its buttons; all other events are acknowledged, because Slack would resend them."""

    async def handle_home_opened(ack: Any, event: dict[str, Any]) -> None:
        await ack()
        if event.get("tab", "home") == "home":
            version = str((event.get("view") or {}).get("hash") or "")
            desk.errands.start(lobby.show_home(str(event.get("user") or ""), version))

    async def handle_edit(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_open_edit_form(desk, lobby, requester_of(body), parse_button_value(action)))

    async def handle_retry(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(
            _retry_and_refresh(desk, lobby, requester_of(body), str(parse_button_value(action).get("key") or ""))
        )

    async def ignore_event(ack: Any, event: dict[str, Any]) -> None:
        await ack()
        log.info("event ignored", type=event.get("type"))

    app.event("app_home_opened")(handle_home_opened)
    app.action(home.EDIT_ACTION_ID)(handle_edit)
    app.action(home.RETRY_ACTION_ID)(handle_retry)
    app.event(re.compile(""))(ignore_event)


async def _open_edit_form(desk: ListenerContext, lobby: HomeUpdater, who: Requester, value: Mapping[str, Any]) -> None:
    """Open a subscription's form, or show an error in App Home, where no other reply is possible."""
    identifier, channel = str(value.get("id") or ""), str(value.get("channel") or "")
    if channel not in (await desk.people.joined_channels(await desk.people.load_person(who.user), [channel]) or ()):
        gone = BadInput("You are not in that channel, as far as Slack tells.", "Open this Home again.")
        told: Message | None = error_replies.error_reply(gone)
    else:
        told = await form.open_form(desk, replace(who, channel=channel), identifier)
    if told:
        await lobby.show_home(who.user, note=told.blocks)


async def _retry_and_refresh(desk: ListenerContext, lobby: HomeUpdater, who: Requester, key: str) -> None:
    told = await desk.run_safely(_retry_dead_letter(desk, who, key))
    await lobby.show_home(who.user, note=told.message.blocks)


async def _retry_dead_letter(desk: ListenerContext, who: Requester, key: str) -> Message:
    """Retry a dead letter and write the audit record in one transaction. Raises ZofbotError."""
    person = await require_role(desk, who, Role.ADMIN, "retry an undelivered alert", key)
    before = await desk.outbox.get_record(key)
    act = AuditRecord(
        at=desk.clock.time(), act="outbox retry", user=who.user, name=person.name or who.name, key=key,
        channel=before.channel if before else "", before=before.state.value if before else "", after="pending",
        request=who.request,
    )  # fmt: skip
    if not before or not await desk.outbox.retry(key, act.model_dump_json()):
        raise BadInput("That is not given up any more.", "Somebody was faster, or it was sent meanwhile.")
    log.info("dead letter retried", key=key, by=who.user)
    return replies.retried_reply()

"""Listeners for App Home and its buttons, and a fallback for unused events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from zofbot.domain.errors import BadInput, SlackDeferred, ZofbotError
from zofbot.domain.permissions import Role
from zofbot.listeners import error_handling
from zofbot.listeners.buttons import parse_button_value
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.home_tab.updater import HomeUpdater
from zofbot.listeners.listener_table import ListenerTable
from zofbot.listeners.subscription import form
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.home import channel_sections, health_section
from zofbot.slack.views.replies import request_replies
from zofbot.store.audit import AuditRecord

log = structlog.get_logger()


def register_listeners(table: ListenerTable, context: ListenerContext, home_updater: HomeUpdater) -> None:
    """Register App Home and its buttons; all other events are acknowledged, because Slack would resend them."""

    async def handle_home_opened(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        await ack()
        if event.get("tab", "home") == "home":
            version = str((event.get("view") or {}).get("hash") or "")
            context.background_tasks.start(home_updater.show_home(str(event.get("user") or ""), version))

    async def handle_edit(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        context.background_tasks.start(
            _open_edit_form(context, home_updater, requester_of(body), parse_button_value(action))
        )

    async def handle_retry(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        context.background_tasks.start(
            _retry_and_refresh(
                context, home_updater, requester_of(body), str(parse_button_value(action).get("key") or "")
            )
        )

    async def ignore_event(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        await ack()
        log.info("event ignored", type=event.get("type"))

    table.events["app_home_opened"] = handle_home_opened
    table.actions[channel_sections.EDIT_ACTION_ID] = handle_edit
    table.actions[health_section.RETRY_ACTION_ID] = handle_retry
    table.unknown_event = ignore_event


async def _open_edit_form(
    context: ListenerContext, home_updater: HomeUpdater, requester: Requester, value: Mapping[str, Any]
) -> None:
    """Open a subscription's form, or show an error in App Home, where no other reply is possible."""
    identifier, channel = str(value.get("id") or ""), str(value.get("channel") or "")
    try:
        await _check_membership(context, requester, channel)
        reply = await form.open_form(context, replace(requester, channel=channel), identifier)
    except ZofbotError as error:
        reply = error_handling.error_reply(error)
    if reply:
        await home_updater.show_home(requester.user, note=reply.blocks)


async def _check_membership(context: ListenerContext, requester: Requester, channel: str) -> None:
    """Raise BadInput if a person is not in the channel, and SlackDeferred if Slack does not say."""
    joined = await context.people.joined_channels(await context.people.load_person(requester.user), [channel])
    if joined is None:
        raise SlackDeferred("unanswered", "Slack didn't say which channels you are in.", "Try again in a moment.")
    if channel not in joined:
        raise BadInput("You aren't in that channel, according to Slack.", "Reload this tab.")


async def _retry_and_refresh(
    context: ListenerContext, home_updater: HomeUpdater, requester: Requester, key: str
) -> None:
    reply = await context.run_safely(_retry_dead_letter(context, requester, key))
    await home_updater.show_home(requester.user, note=reply.message.blocks)


async def _retry_dead_letter(context: ListenerContext, requester: Requester, key: str) -> Message:
    """Retry a dead letter and write the audit record in one transaction. Raises ZofbotError."""
    person = await require_role(context, requester, Role.ADMIN, "retry an undelivered alert", key)
    before = await context.outbox.get_record(key)
    act = AuditRecord(
        at=context.clock.time(), act="outbox retry", user=requester.user, name=person.name or requester.name, key=key,
        channel=before.channel if before else "", before=before.state.value if before else "", after="pending",
        request=requester.request,
    )  # fmt: skip
    if not before or not await context.outbox.retry(key, act.model_dump_json()):
        raise BadInput("Nothing to retry.", "It was already retried or sent.")
    log.info("dead letter retried", key=key, by=requester.user)
    return request_replies.retried_reply()

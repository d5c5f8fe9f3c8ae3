"""Message shortcut *Zof: triage*: the same actions as on the card, chosen in a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from zofbot.domain.commands import SHORTCUT_CALLBACK_ID
from zofbot.domain.errors import BadInput, SlackError, SlackRefused, SlackUnknown, ZofbotError
from zofbot.domain.permissions import Role
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import alert_key_at, check_channel, load_failure, require_role
from zofbot.listeners.listener_table import IdempotentListener, ListenerTable
from zofbot.listeners.triage import triage_actions, triage_forms
from zofbot.notifications.idempotency import alert_key_of
from zofbot.services.failures import Failure, FailureExpired
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.forms import field_value, parse_private_metadata
from zofbot.slack.views.triage import triage_modals, triage_replies
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.triage_modals import TriageFormState
from zofbot.triage import TRANSITIONS, Action
from zofbot.triage.state_machine import HUMAN_ACTIONS

log = structlog.get_logger()

_UNREADABLE_REASONS = frozenset({"not_in_channel", "channel_not_found", "thread_not_found", "message_not_found"})
"""Slack's reasons for conversations that the bot is not in, and for messages that are gone."""


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register the shortcut (https://docs.slack.dev/interactivity/implementing-shortcuts) and its form."""

    async def handle_shortcut(ack: Any, body: dict[str, Any], shortcut: dict[str, Any]) -> None:
        await ack()
        requester = requester_of(body)
        context.reply_in_background(requester, _open_chooser(context, requester, body.get("message") or {}))

    async def handle_submission(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _submit_choice(context, requester_of(body), view))

    table.shortcuts[SHORTCUT_CALLBACK_ID] = handle_shortcut
    table.views[triage_modals.CHOOSER_CALLBACK_ID] = IdempotentListener(handle_submission)


async def _open_chooser(context: ListenerContext, requester: Requester, message: Mapping[str, Any]) -> Message:
    """Open the action chooser for a message's failure; Slack allows three seconds. Raises ZofbotError."""
    try:
        await require_role(context, requester, Role.RESPONDER, "triage this failure")
        try:
            failure = await _find_failure(context, requester, message)
        except SlackUnknown as error:  # only reads: there is nothing that may have been posted
            log.warning("message not read", reason=error.reason, user=requester.user)
            raise error.with_sentence("zofbot can't read this message.", "Try again in a moment.") from error
        about = FailureRef(failure.key, failure.present.card_version)
        form_state = TriageFormState(
            about.key, about.version, requester.channel, requester.response_url, requester.thread
        )
        last_action = triage_replies.last_action_text(failure.present, triage_actions.current_time(context))
        chooser = triage_modals.action_chooser_modal(form_state, failure.title, last_action, _offered_actions(failure))
    except FailureExpired as error:
        return triage_replies.unknown_alert_reply(str(error))
    try:
        await context.open_modal(requester, chooser)
    except SlackError as error:
        log.warning("form not opened", reason=error.reason, user=requester.user)
        raise error.with_sentence("Slack couldn't open the form.", "Try again.") from error
    return Message("")


async def _find_failure(context: ListenerContext, requester: Requester, message: Mapping[str, Any]) -> Failure:
    """Return the failure of an alert, or of a reply in its thread. Raises FailureExpired and ZofbotError."""
    if not await context.notifier.search.is_own_message(message):  # another app may have copied our block ids
        message = {name: message[name] for name in ("thread_ts", "ts") if name in message}
    inside = [block for part in message.get("attachments") or () for block in part.get("blocks") or ()]
    blocks = [*(message.get("blocks") or ()), *inside]
    shown = next(
        (about for block in blocks if (about := FailureRef.parse_block_id(str(block.get("block_id") or "")))), None
    )
    root = str(message.get("thread_ts") or message.get("ts") or "")
    key = alert_key_of(shown.key, requester.channel) if shown else await _find_alert_key(context, requester, root)
    if not key:
        raise BadInput("This message isn't an alert.", "Use the shortcut on an alert or its replies.")
    return await load_failure(context, requester, FailureRef(key, ""))


async def _find_alert_key(context: ListenerContext, requester: Requester, root: str) -> str:
    """Return the key of the alert at ``root``; empty where the bot cannot read. Raises SlackError.

    A message shortcut can be used in every conversation, also where the bot is not a member and has no alerts.
    """
    try:
        return await alert_key_at(context, requester.channel, root)
    except SlackRefused as error:
        if error.reason not in _UNREADABLE_REASONS:
            raise
        log.info("message not readable", channel=requester.channel, reason=error.reason)
        return ""


def _offered_actions(failure: Failure) -> list[Action]:
    """Return the actions that the state machine allows, plus undo."""
    allowed = [act for act in TRANSITIONS[failure.present.state] if act in HUMAN_ACTIONS]
    actions = [act for act in allowed if act is not Action.ESCALATE or failure.body.policy.escalate]
    return [*actions, Action.UNDO] if failure.present.before else actions


async def _submit_choice(context: ListenerContext, requester: Requester, view: Mapping[str, Any]) -> dict[str, Any]:
    """Apply the chosen action, or open its form; returns Slack's response action."""
    try:
        form_state, chosen = (
            parse_private_metadata(TriageFormState, view),
            field_value(view, "act", "act"),
        )
        check_channel(form_state.key, form_state.channel)
        if chosen not in HUMAN_ACTIONS:
            raise BadInput("No action selected.", "Select an action.")
        act, about = Action(chosen), FailureRef(form_state.key, form_state.version)
        there = replace(requester, channel=form_state.channel, response_url=form_state.url, thread=form_state.thread)
        if act not in triage_actions.FORM_ACTIONS:
            reply = await context.run_safely(triage_actions.perform_action(context, there, about, act))
            context.background_tasks.start(context.send_reply(there, reply.message))
            return {}
        person = await require_role(
            context, there, Role.RESPONDER, triage_replies.describe_attempt(act), form_state.key
        )
        form = triage_forms.build_triage_form(
            context, act, form_state, await load_failure(context, there, about), person
        )
    except FailureExpired:
        context.background_tasks.start(context.send_reply(there, triage_replies.unknown_alert_reply(form_state.key)))
        return {}
    except ZofbotError as error:
        return {"response_action": "errors", "errors": {"act": await context.field_error(error)}}
    return {"response_action": "update", "view": form}

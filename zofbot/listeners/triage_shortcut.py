"""Message shortcut *Zof: triage*: the same actions as on the card, chosen in a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.domain.commands import SHORTCUT_CALLBACK_ID
from zofbot.domain.errors import BadInput, SlackError, ZofbotError
from zofbot.domain.permissions import Role
from zofbot.listeners import error_replies, triage
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import alert_key_at, check_channel, load_failure, require_role
from zofbot.notifications.idempotency import alert_key_of
from zofbot.services.failures import Failure, FailureExpired
from zofbot.slack.inbound import parse_private_metadata
from zofbot.slack.views import triage_modals, triage_replies
from zofbot.slack.views.triage_controls import FailureRef
from zofbot.slack.views.triage_modals import TriageFormState
from zofbot.triage import TRANSITIONS, Action
from zofbot.triage.state_machine import HUMAN_ACTIONS

log = structlog.get_logger()


def register_listeners(app: AsyncApp, desk: ListenerContext) -> None:
    """Register the shortcut (https://docs.slack.dev/interactivity/implementing-shortcuts) and its form."""

    async def handle_shortcut(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_open_chooser(desk, requester_of(body), body.get("message") or {}))

    async def handle_submission(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _submit_choice(desk, requester_of(body), view))

    app.shortcut(SHORTCUT_CALLBACK_ID)(handle_shortcut)
    app.view(triage_modals.CHOOSER_CALLBACK_ID)(handle_submission)


async def _open_chooser(desk: ListenerContext, who: Requester, message: Mapping[str, Any]) -> None:
    """Open the action chooser for a message's failure, or reply why not; Slack allows three seconds."""
    try:
        await require_role(desk, who, Role.RESPONDER, "triage this failure")
        failure = await _find_failure(desk, who, message)
        about = FailureRef(failure.key, failure.present.card_version)
        meant = TriageFormState(about.key, about.version, who.channel, who.response_url, who.thread)
        stands = triage_replies.last_action_text(failure.present, triage.current_time(desk))
        await desk.open_modal(
            who, triage_modals.action_chooser_modal(meant, failure.title, stands, _offered_actions(failure))
        )
    except FailureExpired as error:
        await desk.send_reply(who, triage_replies.unknown_alert_reply(str(error)))
    except SlackError as error:
        log.warning("form not opened", reason=error.reason, user=who.user)
        await desk.send_reply(
            who, error_replies.error_reply(BadInput("Slack did not open the form.", "Choose it again."))
        )
    except ZofbotError as error:
        await desk.send_reply(who, error_replies.error_reply(error))


async def _find_failure(desk: ListenerContext, who: Requester, message: Mapping[str, Any]) -> Failure:
    """Return the failure of an alert, or of a reply in its thread. Raises FailureExpired, SlackError and BadInput."""
    if not await desk.notifier.is_own_message(message):  # another app may have copied our block ids
        message = {name: message[name] for name in ("thread_ts", "ts") if name in message}
    inside = [block for part in message.get("attachments") or () for block in part.get("blocks") or ()]
    blocks = [*(message.get("blocks") or ()), *inside]
    shown = next(
        (about for block in blocks if (about := FailureRef.parse_block_id(str(block.get("block_id") or "")))), None
    )
    root = str(message.get("thread_ts") or message.get("ts") or "")
    key = alert_key_of(shown.key, who.channel) if shown else await alert_key_at(desk, who.channel, root)
    if not key:
        raise BadInput("This message is not about a failure.", "Choose it on an alert, or on a reply to one.")
    return await load_failure(desk, who, FailureRef(key, ""))


def _offered_actions(failure: Failure) -> list[Action]:
    """Return the actions that the state machine allows, plus undo."""
    allowed = [act for act in TRANSITIONS[failure.present.state] if act in HUMAN_ACTIONS]
    acts_ = [act for act in allowed if act is not Action.ESCALATE or failure.body.policy.escalate]
    return [*acts_, Action.UNDO] if failure.present.before else acts_


async def _submit_choice(desk: ListenerContext, who: Requester, view: Mapping[str, Any]) -> dict[str, Any]:
    """Apply the chosen action, or open its form; returns Slack's response action."""
    try:
        meant, chosen = parse_private_metadata(TriageFormState, view), triage_modals.field_value(view, "act", "act")
        check_channel(meant.key, meant.channel)
        if chosen not in HUMAN_ACTIONS:
            raise BadInput("Nothing is chosen.", "Choose what to do.")
        act, about = Action(chosen), FailureRef(meant.key, meant.version)
        there = replace(who, channel=meant.channel, response_url=meant.url, thread=meant.thread)
        if act not in triage.FORM_ACTIONS:
            told = await desk.run_safely(triage.perform_action(desk, there, about, act))
            desk.errands.start(desk.send_reply(there, told.message))
            return {}
        person = await require_role(desk, there, Role.RESPONDER, triage_replies.describe_attempt(act), meant.key)
        form = triage.build_triage_form(desk, act, meant, await load_failure(desk, there, about), person)
    except FailureExpired:
        desk.errands.start(desk.send_reply(there, triage_replies.unknown_alert_reply(meant.key)))
        return {}
    except ZofbotError as error:
        return {"response_action": "errors", "errors": {"act": error_replies.field_error(error)}}
    return {"response_action": "update", "view": form}

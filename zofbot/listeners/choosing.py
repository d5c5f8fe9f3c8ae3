"""The message shortcut *Zof: triage*: the same acts as on the card, chosen in a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.access import Role
from zofbot.errors import BadInput, SlackError, ZofbotError
from zofbot.listeners import endings, triage
from zofbot.listeners.desk import ListenerContext, Requester, requester_of
from zofbot.listeners.known import alert_key_at, check_channel, load_failure, require_role
from zofbot.pipeline.failures import Failure, FailureExpired
from zofbot.pipeline.keys import alert_key_of
from zofbot.slack import act_forms, acts
from zofbot.slack.act_forms import TriageFormState
from zofbot.slack.controls import FailureRef
from zofbot.slack.payload import parse_private_metadata
from zofbot.triage import TRANSITIONS, Action
from zofbot.triage.life import HUMAN_ACTIONS
from zofbot.verbs import SHORTCUT_CALLBACK_ID

log = structlog.get_logger()


def register_listeners(app: AsyncApp, desk: ListenerContext) -> None:
    """Listen to the shortcut (https://docs.slack.dev/interactivity/implementing-shortcuts) and to its form."""

    async def handle_shortcut(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_open_chooser(desk, requester_of(body), body.get("message") or {}))

    async def handle_submission(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _submit_choice(desk, requester_of(body), view))

    app.shortcut(SHORTCUT_CALLBACK_ID)(handle_shortcut)
    app.view(act_forms.CHOOSER_CALLBACK_ID)(handle_submission)


async def _open_chooser(desk: ListenerContext, who: Requester, message: Mapping[str, Any]) -> None:
    """Open the form about the failure of a message, or say why not; Slack gives three seconds for it."""
    try:
        await require_role(desk, who, Role.RESPONDER, "triage this failure")
        failure = await _find_failure(desk, who, message)
        about = FailureRef(failure.key, failure.present.card_version)
        meant = TriageFormState(about.key, about.version, who.channel, who.response_url, who.thread)
        stands = acts.last_action_text(failure.present, triage.current_time(desk))
        await desk.open_modal(
            who, act_forms.action_chooser_modal(meant, failure.title, stands, _offered_actions(failure))
        )
    except FailureExpired as error:
        await desk.send_reply(who, acts.unknown_alert_reply(str(error)))
    except SlackError as error:
        log.warning("form not opened", reason=error.reason, user=who.user)
        await desk.send_reply(who, endings.error_reply(BadInput("Slack did not open the form.", "Choose it again.")))
    except ZofbotError as error:
        await desk.send_reply(who, endings.error_reply(error))


async def _find_failure(desk: ListenerContext, who: Requester, message: Mapping[str, Any]) -> Failure:
    """The failure that an alert, or a reply in its thread, is about. Raises Gone, SlackError and BadInput."""
    if not await desk.notifier.is_own_message(message):  # another app may have copied what our cards carry
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
    """What the table allows, and to undo."""
    allowed = [act for act in TRANSITIONS[failure.present.state] if act in HUMAN_ACTIONS]
    acts_ = [act for act in allowed if act is not Action.ESCALATE or failure.body.policy.escalate]
    return [*acts_, Action.UNDO] if failure.present.before else acts_


async def _submit_choice(desk: ListenerContext, who: Requester, view: Mapping[str, Any]) -> dict[str, Any]:
    """Do what was chosen, or lead on to its own form."""
    try:
        meant, chosen = parse_private_metadata(TriageFormState, view), act_forms.field_value(view, "act", "act")
        check_channel(meant.key, meant.channel)
        if chosen not in HUMAN_ACTIONS:
            raise BadInput("Nothing is chosen.", "Choose what to do.")
        act, about = Action(chosen), FailureRef(meant.key, meant.version)
        there = replace(who, channel=meant.channel, response_url=meant.url, thread=meant.thread)
        if act not in triage.FORM_ACTIONS:
            told = await desk.run_safely(triage.perform_action(desk, there, about, act))
            desk.errands.start(desk.send_reply(there, told.message))
            return {}
        person = await require_role(desk, there, Role.RESPONDER, acts.describe_attempt(act), meant.key)
        form = triage.build_triage_form(desk, act, meant, await load_failure(desk, there, about), person)
    except FailureExpired:
        desk.errands.start(desk.send_reply(there, acts.unknown_alert_reply(meant.key)))
        return {}
    except ZofbotError as error:
        return {"response_action": "errors", "errors": {"act": endings.field_error(error)}}
    return {"response_action": "update", "view": form}

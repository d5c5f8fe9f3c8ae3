"""The forms of actions: opened, submitted, and what is wrong in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from zofbot.domain.errors import SlackError, ZofbotError
from zofbot.domain.permissions import Person, Role
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import (
    audit_refusal,
    check_channel,
    load_failure,
    require_role,
)
from zofbot.listeners.triage import snooze_form
from zofbot.listeners.triage.triage_actions import (
    apply_action,
    build_action_request,
    build_stale_reply,
    current_time,
    with_assignee,
    with_resolution,
)
from zofbot.notifications.alert_payloads import CaseAlertPayload
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.services.failures import Failure, FailureExpired
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.forms import field_value, parse_private_metadata
from zofbot.slack.views.triage import triage_modals, triage_replies
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.triage_modals import TriageFormState
from zofbot.triage import TRANSITIONS, Action, ActionRequest, Actor
from zofbot.triage.wake_times import snooze_choices

log = structlog.get_logger()

_TYPED_EXAMPLES = {
    Action.ASSIGN: "@zofbot assign @ben",
    Action.SNOOZE: "@zofbot snooze 2h",
    Action.RESOLVE: "@zofbot resolve flaky: retried",
}
"""Example of the thread command for each form."""


async def open_triage_form(context: ListenerContext, requester: Requester, about: FailureRef, act: Action) -> Message:
    """Open an action's form; returns a reply if the action is not possible, else an empty one. Raises ZofbotError."""
    try:
        person = await require_role(context, requester, Role.RESPONDER, triage_replies.describe_attempt(act), about.key)
        failure = await context.failures.get(about.key)
        version = about.version if failure else ""
        failure = failure or await load_failure(context, requester, about)
        refused = _overtaken_reply(
            failure, ActionRequest(act=act, who=Actor(id=requester.user), at=current_time(context)), version
        )
        if refused:
            await audit_refusal(
                context,
                requester,
                triage_replies.describe_attempt(act),
                "overtaken before its form was opened",
                about.key,
            )
            return refused
        form_state = TriageFormState(
            about.key, failure.present.card_version, requester.channel, requester.response_url, requester.thread
        )
        await context.open_modal(requester, build_triage_form(context, act, form_state, failure, person))
    except FailureExpired:
        return triage_replies.unknown_alert_reply(about.key)
    except SlackError as error:
        log.warning("form not opened", act=act, reason=error.reason, user=requester.user)
        step = f"Click the button again, or type `{_TYPED_EXAMPLES[act]}` in the alert's thread."
        raise error.with_sentence("Slack couldn't open the form.", step) from error
    return Message("")


def _overtaken_reply(failure: Failure, request: ActionRequest, version: str) -> Message | None:
    """Return a reply if the card is outdated or the action is no longer possible; else None."""
    present = failure.present
    about = FailureRef(failure.key, present.card_version)
    if version and version != present.card_version:
        return build_stale_reply(failure, request)
    if request.act in TRANSITIONS[present.state]:
        return None
    return triage_replies.illegal_action_reply(request.act, failure.title, about, present, request.at)


def build_triage_form(
    context: ListenerContext, act: Action, form_state: TriageFormState, failure: Failure, person: Person
) -> dict[str, Any]:
    """Build the form of an action."""
    match act:
        case Action.ASSIGN:
            return triage_modals.assign_modal(form_state, failure.title, person.id)
        case Action.SNOOZE:
            offered = snooze_choices(current_time(context), person.zone)
            by_cause = isinstance(failure.body, StormPayload) and failure.body.by_cause
            counts = by_cause or isinstance(failure.body, CaseAlertPayload)
            chosen = ActionRequest(act=act, who=Actor(id=person.id), at=current_time(context))
            foreseen = snooze_form.describe_wake(chosen, offered[1].value, person, failure.key)
            return triage_modals.snooze_modal(
                form_state, failure.title, offered, foreseen, counts=counts, by_cause=by_cause
            )
        case _:
            return triage_modals.resolve_modal(form_state, failure.title, note=context.settings.zofbot_resolve_note)


async def submit_form(context: ListenerContext, requester: Requester, view: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a submitted form; returns Slack's response action, empty to close the form."""
    act = Action(str(view["callback_id"]).removeprefix(f"{triage_modals.FORM_CALLBACK_PREFIX}_"))
    try:
        form_state = parse_private_metadata(TriageFormState, view)
        check_channel(form_state.key, form_state.channel)
        there = replace(requester, channel=form_state.channel, response_url=form_state.url, thread=form_state.thread)
        person = await require_role(
            context, there, Role.RESPONDER, triage_replies.describe_attempt(act), form_state.key
        )
        request = await _request_from_form(context, act, there, person, form_state.key, view)
    except ZofbotError as error:
        return _field_errors(act, await context.field_error(error))
    reply = await context.run_safely(
        apply_action(context, there, FailureRef(form_state.key, form_state.version), request)
    )
    if reply.failed:  # the form stays open with its input
        return _field_errors(act, reply.message.text)
    context.background_tasks.start(context.send_reply(there, reply.message))
    return {}


def _field_errors(act: Action, message: str) -> dict[str, Any]:
    field = {Action.SNOOZE: "words", Action.ASSIGN: "owner"}.get(act, "note")
    return {"response_action": "errors", "errors": {field: message.strip()[:1000]}}


async def _request_from_form(  # noqa: PLR0913, PLR0917  (what a form has)
    context: ListenerContext, act: Action, requester: Requester, person: Person, key: str, view: Mapping[str, Any]
) -> ActionRequest:
    wanted = build_action_request(context, requester, person, act)
    match act:
        case Action.ASSIGN:
            chosen = field_value(view, "owner", "owner")
            return await with_assignee(context, wanted, key, chosen)
        case Action.SNOOZE:
            return snooze_form.with_snooze(wanted, triage_modals.snooze_input(view), person, key)
        case _:
            reason = field_value(view, "reason", "reason")
            return with_resolution(context, wanted, reason, field_value(view, "note", "note"))

"""Listeners for triage by button and form: actions are stored before the acknowledgement, so no click is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.domain.errors import BadInput, NotAllowed, SlackError, ZofbotError
from zofbot.domain.permissions import Person, Role, explain_refusal
from zofbot.listeners import error_handling, lookups, run_commands, snooze_form, why
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import (
    audit_refusal,
    check_channel,
    load_failure,
    require_reader,
    require_role,
    require_visible,
    restore_failure,
)
from zofbot.listeners.snooze_form import SnoozeInput
from zofbot.notifications.alert_payloads import CaseAlertPayload
from zofbot.notifications.idempotency import split_key
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.services.failures import ActionNotAllowed, Failure, FailureExpired, StaleCard
from zofbot.slack.inbound import parse_private_metadata
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.triage import thread_help, triage_modals, triage_replies
from zofbot.slack.views.triage.pressed_button import FailureRef, RepeatedAction, parse_press, parse_repeated_action
from zofbot.slack.views.triage.triage_controls import MENU_ACTION_ID
from zofbot.slack.views.triage.triage_modals import TriageFormState
from zofbot.slack.views.triage.triage_status import RESOLUTION_REASONS
from zofbot.triage import TRANSITIONS, Action, ActionRequest, Actor
from zofbot.triage.state_machine import HUMAN_ACTIONS
from zofbot.triage.wake_times import snooze_choices

log = structlog.get_logger()

FORM_ACTIONS = {Action.ASSIGN, Action.SNOOZE, Action.RESOLVE}
"""Actions that open a form first."""

_MENU_ITEMS = ("why", "rerun", "run", "open")
"""Menu items of a card that are not triage actions."""

_TYPED_EXAMPLES = {
    Action.ASSIGN: "@zofbot assign @ben",
    Action.SNOOZE: "@zofbot snooze 2h",
    Action.RESOLVE: "@zofbot resolve flaky: retried",
}
"""Example of the thread command for each form."""


def register_listeners(app: AsyncApp, context: ListenerContext) -> None:
    """Register the controls of cards, the buttons in replies, and the triage forms."""
    previews = snooze_form.WakePreviews(context)

    async def handle_control(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """Handle a button or the menu of a card."""
        word, about = parse_press(action)
        await _dispatch_press(context, ack, body, word, RepeatedAction(about))

    async def handle_reply_button(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """Handle a button in a reply: *Undo*, *Do it anyway*, *Still on it*."""
        await _dispatch_press(
            context,
            ack,
            body,
            str(action.get("action_id") or "").removeprefix("zof_do_"),
            parse_repeated_action(action),
        )

    async def handle_submission(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _submit_form(context, requester_of(body), view))

    async def handle_snooze_input(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """Handle input in the snooze form."""
        await ack()
        context.background_tasks.start(
            previews.update_preview(
                requester_of(body).user, SnoozeInput(str(action.get("action_ts") or ""), body.get("view") or {})
            )
        )

    for act in HUMAN_ACTIONS:
        app.action(f"zof_triage_{act}")(handle_control)
        app.action(f"zof_do_{act}")(handle_reply_button)
    for act in FORM_ACTIONS:
        app.view(f"{triage_modals.FORM_CALLBACK_PREFIX}_{act}")(handle_submission)
    app.action(MENU_ACTION_ID)(handle_control)
    app.action(triage_modals.WAKE_ACTION_ID)(handle_snooze_input)


async def _dispatch_press(
    context: ListenerContext, ack: Any, body: dict[str, Any], word: str, press: RepeatedAction
) -> None:
    requester, about = requester_of(body), press.about
    if about is None or word not in (*HUMAN_ACTIONS, *_MENU_ITEMS) or split_key(about.key)[2] != requester.channel:
        await ack()
        context.reply_in_background(requester, _refuse_press(about, requester.channel))
    elif word in HUMAN_ACTIONS and (Action(word) not in FORM_ACTIONS or _is_still_usable(press, current_time(context))):
        reply = await context.run_safely(perform_action(context, requester, about, Action(word), **press.filled))
        await ack()
        if reply.message.text:
            context.background_tasks.start(context.send_reply(requester, reply.message))
    else:
        await ack()
        if word in HUMAN_ACTIONS:
            context.background_tasks.start(open_triage_form(context, requester, about, Action(word)))
        elif word == "why":
            context.reply_in_background(requester, why.explain_alert(context, requester, about.key))
        elif word == "rerun":
            context.reply_in_background(requester, run_commands.propose_rerun(context, requester, about))
        elif word == "run":
            context.reply_in_background(requester, _show_run(context, requester, about))


def _is_still_usable(press: RepeatedAction, at: float) -> bool:
    """Return whether a repeated action's form input is still valid; otherwise the form is opened again."""
    return press.again and bool(press.filled) and press.filled.get("until", at + 1) > at


async def _refuse_press(about: FailureRef | None, channel: str) -> Message:
    """Refuse a click that only a forged request can cause. Raises BadInput."""
    if about is not None:
        check_channel(about.key, channel)
    raise BadInput("This button does not say what it is about.", "Use the latest card of this failure.")


async def perform_action(
    context: ListenerContext, requester: Requester, about: FailureRef, act: Action, **filled: Any
) -> Message:
    """Check the role and apply an action; returns the reply. Raises ZofbotError."""
    person = await require_role(context, requester, Role.RESPONDER, triage_replies.describe_attempt(act), about.key)
    return await apply_action(
        context, requester, about, build_action_request(context, requester, person, act, **filled)
    )


def build_action_request(
    context: ListenerContext, requester: Requester, person: Person, act: Action, **filled: Any
) -> ActionRequest:
    """Build an action request; ``filled`` is the form input."""
    by = Actor(id=requester.user, name=person.name or requester.name)
    return ActionRequest(act=act, who=by, at=current_time(context), request=requester.request, **filled)


async def apply_action(
    context: ListenerContext, requester: Requester, about: FailureRef, request: ActionRequest
) -> Message:
    """Apply an action to the version in ``about`` (empty: any); returns the reply. Raises ZofbotError."""
    try:
        failure = await context.failures.get(about.key)
        if request.act is Action.ESCALATE and failure and not failure.body.policy.escalate:
            return thread_help.no_escalation_reply()
        failure = await context.failures.perform_action(about.key, request, version=about.version)
    except FailureExpired:
        if not await restore_failure(context, requester, about):
            return triage_replies.unknown_alert_reply(about.key)
        failure = await context.failures.perform_action(about.key, request)
    except StaleCard as error:
        await audit_refusal(
            context,
            requester,
            triage_replies.describe_attempt(request.act),
            "the card showed what has passed",
            about.key,
        )
        return _stale_reply(error.failure, request)
    except ActionNotAllowed as error:
        present = error.failure.present
        await audit_refusal(
            context,
            requester,
            triage_replies.describe_attempt(request.act),
            f"not possible while {present.state.value}",
            about.key,
        )
        return triage_replies.illegal_action_reply(
            error.act, error.failure.title, FailureRef(about.key, present.card_version), present, request.at
        )
    return triage_replies.action_done_reply(
        request.act, failure.title, FailureRef(failure.key, failure.present.card_version), failure.present
    )


# --- forms


async def open_triage_form(context: ListenerContext, requester: Requester, about: FailureRef, act: Action) -> None:
    """Open an action's form, or reply why the action is not possible."""
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
            await context.send_reply(requester, refused)
            return
        form_state = TriageFormState(
            about.key, failure.present.card_version, requester.channel, requester.response_url, requester.thread
        )
        await context.open_modal(requester, build_triage_form(context, act, form_state, failure, person))
    except FailureExpired:
        await context.send_reply(requester, triage_replies.unknown_alert_reply(about.key))
    except SlackError as error:
        log.warning("form not opened", act=act, reason=error.reason, user=requester.user)
        step = "Press the button again, or type it in the alert's thread."
        await context.send_reply(
            requester,
            error_handling.error_reply(BadInput("Slack did not open the form.", step, example=_TYPED_EXAMPLES[act])),
        )
    except ZofbotError as error:
        await context.send_reply(requester, error_handling.error_reply(error))


def _overtaken_reply(failure: Failure, request: ActionRequest, version: str) -> Message | None:
    """Return a reply if the card is outdated or the action is no longer possible; else None."""
    present = failure.present
    about = FailureRef(failure.key, present.card_version)
    if version and version != present.card_version:
        return _stale_reply(failure, request)
    if request.act in TRANSITIONS[present.state]:
        return None
    return triage_replies.illegal_action_reply(request.act, failure.title, about, present, request.at)


def _stale_reply(failure: Failure, request: ActionRequest) -> Message:
    """Return the reply to an action on an outdated card."""
    about = FailureRef(failure.key, failure.present.card_version)
    return triage_replies.stale_action_reply(
        request, failure.title, about, failure.present, allowed=failure.allows_action(request)
    )


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


async def _submit_form(context: ListenerContext, requester: Requester, view: Mapping[str, Any]) -> dict[str, Any]:
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
    except (BadInput, NotAllowed) as error:
        return _field_errors(act, error_handling.field_error(error))
    reply = await context.run_safely(
        apply_action(context, there, FailureRef(form_state.key, form_state.version), request)
    )
    if reply.failed:  # the form stays open with its input
        return _field_errors(act, reply.message.text)
    if form_state.url:
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
            chosen = triage_modals.field_value(view, "owner", "owner")
            return await with_assignee(context, wanted, chosen)
        case Action.SNOOZE:
            return snooze_form.with_snooze(wanted, triage_modals.snooze_input(view), person, key)
        case _:
            reason = triage_modals.field_value(view, "reason", "reason")
            return with_resolution(context, wanted, reason, triage_modals.field_value(view, "note", "note"))


async def with_assignee(context: ListenerContext, request: ActionRequest, user: str) -> ActionRequest:
    """Set the assignee; assigning to oneself becomes an acknowledgement. Raises BadInput if they lack the role."""
    if user == request.who.id:
        return request.model_copy(update={"act": Action.ACKNOWLEDGE})
    chosen = await context.people.load_person(user)
    if explain_refusal(Role.RESPONDER, chosen, context.roles) and not chosen.doubt:
        raise BadInput(f"You cannot assign this failure to {chosen.name or user}, who may not work on failures here.",
                       "Choose a full member of this workspace.")  # fmt: skip
    return request.model_copy(update={"owner": Actor(id=user, name=chosen.name or user)})


def with_resolution(context: ListenerContext, request: ActionRequest, reason: str, note: str) -> ActionRequest:
    """Set the reason and note of a resolution. Raises BadInput if the reason is unknown or a required note missing."""
    if reason not in RESOLUTION_REASONS:
        raise BadInput(
            "Why is it resolved?", f"Choose one of {', '.join(RESOLUTION_REASONS)}.", example="resolve flaky: retried"
        )
    if context.settings.zofbot_resolve_note and not note.strip():
        raise BadInput("A note is compulsory here.", "Say in a sentence what you found.",
                       example="resolve flaky: retried")  # fmt: skip
    return request.model_copy(update={"reason": reason, "note": note.strip()[:1000]})


# --- other menu items


async def _show_run(context: ListenerContext, requester: Requester, about: FailureRef) -> Message:
    tried = "look up this run"
    await require_reader(context, requester, tried)
    failure = await context.failures.get(about.key)
    if failure is not None:
        await require_visible(context, requester, failure.channel, tried)
    if failure is None:
        return triage_replies.unknown_alert_reply(about.key)
    return await lookups.show_run(context, failure.body.run.id)


def current_time(context: ListenerContext) -> float:
    """Return the current time in Unix seconds."""
    return context.clock.time()

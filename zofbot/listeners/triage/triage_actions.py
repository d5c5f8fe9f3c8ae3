"""Check and apply an action on a failure, wherever it was asked for."""

from __future__ import annotations

from typing import Any

from zofbot.domain.errors import BadInput
from zofbot.domain.permissions import Membership, Person, Role, explain_refusal
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import (
    audit_refusal,
    require_role,
    restore_failure,
)
from zofbot.services.failures import ActionNotAllowed, Failure, FailureExpired, StaleCard
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.triage import thread_help, triage_replies
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.triage_status import RESOLUTION_REASONS
from zofbot.triage import Action, ActionRequest, Actor, TriageState

FORM_ACTIONS = {Action.ASSIGN, Action.SNOOZE, Action.RESOLVE}
"""Actions that open a form first."""


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
    tried = triage_replies.describe_attempt(request.act)
    try:
        failure = await _change_failure(context, requester, about, request)
    except StaleCard as error:
        await audit_refusal(context, requester, tried, "the card was out of date", about.key)
        return build_stale_reply(error.failure, request)
    except ActionNotAllowed as error:
        present = error.failure.present
        if request.act is Action.ESCALATE and not error.failure.body.policy.escalate:
            return thread_help.no_escalation_reply()
        await audit_refusal(context, requester, tried, f"not possible while {present.state.value}", about.key)
        return triage_replies.illegal_action_reply(
            error.act, error.failure.title, FailureRef(about.key, present.card_version), present, request.at
        )
    if failure is None:
        return triage_replies.unknown_alert_reply(about.key)
    return triage_replies.action_done_reply(
        request.act, failure.title, FailureRef(failure.key, failure.present.card_version), failure.present
    )


async def _change_failure(
    context: ListenerContext, requester: Requester, about: FailureRef, request: ActionRequest
) -> Failure | None:
    """Apply an action; a failure that has expired is restored first, and then its card may show any version.

    Returns None if it cannot be restored. Raises StaleCard, ActionNotAllowed and ZofbotError.
    """
    try:
        return await context.failures.perform_action(about.key, request, version=about.version)
    except FailureExpired:
        if not await restore_failure(context, requester, about):
            return None
    return await context.failures.perform_action(about.key, request)


def build_stale_reply(failure: Failure, request: ActionRequest) -> Message:
    """Return the reply to an action on an outdated card."""
    about = FailureRef(failure.key, failure.present.card_version)
    return triage_replies.stale_action_reply(
        request, failure.title, about, failure.present, allowed=failure.allows_action(request)
    )


async def with_assignee(context: ListenerContext, request: ActionRequest, key: str, user: str) -> ActionRequest:
    """Set the assignee of the failure ``key``. Raises BadInput if they lack the role, or Slack knows no such person.

    Assigning to oneself acknowledges an open or acknowledged failure; an expired one is restored as open.
    """
    if user == request.who.id:
        failure = await context.failures.get(key)
        if failure is None or failure.present.state in (TriageState.OPEN, TriageState.ACKNOWLEDGED):
            return request.model_copy(update={"act": Action.ACKNOWLEDGE})
        return request.model_copy(update={"owner": request.who})
    chosen = await context.people.load_person(user)
    if explain_refusal(Role.RESPONDER, chosen, context.roles) and not chosen.doubt:
        is_member = chosen.membership is Membership.MEMBER
        others = "someone who can triage (`ZOFBOT_RESPONDERS`)" if is_member else "a full member of this workspace"
        raise BadInput(f"{chosen.name or user} isn't allowed to work on failures here.", f"Choose {others}.")
    if chosen.doubt and (missing := await context.people.names.describe_unreachable([user])):
        raise BadInput(missing, "Choose someone else.")
    return request.model_copy(update={"owner": Actor(id=user, name=chosen.name or user)})


_RESOLVE_EXAMPLE = "@zofbot resolve flaky: retried"


def with_resolution(context: ListenerContext, request: ActionRequest, reason: str, note: str) -> ActionRequest:
    """Set the reason and note of a resolution. Raises BadInput if the reason is unknown or a required note missing."""
    if reason not in RESOLUTION_REASONS:
        raise BadInput(
            "A reason is missing.", f"Choose one of {', '.join(RESOLUTION_REASONS)}.", example=_RESOLVE_EXAMPLE
        )
    if context.settings.zofbot_resolve_note and not note.strip():
        raise BadInput("A note is required.", "Say briefly what you found.", example=_RESOLVE_EXAMPLE)
    return request.model_copy(update={"reason": reason, "note": note.strip()[:1000]})


def current_time(context: ListenerContext) -> float:
    """Return the current time in Unix seconds."""
    return context.clock.time()

"""Check and apply an action on a failure, wherever it was asked for."""

from __future__ import annotations

from typing import Any

from zofbot.domain.errors import BadInput
from zofbot.domain.permissions import Person, Role, explain_refusal
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
from zofbot.triage import Action, ActionRequest, Actor

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
    try:
        if request.act is Action.ESCALATE and await _lacks_escalation(context, about.key):
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
        return build_stale_reply(error.failure, request)
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


async def _lacks_escalation(context: ListenerContext, key: str) -> bool:
    """Return whether a stored failure names nobody to escalate to."""
    failure = await context.failures.get(key)
    return failure is not None and not failure.body.policy.escalate


def build_stale_reply(failure: Failure, request: ActionRequest) -> Message:
    """Return the reply to an action on an outdated card."""
    about = FailureRef(failure.key, failure.present.card_version)
    return triage_replies.stale_action_reply(
        request, failure.title, about, failure.present, allowed=failure.allows_action(request)
    )


async def with_assignee(context: ListenerContext, request: ActionRequest, user: str) -> ActionRequest:
    """Set the assignee; assigning to oneself becomes an acknowledgement. Raises BadInput if they lack the role."""
    if user == request.who.id:
        return request.model_copy(update={"act": Action.ACKNOWLEDGE})
    chosen = await context.people.load_person(user)
    if explain_refusal(Role.RESPONDER, chosen, context.roles) and not chosen.doubt:
        raise BadInput(f"{chosen.name or user} isn't allowed to work on failures here.",
                       "Choose a full member of this workspace.")  # fmt: skip
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

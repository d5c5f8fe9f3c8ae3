"""Listeners to acknowledge several of the listed failures at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from zofbot.domain.errors import BadInput, SlackError, ZofbotError
from zofbot.domain.permissions import Role
from zofbot.listeners import oncall
from zofbot.listeners.buttons import parse_button_value
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.listener_table import IdempotentListener, ListenerTable
from zofbot.notifications.idempotency import split_key
from zofbot.notifications.text import clean_literal
from zofbot.services.failures import Failure
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.forms import parse_private_metadata
from zofbot.slack.views.triage import several_failures
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.several_failures import MAX_METADATA_CHARS, SeveralFormState
from zofbot.triage import TriageState

log = structlog.get_logger()


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register *Select several* and its form."""

    async def handle_select(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        requester = requester_of(body)
        context.reply_in_background(requester, _open_form(context, requester, parse_button_value(action)))

    async def handle_submission(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _acknowledge_selected(context, requester_of(body), view))

    table.actions[several_failures.SELECT_ACTION_ID] = IdempotentListener(handle_select)
    table.views[several_failures.CALLBACK_ID] = IdempotentListener(handle_submission)


async def _open_form(context: ListenerContext, requester: Requester, value: Mapping[str, object]) -> Message:
    """Open the form with the open failures of the channel that are on the page. Raises ZofbotError."""
    await require_role(context, requester, Role.RESPONDER, "acknowledge these failures")
    start, scope = value.get("from"), oncall.page_scope(value)
    try:
        listed, _ = await oncall.find_open_failures(context, requester, scope)
        first = start if isinstance(start, int) and start >= 0 else 0
        page = listed[first : first + oncall.ROWS_PER_PAGE]
        offered = [
            each for each in page if each.channel == requester.channel and each.present.state is TriageState.OPEN
        ]
        refs = tuple(FailureRef(each.key, each.present.card_version) for each in offered)
        form_state = SeveralFormState(requester.channel, requester.response_url, requester.thread, scope, first, refs)
        if not offered or len(form_state.dump_metadata()) > MAX_METADATA_CHARS:
            raise BadInput("Nothing to select.", "Use the buttons in the list.")
        titles = [(each.title, _describe_choice(each)) for each in offered]
        await context.open_modal(requester, several_failures.several_modal(form_state, titles))
    except SlackError as error:
        log.warning("form not opened", reason=error.reason, user=requester.user)
        raise error.with_sentence("Slack couldn't open the form.", "Try again.") from error
    return Message("")


def _describe_choice(failure: Failure) -> str:
    """Describe a failure by whom it is assigned to, whose it will no longer be, and its run."""
    owner, run = failure.present.owner, failure.body.run
    assigned = f"assigned to {clean_literal(owner.name or owner.id, 25)}" if owner.id else ""
    return " · ".join(filter(None, (assigned, f"{run.environment} {run.id}".strip())))


async def _acknowledge_selected(
    context: ListenerContext, requester: Requester, view: Mapping[str, Any]
) -> dict[str, Any]:
    """Acknowledge the selected failures, then show the list again; returns Slack's response action."""
    try:
        form_state = parse_private_metadata(SeveralFormState, view)
        there = replace(requester, channel=form_state.channel, response_url=form_state.url, thread=form_state.thread)
        chosen = several_failures.selected_failures(view, form_state.offered)
        replies = {about.key: await oncall.acknowledge_failure(context, there, about) for about in chosen}
    except ZofbotError as error:
        return {"response_action": "errors", "errors": {"rows": await context.field_error(error)}}
    context.reply_in_background(there, _list_with_outcome(context, there, form_state, replies), replace=True)
    return {}


async def _list_with_outcome(
    context: ListenerContext, there: Requester, form_state: SeveralFormState, replies: Mapping[str, Message | None]
) -> Message:
    """List the failures again, below what was done; ``replies`` has a refusal or None for each selected key.

    Raises ZofbotError.
    """
    listed = await oncall.list_open_failures(context, there, form_state.scope, form_state.start)
    refused = {key: reply.text for key, reply in replies.items() if reply}
    titles = {failure.key: failure.title for failure in await context.failures.list_by_keys(list(refused))}
    reasons = [(titles.get(key) or split_key(key)[1], reason) for key, reason in refused.items()]
    return several_failures.with_outcome(listed, len(replies) - len(refused), reasons)

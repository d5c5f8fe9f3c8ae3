"""Listeners for the subscription form: open, preview and submit."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from zofbot.domain.errors import BadInput, SlackError, StoreUnavailable, ZofbotError
from zofbot.domain.permissions import Role
from zofbot.listeners import error_handling, menu_options
from zofbot.listeners.buttons import parse_button_value
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.listener_table import IdempotentListener, ListenerTable
from zofbot.listeners.subscription import commands, notes, saving
from zofbot.listeners.subscription import preview as subscription_preview
from zofbot.slack.views import preview
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.forms import form_values, parse_private_metadata
from zofbot.slack.views.replies import request_replies, subscription_replies
from zofbot.slack.views.subscription_form import form_parser, modal
from zofbot.slack.views.subscription_form.fields import QUIET_ACTION_IDS
from zofbot.slack.views.subscription_form.modal import SubscriptionFormState
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.digest_schedule import iana_name

log = structlog.get_logger()

HANDLES_TIMEOUT_SECONDS = 1.0
"""Seconds that opening a form waits for user group handles; Slack allows three seconds in all."""

RESPONSE_URL_SECONDS = 29 * 60.0
"""Seconds that a form's ``response_url`` is used; Slack accepts it for 30 minutes."""


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register the buttons that open the form and those in it; ``/zof subscribe`` also opens it."""

    async def handle_open(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        context.background_tasks.start(open_new_form(context, requester_of(body)))

    async def handle_edit(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        context.background_tasks.start(
            _open_or_reply(context, requester_of(body), str(parse_button_value(action).get("id") or ""))
        )

    async def handle_preview(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        context.background_tasks.start(_show_preview(context, requester_of(body), body.get("view") or {}))

    async def handle_more(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        zone = str(parse_button_value(action).get("zone") or "UTC")
        context.background_tasks.start(_show_more(context, body.get("view") or {}, zone))

    async def handle_submission(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _submit_form(context, requester_of(body), view))

    async def acknowledge_time(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """Acknowledge a chosen time: it is read when the form is submitted."""
        await ack()

    for action in QUIET_ACTION_IDS:
        table.actions[action] = acknowledge_time
    table.actions["zof_edit"] = handle_edit
    table.actions[subscription_replies.FORM_ACTION_ID] = handle_open
    table.actions[modal.PREVIEW_ACTION_ID] = handle_preview
    table.actions[modal.MORE_ACTION_ID] = handle_more
    table.views[modal.FORM_CALLBACK_ID] = IdempotentListener(handle_submission)


async def open_new_form(context: ListenerContext, requester: Requester) -> None:
    """Open the form for a new subscription."""
    await _open_or_reply(context, requester, "")


async def offer_form(context: ListenerContext, requester: Requester) -> Message:
    """Offer a button that opens the form, which only a click or a slash command can do. Raises NotAllowed."""
    await require_role(context, requester, Role.RESPONDER, saving.SUBSCRIBE_ATTEMPT)
    return subscription_replies.form_offer_reply()


async def _open_or_reply(context: ListenerContext, requester: Requester, identifier: str) -> None:
    if error_reply := await open_form(context, requester, identifier):
        await context.send_reply(requester, error_reply)


async def open_form(context: ListenerContext, requester: Requester, identifier: str) -> Message | None:
    """Open the form for a new or an existing subscription; returns an error reply if that fails, else None."""
    try:
        person = await require_role(
            context, requester, Role.RESPONDER, saving.CHANGE_ATTEMPT if identifier else saving.SUBSCRIBE_ATTEMPT
        )
        start = await commands.find_subscription(context, requester, identifier) if identifier else Subscription()
        form = SubscriptionFormState(
            channel=requester.channel,
            url=requester.response_url,
            at=context.clock.time(),
            id=identifier,
            thread=requester.thread,
            version=notes.filters_version(start),
        )
        groups = any(each.startswith("S") for each in start.mention_ids)
        handles = await menu_options.handles_in_time(context, HANDLES_TIMEOUT_SECONDS) if groups else {}
        await context.open_modal(
            requester, modal.build_modal(form, requester.room, start, iana_name(person.zone), handles)
        )
    except SlackError as error:
        log.warning("form not opened", reason=error.reason, user=requester.user, channel=requester.channel)
        return request_replies.modal_failed_reply(error, error_handling.trace_error(error), is_edit=bool(identifier))
    except ZofbotError as error:
        return error_handling.error_reply(error)
    except Exception as error:
        return error_handling.unexpected_error_reply(error)
    return None


async def _show_more(context: ListenerContext, view: Mapping[str, Any], zone: str) -> None:
    """Show the further fields, unless the form was closed or changed meanwhile."""
    try:
        await context.notifier.views.update_view(
            str(view.get("id") or ""), modal.with_more_inputs(view, zone), str(view.get("hash") or "")
        )
    except SlackError as error:
        log.info("more options not shown", reason=error.reason)


async def _show_preview(context: ListenerContext, requester: Requester, view: Mapping[str, Any]) -> None:
    """Show the preview or the errors in the form, unless it was closed meanwhile."""
    version = str(view.get("hash") or "")
    try:
        try:
            parsed = await _parse_submission(context, requester, view)
        except (BadInput, StoreUnavailable) as error:
            await _update_preview(context, view, version, preview.no_preview_text(error_handling.field_error(error)))
            return
        if parsed.errors:
            await _update_preview(context, view, version, form_parser.invalid_form_text(parsed))
            return
        version = await _update_preview(context, view, version, preview.pending_text(), is_pending=True)
        await _update_preview(
            context, view, version, await subscription_preview.describe_preview(context, parsed.subscription)
        )
    except SlackError as error:
        log.info("preview not shown", reason=error.reason)


async def _parse_submission(
    context: ListenerContext, requester: Requester, view: Mapping[str, Any]
) -> form_parser.ParsedForm:
    """Parse the form, resolving names to ids, in the person's time zone. Raises BadInput and StoreUnavailable."""
    state = form_values(view)
    ids = (
        await saving.known_ids(context, parse_private_metadata(SubscriptionFormState, view).channel)
        if form_parser.names_somebody(state)
        else {}
    )
    return form_parser.parse_form(state, ids, await saving.zone_name(context, requester))


async def _update_preview(
    context: ListenerContext, view: Mapping[str, Any], version: str, said: str, *, is_pending: bool = False
) -> str:
    shown = modal.with_preview(view, said, is_pending=is_pending)
    return await context.notifier.views.update_view(str(view.get("id") or ""), shown, version)


async def _submit_form(context: ListenerContext, requester: Requester, view: Mapping[str, Any]) -> dict[str, Any]:
    """Handle a submitted form; returns Slack's response action, empty to close the form."""
    try:
        parsed = await _parse_submission(context, requester, view)
        if parsed.errors:
            return _show_errors(view, parsed)
        return await _save_submission(context, requester, view, parsed.subscription)
    except ZofbotError as error:
        return {"response_action": "errors", "errors": {modal.FIRST_BLOCK_ID: await context.field_error(error)}}


def _show_errors(view: Mapping[str, Any], parsed: form_parser.ParsedForm) -> dict[str, Any]:
    """Show errors below their fields; one of a row of pickers, below which Slack shows none, as the preview."""
    inputs = {block.get("block_id") for block in view.get("blocks") or () if block.get("type") == "input"}
    if shown := {block: said for block, said in parsed.errors.items() if block in inputs}:
        return {"response_action": "errors", "errors": shown}
    return {
        "response_action": "update", "view": modal.with_preview(view, form_parser.invalid_form_text(parsed)),
    }  # fmt: skip


async def _save_submission(
    context: ListenerContext, requester: Requester, view: Mapping[str, Any], wanted: Subscription
) -> dict[str, Any]:
    """Save the subscription and close the form; a form that is too old, or from App Home, shows the reply itself.

    Raises ZofbotError.
    """
    form = parse_private_metadata(SubscriptionFormState, view)
    requester = replace(requester, channel=form.channel, response_url=form.url, thread=form.thread)
    # Derived from the form, so that a repeated submission does not create a second subscription.
    identifier = form.id or notes.request_hash(str(view.get("id") or ""))
    saved = await saving.save_subscription(
        context, requester, wanted, identifier, edited=form.version if form.id else None
    )
    if not form.url or context.clock.time() - form.at > RESPONSE_URL_SECONDS:
        return {"response_action": "update", "view": modal.saved_modal(saved.message)}
    context.background_tasks.start(_send_saved_reply(context, requester, saved, replaces=bool(form.id)))
    return {}


async def _send_saved_reply(
    context: ListenerContext, requester: Requester, saved: saving.SavedSubscription, *, replaces: bool
) -> None:
    """Send the private reply, replacing the message whose button opened the form, if any; then the preview.

    Only once: a submission that comes again finds the subscription that it made.
    """
    with suppress(StoreUnavailable):  # then it may be sent again
        if not await context.store.claim_request(f"saved:{requester.request}"):
            return
    await context.send_reply(requester, saved.message, replace=replaces)
    await saving.send_preview(context, requester, saved)

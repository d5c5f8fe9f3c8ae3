"""Listeners for the subscription form: open, preview and submit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.domain.errors import SlackError, ZofbotError
from zofbot.domain.permissions import Role
from zofbot.listeners import error_replies, menu_options
from zofbot.listeners.buttons import parse_button_value
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.subscription import commands
from zofbot.listeners.subscription import preview as subscription_preview
from zofbot.slack.inbound import form_values, parse_private_metadata
from zofbot.slack.views import preview, replies, subscription_modal
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.subscription_modal import SubscriptionFormState
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.digest_schedule import iana_name

log = structlog.get_logger()

HANDLES_TIMEOUT_SECONDS = 1.0
"""Seconds that opening a form waits for user group handles; Slack allows three seconds in all."""

RESPONSE_URL_SECONDS = 29 * 60.0
"""Seconds that a form's ``response_url`` is used; Slack accepts it for 30 minutes."""


def register_listeners(app: AsyncApp, desk: ListenerContext) -> None:
    """Register *Edit*, and the form's *Preview* and *Subscribe*; ``/zof subscribe`` also opens the form."""

    async def handle_edit(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_open_or_reply(desk, requester_of(body), str(parse_button_value(action).get("id") or "")))

    async def handle_preview(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_show_preview(desk, requester_of(body), body.get("view") or {}))

    async def handle_submission(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _submit_form(desk, requester_of(body), view))

    app.action("zof_edit")(handle_edit)
    app.action(subscription_modal.PREVIEW_ACTION_ID)(handle_preview)
    app.view(subscription_modal.FORM_CALLBACK_ID)(handle_submission)


async def open_new_form(desk: ListenerContext, who: Requester) -> None:
    """Open the form for a new subscription."""
    await _open_or_reply(desk, who, "")


async def _open_or_reply(desk: ListenerContext, who: Requester, identifier: str) -> None:
    if told := await open_form(desk, who, identifier):
        await desk.send_reply(who, told)


async def open_form(desk: ListenerContext, who: Requester, identifier: str) -> Message | None:
    """Open the form for a new or an existing subscription; returns an error reply if that fails, else None."""
    try:
        person = await require_role(
            desk, who, Role.RESPONDER, commands.CHANGE_ATTEMPT if identifier else commands.SUBSCRIBE_ATTEMPT
        )
        start = await commands.find_subscription(desk, who, identifier) if identifier else Subscription()
        form = SubscriptionFormState(who.channel, who.response_url, desk.clock.time(), identifier, who.thread)
        groups = any(each.startswith("S") for each in start.mention)
        handles = await menu_options.handles_in_time(desk, HANDLES_TIMEOUT_SECONDS) if groups else {}
        await desk.open_modal(
            who, subscription_modal.build_modal(form, who.room, start, iana_name(person.zone), handles)
        )
    except SlackError as error:
        log.warning("form not opened", reason=error.reason, user=who.user, channel=who.channel)
        return replies.modal_failed_reply(error, error_replies.trace_error(error))
    except ZofbotError as error:
        return error_replies.error_reply(error)
    except Exception as error:
        return error_replies.unexpected_error_reply(error)
    return None


async def _show_preview(desk: ListenerContext, who: Requester, view: Mapping[str, Any]) -> None:
    """Show the preview or the errors in the form, unless it was closed meanwhile."""
    filled, version = await _parse_submission(desk, who, view), str(view.get("hash") or "")
    try:
        if filled.errors:
            await _update_preview(desk, view, version, subscription_modal.invalid_form_text(filled))
            return
        version = await _update_preview(desk, view, version, preview.pending_text())
        await _update_preview(
            desk, view, version, await subscription_preview.describe_preview(desk, filled.subscription)
        )
    except SlackError as error:
        log.info("preview not shown", reason=error.reason)


async def _parse_submission(
    desk: ListenerContext, who: Requester, view: Mapping[str, Any]
) -> subscription_modal.ParsedForm:
    """Parse the form, resolving names to ids, in the person's time zone. Raises StoreUnavailable."""
    state = form_values(view)
    ids = (
        await commands.known_ids(desk, parse_private_metadata(SubscriptionFormState, view).channel)
        if subscription_modal.names_somebody(state)
        else {}
    )
    return subscription_modal.parse_form(state, ids, await commands.zone_name(desk, who))


async def _update_preview(desk: ListenerContext, view: Mapping[str, Any], version: str, said: str) -> str:
    return await desk.notifier.update_view(
        str(view.get("id") or ""), subscription_modal.with_preview(view, said), version
    )


async def _submit_form(desk: ListenerContext, who: Requester, view: Mapping[str, Any]) -> dict[str, Any]:
    """Handle a submitted form; returns Slack's response action, empty to close the form."""
    try:
        filled = await _parse_submission(desk, who, view)
        if filled.errors:
            return {"response_action": "errors", "errors": filled.errors}
        return await _save_submission(desk, who, view, filled.subscription)
    except ZofbotError as error:
        said = error_replies.field_error(error)
    except Exception as error:
        said = f"Something went wrong inside zofbot. Reference: {error_replies.log_unexpected(error)}"
    return {"response_action": "errors", "errors": {subscription_modal.FIRST_BLOCK_ID: said}}


async def _save_submission(
    desk: ListenerContext, who: Requester, view: Mapping[str, Any], wanted: Subscription
) -> dict[str, Any]:
    """Save the subscription and close the form; a form that is too old, or from App Home, shows the reply itself.

    Raises ZofbotError.
    """
    form = parse_private_metadata(SubscriptionFormState, view)
    who = replace(who, channel=form.channel, response_url=form.url, thread=form.thread)
    # Derived from the form, so that a repeated submission does not create a second subscription.
    identifier = form.id or commands.request_hash(str(view.get("id") or ""))
    saved = await commands.save_subscription(desk, who, wanted, identifier, edits=bool(form.id))
    if not form.url or desk.clock.time() - form.at > RESPONSE_URL_SECONDS:
        return {"response_action": "update", "view": subscription_modal.saved_modal(saved.message)}
    desk.errands.start(_send_saved_reply(desk, who, saved, replaces=bool(form.id)))
    return {}


async def _send_saved_reply(
    desk: ListenerContext, who: Requester, saved: commands.SavedSubscription, *, replaces: bool
) -> None:
    """Send the private reply, replacing the message whose button opened the form, if any; then the preview."""
    await desk.send_reply(who, saved.message, replace=replaces)
    await commands.send_preview(desk, who, saved)

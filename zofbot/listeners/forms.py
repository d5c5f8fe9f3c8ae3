"""The form of a subscription: opened, previewed and submitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.access import Role
from zofbot.errors import SlackError, ZofbotError
from zofbot.listeners import endings, previewing, subscribing, suggesting
from zofbot.listeners.actions import value_of
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.listeners.known import may
from zofbot.routing import Subscription
from zofbot.routing.rhythm import zone_of
from zofbot.slack import answers, foresight, modals
from zofbot.slack.message import Message
from zofbot.slack.modals import Form
from zofbot.slack.payload import carried, filled_in

log = structlog.get_logger()

HANDLES_SECONDS = 1.0
"""How long the handles of user groups may hold a form up, which Slack opens within three seconds or not at all."""

ANSWERABLE = 29 * 60.0
"""Seconds for which the address to answer to is good; it ends with half an hour."""


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to *Edit*, and to the form's own *Preview* and *Subscribe*. ``/zof subscribe`` opens it as well."""

    async def edit(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_opened(desk, asked(body), str(value_of(action).get("id") or "")))

    async def preview(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_preview(desk, asked(body), body.get("view") or {}))

    async def submitted(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _submitted(desk, asked(body), view))

    app.action("zof_edit")(edit)
    app.action(modals.PREVIEW)(preview)
    app.view(modals.FORM)(submitted)


async def open_empty(desk: Desk, who: Asked) -> None:
    """Open the form for a new subscription."""
    await _opened(desk, who, "")


async def _opened(desk: Desk, who: Asked, identifier: str) -> None:
    if told := await opened(desk, who, identifier):
        await desk.respond(who, told)


async def opened(desk: Desk, who: Asked, identifier: str) -> Message | None:
    """Open the form, for a new subscription or one of the channel's; where that fails, what the person is told."""
    try:
        person = await may(desk, who, Role.RESPONDER, subscribing.CHANGE if identifier else subscribing.SUBSCRIBE)
        start = await subscribing.find(desk, who, identifier) if identifier else Subscription()
        form = Form(who.channel, who.response_url, desk.clock.time(), identifier, who.thread)
        groups = any(each.startswith("S") for each in start.mention)
        handles = await suggesting.handles_soon(desk, HANDLES_SECONDS) if groups else {}
        await desk.open_form(who, modals.subscribing(form, who.room, start, zone_of(person.zone), handles))
    except SlackError as error:
        log.warning("form not opened", reason=error.reason, user=who.user, channel=who.channel)
        return answers.form_failed(error, endings.noted(error))
    except ZofbotError as error:
        return endings.failed(error)
    except Exception as error:
        return endings.broken(error)
    return None


async def _preview(desk: Desk, who: Asked, view: Mapping[str, Any]) -> None:
    """Show in the form what it would have posted, or what is wrong in it; nothing if it was closed meanwhile."""
    filled, version = await _read(desk, who, view), str(view.get("hash") or "")
    try:
        if filled.errors:
            await _show(desk, view, version, modals.unclear(filled))
            return
        version = await _show(desk, view, version, foresight.waiting())
        await _show(desk, view, version, await previewing.said(desk, filled.subscription))
    except SlackError as error:
        log.info("preview not shown", reason=error.reason)


async def _read(desk: Desk, who: Asked, view: Mapping[str, Any]) -> modals.Filled:
    """What was filled in, with the ids of whom it names, in the time zone of who did. Raises StoreUnavailable."""
    state = filled_in(view)
    ids = await subscribing.known_ids(desk, carried(Form, view).channel) if modals.names_somebody(state) else {}
    return modals.read(state, ids, await subscribing.zone_name(desk, who))


async def _show(desk: Desk, view: Mapping[str, Any], version: str, said: str) -> str:
    return await desk.notifier.update_view(str(view.get("id") or ""), modals.foretold(view, said), version)


async def _submitted(desk: Desk, who: Asked, view: Mapping[str, Any]) -> dict[str, Any]:
    """Say what Slack is to do with a form that was submitted."""
    try:
        filled = await _read(desk, who, view)
        if filled.errors:
            return {"response_action": "errors", "errors": filled.errors}
        return await _kept(desk, who, view, filled.subscription)
    except ZofbotError as error:
        said = endings.beneath(error)
    except Exception as error:
        said = f"Something went wrong inside zofbot. Reference: {endings.unforeseen(error)}"
    return {"response_action": "errors", "errors": {modals.FIRST: said}}


async def _kept(desk: Desk, who: Asked, view: Mapping[str, Any], wanted: Subscription) -> dict[str, Any]:
    """Keep what was filled in, and close the form; one that is late, or of App Home, shows the answer itself.

    Raises ZofbotError.
    """
    form = carried(Form, view)
    who = replace(who, channel=form.channel, response_url=form.url, thread=form.thread)
    # Submitting one form again, because the answer was lost, is no second subscription.
    identifier = form.id or subscribing.name_of(str(view.get("id") or ""))
    saved = await subscribing.save(desk, who, wanted, identifier, edits=bool(form.id))
    if not form.url or desk.clock.time() - form.at > ANSWERABLE:
        return {"response_action": "update", "view": modals.done(saved.message)}
    desk.errands.start(_answered(desk, who, saved, replaces=bool(form.id)))
    return {}


async def _answered(desk: Desk, who: Asked, saved: subscribing.Saved, *, replaces: bool) -> None:
    """Answer privately, in the place of the message whose button opened the form if one did; then the preview."""
    await desk.respond(who, saved.message, replace=replaces)
    await subscribing.preview(desk, who, saved)

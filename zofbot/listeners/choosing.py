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
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.listeners.known import check_channel, known, may, root_at
from zofbot.pipeline.failures import Failure, Gone
from zofbot.pipeline.keys import root_of
from zofbot.slack import act_forms, acts
from zofbot.slack.act_forms import Meant
from zofbot.slack.controls import About
from zofbot.slack.payload import carried
from zofbot.triage import TABLE, Act
from zofbot.triage.life import BY_PEOPLE
from zofbot.verbs import SHORTCUT

log = structlog.get_logger()


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the shortcut (https://docs.slack.dev/interactivity/implementing-shortcuts) and to its form."""

    async def chosen(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_open(desk, asked(body), body.get("message") or {}))

    async def went_on(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _go_on(desk, asked(body), view))

    app.shortcut(SHORTCUT)(chosen)
    app.view(act_forms.CHOOSE)(went_on)


async def _open(desk: Desk, who: Asked, message: Mapping[str, Any]) -> None:
    """Open the form about the failure of a message, or say why not; Slack gives three seconds for it."""
    try:
        await may(desk, who, Role.RESPONDER, "triage this failure")
        failure = await _failure(desk, who, message)
        about = About(failure.key, failure.present.version)
        meant = Meant(about.key, about.version, who.channel, who.response_url, who.thread)
        stands = acts.happened(failure.present, triage.now(desk))
        await desk.open_form(who, act_forms.choose(meant, failure.title, stands, _offered(failure)))
    except Gone as error:
        await desk.respond(who, acts.gone(str(error)))
    except SlackError as error:
        log.warning("form not opened", reason=error.reason, user=who.user)
        await desk.respond(who, endings.failed(BadInput("Slack did not open the form.", "Choose it again.")))
    except ZofbotError as error:
        await desk.respond(who, endings.failed(error))


async def _failure(desk: Desk, who: Asked, message: Mapping[str, Any]) -> Failure:
    """The failure that an alert, or a reply in its thread, is about. Raises Gone, SlackError and BadInput."""
    if not await desk.notifier.wrote(message):  # another app may have copied what our cards carry
        message = {name: message[name] for name in ("thread_ts", "ts") if name in message}
    inside = [block for part in message.get("attachments") or () for block in part.get("blocks") or ()]
    blocks = [*(message.get("blocks") or ()), *inside]
    shown = next((about for one in blocks if (about := About.read(str(one.get("block_id") or "")))), None)
    root = str(message.get("thread_ts") or message.get("ts") or "")
    key = root_of(shown.key, who.channel) if shown else await root_at(desk, who.channel, root)
    if not key:
        raise BadInput("This message is not about a failure.", "Choose it on an alert, or on a reply to one.")
    return await known(desk, who, About(key, ""))


def _offered(failure: Failure) -> list[Act]:
    """What the table allows, and to undo."""
    allowed = [act for act in TABLE[failure.present.state] if act in BY_PEOPLE]
    acts_ = [act for act in allowed if act is not Act.ESCALATE or failure.body.policy.escalate]
    return [*acts_, Act.UNDO] if failure.present.before else acts_


async def _go_on(desk: Desk, who: Asked, view: Mapping[str, Any]) -> dict[str, Any]:
    """Do what was chosen, or lead on to its own form."""
    try:
        meant, chosen = carried(Meant, view), act_forms.filled(view, "act", "act")
        check_channel(meant.key, meant.channel)
        if chosen not in BY_PEOPLE:
            raise BadInput("Nothing is chosen.", "Choose what to do.")
        act, about = Act(chosen), About(meant.key, meant.version)
        there = replace(who, channel=meant.channel, response_url=meant.url, thread=meant.thread)
        if act not in triage.ASKS:
            told = await desk.told(triage.do(desk, there, about, act))
            desk.errands.start(desk.respond(there, told.message))
            return {}
        person = await may(desk, there, Role.RESPONDER, acts.attempt(act), meant.key)
        form = triage.form(desk, act, meant, await known(desk, there, about), person)
    except Gone:
        desk.errands.start(desk.respond(there, acts.gone(meant.key)))
        return {}
    except ZofbotError as error:
        return {"response_action": "errors", "errors": {"act": endings.beneath(error)}}
    return {"response_action": "update", "view": form}

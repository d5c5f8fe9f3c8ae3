"""Words typed to the bot: after a mention, in a failure's thread or anywhere else, and in its direct messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.access import Role
from zofbot.errors import BadInput, SlackError
from zofbot.listeners import lookups, snooze_form, triage, why
from zofbot.listeners.desk import Asked, Desk
from zofbot.listeners.known import may, require_reader, root_at
from zofbot.slack import acts
from zofbot.slack.controls import About
from zofbot.slack.message import Message
from zofbot.triage import Act
from zofbot.triage.speech import Heard, heard
from zofbot.verbs import COMMAND, parse

log = structlog.get_logger()


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to mentions of the bot and to its direct messages.

    https://docs.slack.dev/reference/events/app_mention , https://docs.slack.dev/reference/events/message.im
    """

    async def addressed(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        who, thread = _asked(body, event), str(event.get("thread_ts") or "")
        if not _is_for_us(body):
            await ack()
        elif acts_on(body):  # it is stored before Slack is told that we have it
            told = await desk.told(_act(desk, who, thread, _heard(body)))
            await ack()
            desk.errands.start(desk.respond(who, told.message))
        else:
            await ack()
            desk.errands.start(_reply(desk, who, thread, body))

    app.event("app_mention")(addressed)
    app.event("message")(addressed)


def _is_for_us(body: Mapping[str, Any]) -> bool:
    """Whether a person said it to the bot: not a bot, the bot itself included, and not an edit of what was said."""
    event = body.get("event") or {}
    unspoken = event.get("bot_id") or event.get("subtype") or event.get("edited")
    return _addresses(event) and bool(event.get("user")) and not unspoken and event["user"] != _bot_user(body)


def _addresses(event: Mapping[str, Any]) -> bool:
    return event.get("type") == "app_mention" or _is_direct(event)


def _is_direct(event: Mapping[str, Any]) -> bool:
    return event.get("type") == "message" and event.get("channel_type") == "im"


def _bot_user(body: Mapping[str, Any]) -> str:
    ours = [one.get("user_id") for one in body.get("authorizations") or () if one.get("is_bot")]
    return str(ours[0] or "") if ours else ""


def acts_on(body: Mapping[str, Any]) -> bool:
    """Whether somebody asks the bot in words for an act, which knows its request by itself."""
    if not _addresses(body.get("event") or {}):
        return False
    try:
        return _heard(body).act is not None
    except BadInput:
        return False


def _heard(body: Mapping[str, Any]) -> Heard:
    event = body["event"]
    bot = _bot_user(body) or ("nobody" if _is_direct(event) else "")  # in direct messages a first mention is not ours
    return heard(str(event.get("text") or ""), bot)


def _asked(body: Mapping[str, Any], event: Mapping[str, Any]) -> Asked:
    user = str(event.get("user") or "")
    request, thread = str(body.get("event_id") or event.get("ts") or ""), str(event.get("thread_ts") or "")
    return Asked(user, user, str(event.get("channel") or ""), "", request, message=thread, thread=thread)


async def _reply(desk: Desk, who: Asked, thread: str, body: Mapping[str, Any]) -> None:
    told = await desk.told(_answer(desk, who, thread, body))
    await desk.respond(who, told.message)


async def _answer(desk: Desk, who: Asked, thread: str, body: Mapping[str, Any]) -> Message:
    """Answer a question. Raises ZofbotError."""
    try:
        said = _heard(body)
    except BadInput:
        if not _is_direct(body["event"]):
            raise
        return acts.not_understood()
    if said.question == "why":
        return await why.of_alert(desk, who, await _key(desk, who, thread))
    if said.question in ("result", "run"):
        await require_reader(desk, who, f"look up a {said.question}")
        typed = parse(f"{said.question} {said.rest}", desk.links.identify)
        return await (lookups.run if typed.verb == "run" else lookups.result)(desk, typed.id)
    return acts.words()


async def _act(desk: Desk, who: Asked, thread: str, said: Heard) -> Message:
    """Do what was typed, to the failure of this thread as it stands now. Raises ZofbotError."""
    assert said.act
    about = About(await _key(desk, who, thread), "")
    if said.act not in triage.ASKS:
        return await triage.do(desk, who, about, said.act)
    person = await may(desk, who, Role.RESPONDER, acts.attempt(said.act), about.key)
    meant = triage.wish(desk, who, person, said.act)
    match said.act:
        case Act.ASSIGN:
            if not said.person and said.rest.lower().removeprefix("to ").strip(" .!") != "me":
                raise BadInput("To whom?", "Mention somebody, or say `me`.", example="@zofbot assign @ben")
            wish = await triage.assigned(desk, meant, said.person or who.user)
        case Act.SNOOZE:
            if not said.rest:
                raise BadInput("Until when?", "Say a time, or `until it passes`.", example="@zofbot snooze 2h")
            wish = snooze_form.with_end(meant, said.rest, person, about.key)
        case _:
            wish = triage.resolved(desk, meant, *said.reason)
    return await triage.done(desk, who, about, wish)


async def _key(desk: Desk, who: Asked, thread: str) -> str:
    """The key of the failure whose thread this is. Raises BadInput where it is none."""
    root = ""
    try:
        root = await root_at(desk, who.channel, thread) if thread else ""
    except SlackError as error:
        log.warning("thread not read", channel=who.channel, reason=error.reason)
        raise BadInput("Slack does not let me read this thread.", "Use the buttons of the alert.") from error
    if not root:
        raise BadInput(
            "This is not the thread of a failure.",
            f"Type it in the thread of an alert; elsewhere there is `{COMMAND}`.",
            example="@zofbot help",
        )
    return root

"""Words typed to the bot, in the thread of a failure, where slash commands do not exist, and anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.access import Role
from zofbot.errors import BadInput, SlackError
from zofbot.listeners import lookups, triage, why
from zofbot.listeners.desk import Asked, Desk
from zofbot.listeners.known import inside, may
from zofbot.pipeline.keys import root_of
from zofbot.slack import acts
from zofbot.slack.controls import About
from zofbot.slack.message import Message
from zofbot.triage import Act, Who, Wish
from zofbot.triage.speech import Heard, heard
from zofbot.verbs import COMMAND, parse

log = structlog.get_logger()


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to mentions of the bot (https://docs.slack.dev/reference/events/app_mention)."""

    async def mentioned(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        who, thread = _asked(body, event), str(event.get("thread_ts") or "")
        if not spoken(event):
            await ack()
        elif acts_on(body):  # it is stored before Slack is told that we have it
            told = await desk.told(_act(desk, who, thread, _heard(body)))
            await ack()
            desk.errands.start(desk.respond(who, told.message))
        else:
            await ack()
            desk.errands.start(_reply(desk, who, thread, body))

    app.event("app_mention")(mentioned)


def spoken(event: Mapping[str, Any]) -> bool:
    """Whether a person said it; other bots, and edits of what was said, are not listened to."""
    return bool(event.get("user")) and not event.get("bot_id") and not event.get("subtype") and not event.get("edited")


def acts_on(body: Mapping[str, Any]) -> bool:
    """Whether it is a mention that asks for an act, which knows its request by itself."""
    if (body.get("event") or {}).get("type") != "app_mention":
        return False
    try:
        return _heard(body).act is not None
    except BadInput:
        return False


def _heard(body: Mapping[str, Any]) -> Heard:
    ours = [one.get("user_id") for one in body.get("authorizations") or () if one.get("is_bot")]
    return heard(str(body["event"].get("text") or ""), str(ours[0]) if ours and ours[0] else "")


def _asked(body: Mapping[str, Any], event: Mapping[str, Any]) -> Asked:
    user = str(event.get("user") or "")
    request, thread = str(body.get("event_id") or event.get("ts") or ""), str(event.get("thread_ts") or "")
    return Asked(user, user, str(event.get("channel") or ""), "", request, message=thread, thread=thread)


async def _reply(desk: Desk, who: Asked, thread: str, body: Mapping[str, Any]) -> None:
    told = await desk.told(_answer(desk, who, thread, body))
    await desk.respond(who, told.message)


async def _answer(desk: Desk, who: Asked, thread: str, body: Mapping[str, Any]) -> Message:
    """Answer a question. Raises ZofbotError."""
    said = _heard(body)
    if said.question == "why":
        return await why.of_alert(desk, who, await _key(desk, who, thread))
    if said.question in ("result", "run"):
        await inside(desk, who)
        typed = parse(f"{said.question} {said.rest}")
        return await (lookups.run if typed.verb == "run" else lookups.result)(desk, typed.id)
    return acts.words()


async def _act(desk: Desk, who: Asked, thread: str, said: Heard) -> Message:
    """Do what was typed, to the failure of this thread as it stands now. Raises ZofbotError."""
    assert said.act
    about = About(await _key(desk, who, thread), "")
    if said.act not in triage.ASKS:
        return await triage.do(desk, who, about, said.act, insists=True)
    person = await may(desk, who, Role.RESPONDER)
    meant = Wish(act=said.act, who=Who(id=who.user, name=person.name or who.name), at=triage.now(desk),
                 request=who.request)  # fmt: skip
    match said.act:
        case Act.ASSIGN:
            if not said.person and said.rest.lower().removeprefix("to ").strip(" .!") != "me":
                raise BadInput("To whom?", "Mention somebody, or say `me`.", example="@zofbot assign @ben")
            wish = await triage.assigned(desk, meant, said.person or who.user)
        case Act.SNOOZE:
            if not said.rest:
                raise BadInput("Until when?", "Say a time, or `until it recovers`.", example="@zofbot snooze 2h")
            wish = triage.snoozed(meant, said.rest.lower(), person, about.key)
        case _:
            wish = triage.resolved(desk, meant, *said.reason)
    return await triage.done(desk, who, about, wish, insists=True)


async def _key(desk: Desk, who: Asked, thread: str) -> str:
    """The key of the failure whose thread this is. Raises BadInput where it is none."""
    key = ""
    try:
        key = await desk.notifier.key_of(who.channel, thread) if thread else ""
    except SlackError as error:
        log.warning("thread not read", channel=who.channel, reason=error.reason)
        raise BadInput("Slack does not let me read this thread.", "Use the buttons of the alert.") from error
    root = root_of(key, who.channel)
    if not root:
        raise BadInput(
            "This is not the thread of a failure.",
            f"Type it in the thread of an alert; elsewhere there is `{COMMAND}`.",
            example="@zofbot help",
        )
    return root

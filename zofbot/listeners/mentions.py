"""Listener for mentions of the bot and its direct messages: thread commands and questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from zofbot.domain.command_parser import parse_command
from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import BadInput, SlackError
from zofbot.domain.permissions import Role
from zofbot.listeners import lookups, mutes, why
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import alert_key_at, require_reader, require_role
from zofbot.listeners.listener_table import ListenerTable
from zofbot.listeners.triage import snooze_form, triage_actions
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.triage import thread_help, triage_replies
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.triage import Action
from zofbot.triage.thread_commands import ThreadCommand, parse_thread_command

log = structlog.get_logger()

MUTING = {"mute": mutes.mute, "unmute": mutes.unmute}
"""Handlers of commands that work in any thread and outside of threads."""


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register handlers for mentions of the bot and for its direct messages.

    https://docs.slack.dev/reference/events/app_mention , https://docs.slack.dev/reference/events/message.im
    """

    async def handle_message(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        requester, thread = _requester_of(body, event), str(event.get("thread_ts") or "")
        if not _is_addressed_to_us(body):
            await ack()
        elif requests_action(body):  # stored before the acknowledgement
            reply = await context.run_safely(_apply_command(context, requester, thread, _parse_command(body)))
            await ack()
            context.background_tasks.start(context.send_reply(requester, reply.message))
        else:
            await ack()
            context.background_tasks.start(_send_answer(context, requester, thread, body))

    table.events["app_mention"] = handle_message
    table.events["message"] = handle_message


def _is_addressed_to_us(body: Mapping[str, Any]) -> bool:
    """Return whether a person addressed the bot; false for messages of bots and for edits."""
    event = body.get("event") or {}
    unspoken = event.get("bot_id") or event.get("subtype") or event.get("edited")
    return (
        _is_mention_or_direct(event) and bool(event.get("user")) and not unspoken and event["user"] != _bot_user(body)
    )


def _is_mention_or_direct(event: Mapping[str, Any]) -> bool:
    return event.get("type") == "app_mention" or _is_direct(event)


def _is_direct(event: Mapping[str, Any]) -> bool:
    return event.get("type") == "message" and event.get("channel_type") == "im"


def _bot_user(body: Mapping[str, Any]) -> str:
    ours = [item.get("user_id") for item in body.get("authorizations") or () if item.get("is_bot")]
    return str(ours[0] or "") if ours else ""


def requests_action(body: Mapping[str, Any]) -> bool:
    """Return whether a message requests an action, which has its own duplicate check."""
    if not _is_mention_or_direct(body.get("event") or {}):
        return False
    try:
        command = _parse_command(body)
        return command.act is not None or command.question in MUTING
    except BadInput:
        return False


def _parse_command(body: Mapping[str, Any]) -> ThreadCommand:
    event = body["event"]
    bot = _bot_user(body) or ("nobody" if _is_direct(event) else "")  # "nobody": keep a leading mention
    return parse_thread_command(str(event.get("text") or ""), bot)


def _requester_of(body: Mapping[str, Any], event: Mapping[str, Any]) -> Requester:
    user = str(event.get("user") or "")
    request, thread = str(body.get("event_id") or event.get("ts") or ""), str(event.get("thread_ts") or "")
    return Requester(user, user, str(event.get("channel") or ""), "", request, message=thread, thread=thread)


async def _send_answer(context: ListenerContext, requester: Requester, thread: str, body: Mapping[str, Any]) -> None:
    reply = await context.run_safely(_answer_question(context, requester, thread, body))
    await context.send_reply(requester, reply.message)


async def _answer_question(
    context: ListenerContext, requester: Requester, thread: str, body: Mapping[str, Any]
) -> Message:
    """Answer a question. Raises ZofbotError."""
    try:
        command = _parse_command(body)
    except BadInput:
        if not _is_direct(body["event"]):
            raise
        return thread_help.not_understood_reply()
    if command.question == "why":
        return await why.explain_alert(context, requester, await _thread_key(context, requester, thread))
    if command.question in ("result", "run"):
        await require_reader(context, requester, f"look up a {command.question}")
        typed = parse_command(f"{command.question} {command.rest}", context.links.identify_target)
        return await (lookups.show_run if typed.verb == "run" else lookups.show_result)(context, typed.id)
    return thread_help.thread_help()


async def _apply_command(
    context: ListenerContext, requester: Requester, thread: str, command: ThreadCommand
) -> Message:
    """Run a typed action on the current state of the thread's failure. Raises ZofbotError."""
    if command.question in MUTING:
        await require_reader(context, requester, f"use `{command.question}`")
        return await MUTING[command.question](context, requester, command.rest)
    assert command.act
    about = FailureRef(await _thread_key(context, requester, thread), "")
    if command.act not in triage_actions.FORM_ACTIONS:
        return await triage_actions.perform_action(context, requester, about, command.act)
    person = await require_role(
        context, requester, Role.RESPONDER, triage_replies.describe_attempt(command.act), about.key
    )
    request = triage_actions.build_action_request(context, requester, person, command.act)
    match command.act:
        case Action.ASSIGN:
            if not command.person_id and command.rest.lower().removeprefix("to ").strip(" .!") != "me":
                raise BadInput("Assign to whom?", "Mention someone, or use `me`.", example="@zofbot assign @ben")
            wish = await triage_actions.with_assignee(context, request, command.person_id or requester.user)
        case Action.SNOOZE:
            if not command.rest:
                raise BadInput("Snooze until when?", "Give a time, or `until it passes`.", example="@zofbot snooze 2h")
            wish = snooze_form.with_snooze(request, command.rest, person, about.key)
        case _:
            wish = triage_actions.with_resolution(context, request, *command.resolution_reason)
    return await triage_actions.apply_action(context, requester, about, wish)


async def _thread_key(context: ListenerContext, requester: Requester, thread: str) -> str:
    """Return the key of the thread's failure. Raises BadInput if there is none."""
    root = ""
    try:
        root = await alert_key_at(context, requester.channel, thread) if thread else ""
    except SlackError as error:
        log.warning("thread not read", channel=requester.channel, reason=error.reason)
        raise BadInput("zofbot can't read this thread.", "Use the buttons on the alert.") from error
    if not root:
        raise BadInput(
            "This isn't an alert's thread.",
            f"Type it in an alert's thread. Elsewhere, use `{SLASH_COMMAND}`.",
            example="@zofbot help",
        )
    return root

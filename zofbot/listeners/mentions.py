"""Listener for mentions of the bot and its direct messages: actions in threads, and all verbs of the slash command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from zofbot.domain.command_parser import LinkReader, read_no_link
from zofbot.domain.errors import BadInput, SlackError
from zofbot.domain.permissions import Role
from zofbot.listeners import commands, why
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import alert_key_at, require_role
from zofbot.listeners.listener_table import IdempotentListener, ListenerTable
from zofbot.listeners.triage import snooze_form, triage_actions
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.triage import thread_help, triage_replies
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.triage import Action
from zofbot.triage.thread_commands import ThreadCommand, parse_thread_command, strip_quotes

log = structlog.get_logger()

MUTING = ("mute", "unmute")
"""Verbs that are carried out before the acknowledgement, as actions are: both have their own duplicate check."""

TYPED_SUBTYPES = ("", "file_share", "thread_broadcast")
"""Subtypes of messages that people typed: plain, with a file, and a thread reply also sent to the channel.

https://docs.slack.dev/reference/events/message#subtypes
"""


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register handlers for mentions of the bot and for its direct messages.

    https://docs.slack.dev/reference/events/app_mention , https://docs.slack.dev/reference/events/message.im
    """

    async def handle_message(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        requester, thread = _requester_of(body, event), str(event.get("thread_ts") or "")
        if not _is_addressed_to_us(body):
            await ack()
        elif requests_action(body):  # stored before the acknowledgement
            reply = await context.run_safely(_answer_message(context, requester, thread, body))
            await ack()
            context.background_tasks.start(context.send_reply(requester, reply.message))
        else:
            await ack()
            context.background_tasks.start(_send_answer(context, requester, thread, body))

    listener = IdempotentListener(handle_message, requests_action)
    table.events["app_mention"] = table.events["message"] = listener


def _is_addressed_to_us(body: Mapping[str, Any]) -> bool:
    """Return whether a person addressed the bot; false for messages of bots, for edits, and for a quoted mention."""
    event = body.get("event") or {}
    is_typed = (event.get("subtype") or "") in TYPED_SUBTYPES
    unspoken = event.get("bot_id") or not is_typed or event.get("edited")
    if not _is_mention_or_direct(event) or unspoken or _is_only_quoted(body):
        return False
    return bool(event.get("user")) and event["user"] != _bot_user(body)


def _is_only_quoted(body: Mapping[str, Any]) -> bool:
    """Return whether the bot is mentioned only in what the message quotes; a direct message needs no mention."""
    text, mention = str(body["event"].get("text") or ""), f"<@{_bot_user(body)}"
    return not _is_direct(body["event"]) and mention in text and mention not in strip_quotes(text)


def _is_mention_or_direct(event: Mapping[str, Any]) -> bool:
    """Return whether this is a mention, or a direct message.

    A mention in a direct message counts only as the latter: believed, it may come as both events
    (https://github.com/openclaw/openclaw/pull/32190 , https://github.com/shomali11/slacker/pull/83).
    """
    is_direct_message = str(event.get("channel") or "").startswith("D")
    return _is_direct(event) or (event.get("type") == "app_mention" and not is_direct_message)


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


def _parse_command(body: Mapping[str, Any], read_link: LinkReader = read_no_link) -> ThreadCommand:
    event = body["event"]
    bot = _bot_user(body) or ("nobody" if _is_direct(event) else "")  # "nobody": keep a leading mention
    return parse_thread_command(str(event.get("text") or ""), bot, read_link)


def _requester_of(body: Mapping[str, Any], event: Mapping[str, Any]) -> Requester:
    user = str(event.get("user") or "")
    request, thread = str(body.get("event_id") or event.get("ts") or ""), str(event.get("thread_ts") or "")
    room = "directmessage" if _is_direct(event) else ""  # the name that slash commands have
    return Requester(user, user, str(event.get("channel") or ""), "", request, room, message=thread, thread=thread)


async def _send_answer(context: ListenerContext, requester: Requester, thread: str, body: Mapping[str, Any]) -> None:
    reply = await context.run_safely(_answer_message(context, requester, thread, body))
    await context.send_reply(requester, reply.message)


async def _answer_message(
    context: ListenerContext, requester: Requester, thread: str, body: Mapping[str, Any]
) -> Message:
    """Carry out what was typed, and answer it. Raises ZofbotError."""
    try:
        command = _parse_command(body, context.links.identify_target)
    except BadInput as error:
        if not _is_direct(body["event"]):
            raise
        return thread_help.not_understood_reply(error.verb)
    if command.act:
        return await _apply_action(context, requester, thread, command, command.act)
    if command.question == "why" and not command.names_id:
        if thread:
            return await why.explain_alert(context, requester, await _thread_key(context, requester, thread))
        return await commands.answer_command(context, requester, "why")
    if command.question == "help" and not command.rest:
        return thread_help.thread_help() if thread else thread_help.full_help()
    return await commands.answer_command(context, requester, command.slash_command)


async def _apply_action(
    context: ListenerContext, requester: Requester, thread: str, command: ThreadCommand, act: Action
) -> Message:
    """Run a typed action on the current state of the thread's failure. Raises ZofbotError."""
    about = FailureRef(await _thread_key(context, requester, thread), "")
    if act not in triage_actions.FORM_ACTIONS:
        return await triage_actions.perform_action(context, requester, about, act)
    person = await require_role(context, requester, Role.RESPONDER, triage_replies.describe_attempt(act), about.key)
    request = triage_actions.build_action_request(context, requester, person, act)
    match act:
        case Action.ASSIGN:
            if not command.person_id and command.rest.lower().removeprefix("to ").strip(" .!") != "me":
                raise BadInput("Assign to whom?", "Mention someone, or use `me`.", example="@zofbot assign @ben")
            assignee = command.person_id or requester.user
            wish = await triage_actions.with_assignee(context, request, about.key, assignee)
        case Action.SNOOZE:
            if not command.rest:
                raise BadInput("Snooze until when?", "Give a time, or `until it passes`.", example="@zofbot snooze 2h")
            try:
                wish = snooze_form.with_snooze(request, command.rest, person, about.key)
            except BadInput as error:  # its example is what goes into the form's field
                example = f"@zofbot snooze {error.example}"
                raise BadInput(error.sentence, error.next_step, example=example) from error
        case _:
            wish = triage_actions.with_resolution(context, request, *command.resolution_reason)
    return await triage_actions.apply_action(context, requester, about, wish)


async def _thread_key(context: ListenerContext, requester: Requester, thread: str) -> str:
    """Return the key of the thread's failure. Raises BadInput if there is none, and SlackError."""
    root = ""
    try:
        root = await alert_key_at(context, requester.channel, thread) if thread else ""
    except SlackError as error:
        log.warning("thread not read", channel=requester.channel, reason=error.reason)
        raise error.with_sentence("zofbot can't read this thread.", "Use the buttons on the alert.") from error
    if not root:
        raise BadInput(
            "This isn't an alert's thread.",
            "Type it in an alert's thread. `@zofbot triage` lists open failures.",
            example="@zofbot help",
        )
    return root

"""Listener for the ``/zof`` command and its verbs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

from zofbot.domain import command_parser, commands
from zofbot.domain.command_parser import ParsedCommand
from zofbot.domain.errors import BadInput
from zofbot.domain.permissions import Role
from zofbot.domain.text import read_input
from zofbot.listeners import causes, digest, lookups, mutes, oncall, run_commands, share, why
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import require_reader, require_role
from zofbot.listeners.subscription import commands as subscriptions
from zofbot.listeners.subscription import form
from zofbot.slack.views import traces
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.replies import help_replies
from zofbot.triage.thread_commands import ACTION_WORDS


def register_listeners(app: AsyncApp, context: ListenerContext) -> None:
    """Register the slash command; an operator may rename it in the manifest, so any command name is accepted."""

    async def handle_command(ack: Any, body: dict[str, Any], req: AsyncBoltRequest) -> None:
        requester, text = requester_of(body), read_input(str(body.get("text") or ""))
        if text.replace("`", "").strip().lower() == "subscribe":  # alone, also as code: without filters it means all
            await ack()
            context.background_tasks.start(form.open_new_form(context, requester))
            return
        work = answer_command(context, requester, text)
        await context.acknowledge_with_reply(ack, requester, work, req.context["arrived"])

    app.command(commands.ANY_COMMAND_PATTERN)(handle_command)


async def answer_command(context: ListenerContext, requester: Requester, text: str) -> Message:
    """Run a typed command (text from ``read_input``). Raises ZofbotError."""
    first = text.strip("` ").partition(" ")[0].lower()
    if first in ACTION_WORDS and first not in commands.VERBS:
        raise BadInput(
            f"`{first}` works only in an alert's thread.",
            "Mention the bot there, or use the buttons on the alert. "
            f"`{commands.SLASH_COMMAND} triage` lists open failures.",
            example=f"@zofbot {first}",
        )
    typed = command_parser.parse_command(text, context.links.identify_target)
    if typed.verb != "help":
        await require_reader(context, requester, f"use `{commands.SLASH_COMMAND} {typed.verb}`")
    return await COMMAND_HANDLERS[typed.verb](context, requester, typed)


async def _answer_result(context: ListenerContext, requester: Requester, typed: ParsedCommand) -> Message:
    return await (
        share.share_by_command(context, requester, typed.id) if typed.share else lookups.show_result(context, typed.id)
    )


async def _answer_subscribe(context: ListenerContext, requester: Requester, typed: ParsedCommand) -> Message:
    if not typed.filters:
        return await form.offer_form(context, requester)
    return await subscriptions.subscribe_channel(context, requester, typed.filters)


async def _answer_trace(context: ListenerContext, requester: Requester, typed: ParsedCommand) -> Message:
    """Show the latest traces of an id from an error reply, or explain why there may be none."""
    await require_role(context, requester, Role.ADMIN, "look up traces")
    found = await context.traces.find_traces(typed.id)
    return traces.trace_card(typed.id, found) if found else traces.unknown_trace_reply(typed.id)


async def _answer_help(context: ListenerContext, requester: Requester, typed: ParsedCommand) -> Message:
    return help_replies.command_help(commands.VERBS[typed.about]) if typed.about else help_replies.all_commands_help()


COMMAND_HANDLERS: dict[str, Callable[[ListenerContext, Requester, ParsedCommand], Coroutine[Any, Any, Message]]] = {
    "result": _answer_result,
    "run": lambda context, requester, typed: lookups.show_run(context, typed.id),
    "runs": lambda context, requester, typed: lookups.show_runs(context, typed.filters),
    "subscribe": _answer_subscribe,
    "subscriptions": lambda context, requester, typed: subscriptions.list_subscriptions(context, requester),
    "unsubscribe": lambda context, requester, typed: subscriptions.unsubscribe_channel(context, requester, typed.about),
    "mute": lambda context, requester, typed: mutes.mute(context, requester, typed.filters),
    "unmute": lambda context, requester, typed: mutes.unmute(context, requester, typed.filters),
    "triage": lambda context, requester, typed: oncall.list_open_failures(context, requester, typed.about),
    "causes": lambda context, requester, typed: causes.list_causes(context, requester, typed.about),
    "cause": lambda context, requester, typed: causes.show_cause(context, requester, typed.id),
    "why": lambda context, requester, typed: why.explain_to_channel(context, requester.channel, typed.id),
    "oncall": lambda context, requester, typed: oncall.show_on_call(context, requester),
    "handover": lambda context, requester, typed: oncall.post_handover(context, requester, typed.about),
    "digest": lambda context, requester, typed: digest.answer_digest_command(context, requester, typed.about),
    "cancel": lambda context, requester, typed: run_commands.propose_cancel(context, requester, typed.id),
    "trace": _answer_trace,
    "help": _answer_help,
}
"""Handler of each verb."""

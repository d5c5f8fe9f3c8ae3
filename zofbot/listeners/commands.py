"""Listener for the ``/zof`` command and its verbs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext

from zofbot.domain import commands
from zofbot.domain.commands import ParsedCommand
from zofbot.domain.errors import BadInput
from zofbot.domain.text import read_input
from zofbot.listeners import digest, lookups, mutes, oncall, run_commands, share, traces, why
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import require_reader
from zofbot.listeners.subscription import commands as subscriptions
from zofbot.listeners.subscription import form
from zofbot.slack.views import replies
from zofbot.slack.views.blocks import Message
from zofbot.triage.thread_commands import ACTION_WORDS


def register_listeners(app: AsyncApp, desk: ListenerContext) -> None:
    """Register the slash command; an operator may rename it in the manifest, so any command name is accepted."""

    async def handle_command(ack: Any, body: dict[str, Any], context: AsyncBoltContext) -> None:
        who, text = requester_of(body), read_input(str(body.get("text") or ""))
        if text.lower() == "subscribe":
            await ack()
            desk.errands.start(form.open_new_form(desk, who))
            return
        work = answer_command(desk, who, text)
        await desk.acknowledge_with_reply(ack, who, work, context["arrived"])

    app.command(commands.ANY_COMMAND_PATTERN)(handle_command)


async def answer_command(desk: ListenerContext, who: Requester, text: str) -> Message:
    """Run a typed command (text from ``read_input``). Raises ZofbotError."""
    first = text.partition(" ")[0].lower()
    if first in ACTION_WORDS and first not in commands.VERBS:
        raise BadInput(
            f"`{first}` works in the thread of a failure.",
            "Mention the bot there, or press the buttons of the alert. "
            f"`{commands.SLASH_COMMAND} triage` lists what is open.",
            example=f"@zofbot {first}",
        )
    typed = commands.parse_command(text, desk.links.identify_target)
    if typed.verb != "help":
        await require_reader(desk, who, f"use `{commands.SLASH_COMMAND} {typed.verb}`")
    return await COMMAND_HANDLERS[typed.verb](desk, who, typed)


async def _answer_result(desk: ListenerContext, who: Requester, typed: ParsedCommand) -> Message:
    return await (share.share_by_command(desk, who, typed.id) if typed.share else lookups.show_result(desk, typed.id))


async def _answer_help(desk: ListenerContext, who: Requester, typed: ParsedCommand) -> Message:
    return replies.command_help(commands.VERBS[typed.about]) if typed.about else replies.all_commands_help()


COMMAND_HANDLERS: dict[str, Callable[[ListenerContext, Requester, ParsedCommand], Coroutine[Any, Any, Message]]] = {
    "result": _answer_result,
    "run": lambda desk, who, typed: lookups.show_run(desk, typed.id),
    "runs": lambda desk, who, typed: lookups.show_runs(desk, typed.filters),
    "subscribe": lambda desk, who, typed: subscriptions.subscribe_channel(desk, who, typed.filters),
    "subscriptions": lambda desk, who, typed: subscriptions.list_subscriptions(desk, who),
    "unsubscribe": lambda desk, who, typed: subscriptions.unsubscribe_channel(desk, who, typed.about),
    "mute": lambda desk, who, typed: mutes.mute(desk, who, typed.filters),
    "unmute": lambda desk, who, typed: mutes.unmute(desk, who, typed.filters),
    "triage": lambda desk, who, typed: oncall.list_open_failures(desk, who, typed.about),
    "why": lambda desk, who, typed: why.explain_to_channel(desk, who.channel, typed.id),
    "oncall": lambda desk, who, typed: oncall.show_on_call(desk, who),
    "handover": lambda desk, who, typed: oncall.post_handover(desk, who, typed.about),
    "digest": lambda desk, who, typed: digest.answer_digest_command(desk, who, typed.about),
    "cancel": lambda desk, who, typed: run_commands.propose_cancel(desk, who, typed.id),
    "trace": lambda desk, who, typed: traces.show_trace(desk, who, typed.id),
    "help": _answer_help,
}
"""Handler of each verb."""

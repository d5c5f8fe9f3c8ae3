"""``/zof`` and its verbs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext

from zofbot import verbs
from zofbot.domain.text import read_input
from zofbot.errors import BadInput
from zofbot.listeners import digesting, forms, lookups, muting, ordering, rounds, sharing, subscribing, traces, why
from zofbot.listeners.desk import ListenerContext, Requester, requester_of
from zofbot.listeners.known import require_reader
from zofbot.slack import answers
from zofbot.slack.message import Message
from zofbot.triage.speech import ACTION_WORDS
from zofbot.verbs import ParsedCommand


def register_listeners(app: AsyncApp, desk: ListenerContext) -> None:
    """Listen to the one command; an operator may have named it otherwise in the manifest, so any name is ours."""

    async def handle_command(ack: Any, body: dict[str, Any], context: AsyncBoltContext) -> None:
        who, text = requester_of(body), read_input(str(body.get("text") or ""))
        if text.lower() == "subscribe":
            await ack()
            desk.errands.start(forms.open_new_form(desk, who))
            return
        work = answer_command(desk, who, text)
        await desk.acknowledge_with_reply(ack, who, work, context["arrived"])

    app.command(verbs.ANY_COMMAND_PATTERN)(handle_command)


async def answer_command(desk: ListenerContext, who: Requester, text: str) -> Message:
    """Do what was typed, as ``read_input`` gives it. Raises ZofbotError."""
    first = text.partition(" ")[0].lower()
    if first in ACTION_WORDS and first not in verbs.VERBS:
        raise BadInput(
            f"`{first}` works in the thread of a failure.",
            f"Mention the bot there, or press the buttons of the alert. `{verbs.SLASH_COMMAND} triage` lists what is open.",
            example=f"@zofbot {first}",
        )
    typed = verbs.parse_command(text, desk.links.identify_target)
    if typed.verb != "help":
        await require_reader(desk, who, f"use `{verbs.SLASH_COMMAND} {typed.verb}`")
    return await COMMAND_HANDLERS[typed.verb](desk, who, typed)


async def _answer_result(desk: ListenerContext, who: Requester, typed: ParsedCommand) -> Message:
    return await (sharing.share_by_command(desk, who, typed.id) if typed.share else lookups.show_result(desk, typed.id))


async def _answer_help(desk: ListenerContext, who: Requester, typed: ParsedCommand) -> Message:
    return answers.command_help(verbs.VERBS[typed.about]) if typed.about else answers.all_commands_help()


COMMAND_HANDLERS: dict[str, Callable[[ListenerContext, Requester, ParsedCommand], Coroutine[Any, Any, Message]]] = {
    "result": _answer_result,
    "run": lambda desk, who, typed: lookups.show_run(desk, typed.id),
    "runs": lambda desk, who, typed: lookups.show_runs(desk, typed.filters),
    "subscribe": lambda desk, who, typed: subscribing.subscribe_channel(desk, who, typed.filters),
    "subscriptions": lambda desk, who, typed: subscribing.list_subscriptions(desk, who),
    "unsubscribe": lambda desk, who, typed: subscribing.unsubscribe_channel(desk, who, typed.about),
    "mute": lambda desk, who, typed: muting.mute(desk, who, typed.filters),
    "unmute": lambda desk, who, typed: muting.unmute(desk, who, typed.filters),
    "triage": lambda desk, who, typed: rounds.list_open_failures(desk, who, typed.about),
    "why": lambda desk, who, typed: why.explain_to_channel(desk, who.channel, typed.id),
    "oncall": lambda desk, who, typed: rounds.show_on_call(desk, who),
    "handover": lambda desk, who, typed: rounds.post_handover(desk, who, typed.about),
    "digest": lambda desk, who, typed: digesting.answer_digest_command(desk, who, typed.about),
    "cancel": lambda desk, who, typed: ordering.propose_cancel(desk, who, typed.id),
    "trace": lambda desk, who, typed: traces.show_trace(desk, who, typed.id),
    "help": _answer_help,
}
"""What answers each verb."""

"""``/zof`` and its verbs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext

from zofbot import verbs
from zofbot.domain.text import read_input
from zofbot.errors import BadInput
from zofbot.listeners import digesting, forms, lookups, ordering, rounds, sharing, subscribing, traces, why
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.listeners.known import require_reader
from zofbot.slack import answers
from zofbot.slack.message import Message
from zofbot.triage.speech import WORDS
from zofbot.verbs import Typed


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the one command; an operator may have named it otherwise in the manifest, so any name is ours."""

    async def typed(ack: Any, body: dict[str, Any], context: AsyncBoltContext) -> None:
        who, text = asked(body), read_input(str(body.get("text") or ""))
        if text.lower() == "subscribe":
            await ack()
            desk.errands.start(forms.open_empty(desk, who))
            return
        work = answer(desk, who, text)
        await desk.answer(ack, who, work, context["arrived"])

    app.command(verbs.ANY_COMMAND)(typed)


async def answer(desk: Desk, who: Asked, text: str) -> Message:
    """Do what was typed, as ``read_input`` gives it. Raises ZofbotError."""
    first = text.partition(" ")[0].lower()
    if first in WORDS and first not in verbs.VERBS:
        raise BadInput(
            f"`{first}` works in the thread of a failure.",
            f"Mention the bot there, or press the buttons of the alert. `{verbs.COMMAND} triage` lists what is open.",
            example=f"@zofbot {first}",
        )
    typed = verbs.parse(text, desk.links.identify)
    if typed.verb != "help":
        await require_reader(desk, who, f"use `{verbs.COMMAND} {typed.verb}`")
    return await ANSWERS[typed.verb](desk, who, typed)


async def _result(desk: Desk, who: Asked, typed: Typed) -> Message:
    return await (sharing.by_word(desk, who, typed.id) if typed.share else lookups.result(desk, typed.id))


async def _help(desk: Desk, who: Asked, typed: Typed) -> Message:
    return answers.help_verb(verbs.VERBS[typed.about]) if typed.about else answers.help_all()


ANSWERS: dict[str, Callable[[Desk, Asked, Typed], Coroutine[Any, Any, Message]]] = {
    "result": _result,
    "run": lambda desk, who, typed: lookups.run(desk, typed.id),
    "runs": lambda desk, who, typed: lookups.runs(desk, typed.filters),
    "subscribe": lambda desk, who, typed: subscribing.subscribe(desk, who, typed.filters),
    "subscriptions": lambda desk, who, typed: subscribing.listed(desk, who),
    "unsubscribe": lambda desk, who, typed: subscribing.unsubscribe(desk, who, typed.about),
    "triage": lambda desk, who, typed: rounds.open_failures(desk, who, typed.about),
    "why": lambda desk, who, typed: why.explain(desk, who.channel, typed.id),
    "oncall": lambda desk, who, typed: rounds.on_call(desk, who),
    "handover": lambda desk, who, typed: rounds.handover(desk, who, typed.about),
    "digest": lambda desk, who, typed: digesting.asked(desk, who, typed.about),
    "cancel": lambda desk, who, typed: ordering.offer_cancel(desk, who, typed.id),
    "trace": lambda desk, who, typed: traces.show(desk, who, typed.id),
    "help": _help,
}
"""What answers each verb."""

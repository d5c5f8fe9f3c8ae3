"""``/zof`` and its verbs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext

from zofbot import verbs
from zofbot.listeners import digesting, forms, lookups, ordering, rounds, sharing, subscribing, why
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.slack import answers
from zofbot.slack.message import Message

WORDED: dict[str, Callable[[Desk, Asked, str], Awaitable[Message]]] = {
    "unsubscribe": subscribing.unsubscribe,
    "triage": rounds.open_failures,
    "handover": rounds.handover,
    "digest": digesting.asked,
}
"""Verbs with words of their own behind them."""


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the one command; an operator may have named it otherwise in the manifest, so any name is ours."""

    async def typed(ack: Any, body: dict[str, Any], context: AsyncBoltContext) -> None:
        who, text = asked(body), str(body.get("text") or "")
        if text.strip().lower() == "subscribe":
            await ack()
            desk.errands.start(forms.open_empty(desk, who))
            return
        work = answer(desk, who, text)
        await desk.answer(ack, who, work, context["arrived"])

    app.command(verbs.ANY_COMMAND)(typed)


async def answer(desk: Desk, who: Asked, text: str) -> Message:
    """Do what was typed. Raises ZofbotError."""
    typed = verbs.parse(text)
    if typed.verb == "help":
        return answers.help_verb(verbs.VERBS[typed.about]) if typed.about else answers.help_all()
    if typed.verb in WORDED:
        return await WORDED[typed.verb](desk, who, typed.about)
    if typed.verb == "run":
        return await lookups.run(desk, typed.id)
    if typed.verb == "runs":
        return await lookups.runs(desk, typed.filters)
    if typed.verb == "subscribe":
        return await subscribing.subscribe(desk, who, typed.wish)
    if typed.verb == "subscriptions":
        return await subscribing.listed(desk, who)
    if typed.verb == "why":
        return await why.explain(desk, who.channel, typed.id)
    if typed.verb == "oncall":
        return await rounds.on_call(desk, who)
    if typed.verb == "cancel":
        return await ordering.offer_cancel(desk, who, typed.id)
    if typed.share:
        return await sharing.by_word(desk, who, typed.id)
    return await lookups.result(desk, typed.id)

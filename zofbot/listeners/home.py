"""App Home and its buttons, and the events nobody here waits for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.access import Role
from zofbot.errors import BadInput
from zofbot.listeners import endings, forms
from zofbot.listeners.actions import value_of
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.listeners.known import may
from zofbot.listeners.lobby import Lobby
from zofbot.slack import answers, home
from zofbot.slack.message import Message
from zofbot.store.audit import Entry

log = structlog.get_logger()


def register(app: AsyncApp, desk: Desk, lobby: Lobby) -> None:
    """Listen to App Home and its buttons; every other event is acknowledged, or Slack would repeat it."""

    async def opened(ack: Any, event: dict[str, Any]) -> None:
        await ack()
        if event.get("tab", "home") == "home":
            version = str((event.get("view") or {}).get("hash") or "")
            desk.errands.start(lobby.show(str(event.get("user") or ""), version))

    async def edit(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_edit(desk, lobby, asked(body), value_of(action)))

    async def retry(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        desk.errands.start(_retried(desk, lobby, asked(body), str(value_of(action).get("key") or "")))

    async def other(ack: Any, event: dict[str, Any]) -> None:
        await ack()
        log.info("event ignored", type=event.get("type"))

    app.event("app_home_opened")(opened)
    app.action(home.EDIT)(edit)
    app.action(home.RETRY)(retry)
    app.event(re.compile(""))(other)


async def _edit(desk: Desk, lobby: Lobby, who: Asked, value: Mapping[str, Any]) -> None:
    """Open the form of a subscription; where that fails, Home says why, for it has no other place to answer."""
    identifier, channel = str(value.get("id") or ""), str(value.get("channel") or "")
    if channel not in (await desk.people.own(await desk.people.person(who.user), [channel]) or ()):
        gone = BadInput("You are not in that channel, as far as Slack tells.", "Open this Home again.")
        told: Message | None = endings.failed(gone)
    else:
        told = await forms.opened(desk, replace(who, channel=channel), identifier)
    if told:
        await lobby.show(who.user, note=told.blocks)


async def _retried(desk: Desk, lobby: Lobby, who: Asked, key: str) -> None:
    told = await desk.told(_retry(desk, who, key))
    await lobby.show(who.user, note=told.message.blocks)


async def _retry(desk: Desk, who: Asked, key: str) -> Message:
    """Have a dead letter sent after all; the audit knows it by the same step. Raises ZofbotError."""
    person = await may(desk, who, Role.ADMIN, "retry an undelivered alert", key)
    before = await desk.outbox.show(key)
    act = Entry(
        at=desk.clock.time(), act="outbox retry", user=who.user, name=person.name or who.name, key=key,
        channel=before.channel if before else "", before=before.state.value if before else "", after="pending",
        request=who.request,
    )  # fmt: skip
    if not before or not await desk.outbox.retry(key, act.model_dump_json()):
        raise BadInput("That is not given up any more.", "Somebody was faster, or it was sent meanwhile.")
    log.info("dead letter retried", key=key, by=who.user)
    return answers.retried()

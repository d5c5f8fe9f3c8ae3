"""Links to runs and results that people paste: small cards beneath them, for those who may see them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import stamina
import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.access import Standing
from zofbot.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown, ZofError
from zofbot.listeners.desk import Desk
from zofbot.slack.glimpse import glimpse
from zofbot.slack.links import Linked, Links
from zofbot.slack.people import Readers
from zofbot.zof.client import Patience

log = structlog.get_logger()

MOST = 5
"""Cards beneath one message."""

PATIENCE = Patience(15, background=True)
"""Nobody asked for a card: the last of the quota stays with those who ask."""

TOO_EARLY = "cannot_unfurl_url"
"""What Slack says, among other things, while it has not read our acknowledgement yet."""


@dataclass(frozen=True)
class Pasted:
    """Links in one message: who wrote it where, how Slack knows it, and the first link to each thing."""

    user: str
    channel: str
    place: Mapping[str, str]
    links: Mapping[Linked, str]


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to links (https://docs.slack.dev/reference/events/link_shared); Slack takes cards once it is answered."""

    async def shared(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        found = pasted(body, desk.links)
        if found:
            desk.errands.start(_unfurl(desk, found))

    app.event("link_shared")(shared)


def pasted(body: Mapping[str, Any], links: Links) -> Pasted | None:
    """Read the event; nothing where no card may stand beneath the message, or none of its links leads anywhere.

    Left alone are channels that are shared with others, direct messages, of which Slack does not tell us who is in
    them, and what is still being written: Slack does not say for which channel, and tells again once it is sent.
    """
    event = body.get("event")
    if not isinstance(event, Mapping) or body.get("is_ext_shared_channel"):
        return None
    user, channel, ts, identifier, source = (
        _text(event, name) for name in ("user", "channel", "message_ts", "unfurl_id", "source")
    )
    if source == "composer" or channel == "COMPOSER" or not channel.startswith(("C", "G")) or not user:
        return None
    found: dict[Linked, str] = {}
    told = event.get("links")
    for link in told if isinstance(told, list) else ():
        url = _text(link, "url")
        if meant := links.read(url):
            found.setdefault(meant, url)
    place = {"unfurl_id": identifier, "source": source} if identifier and source else {"channel": channel, "ts": ts}
    kept = dict(list(found.items())[:MOST])
    return Pasted(user, channel, place, kept) if kept and all(place.values()) else None


def _text(given: Any, name: str) -> str:
    value = given.get(name) if isinstance(given, Mapping) else None
    return value if isinstance(value, str) else ""


async def _unfurl(desk: Desk, message: Pasted) -> None:
    """Show what may be shown; whatever keeps us from it, the links stay as they are."""
    if (await desk.people.person(message.user)).standing is not Standing.MEMBER:
        log.info("links left alone", because="not pasted by a full member", user=message.user)
        return
    if await desk.people.settled_readers(message.channel) is not Readers.OURS:
        log.info("links left alone", because="the channel is shared", channel=message.channel)
        return
    drawn = await asyncio.gather(*(_card(desk, meant) for meant in message.links))
    cards = {url: card for url, card in zip(message.links.values(), drawn, strict=True) if card}
    if not cards:
        return
    try:
        async for attempt in stamina.retry_context(on=_again, attempts=3, timeout=30):
            with attempt:
                await desk.notifier.unfurl(message.place, cards)
    except SlackError as error:
        log.warning("links not unfurled", channel=message.channel, reason=error.reason, mend=error.next_step)


async def _card(desk: Desk, meant: Linked) -> dict[str, Any] | None:
    ask = desk.zof.run if meant.kind == "run" else desk.zof.result
    try:
        return glimpse(await ask(meant.id, patience=PATIENCE))
    except ZofError as error:
        log.info("link leads to nothing that Zof shows", kind=meant.kind, id=meant.id, cause=error.sentence,
                 request_id=error.request_id)  # fmt: skip
        return None


def _again(error: Exception) -> bool | float:
    """Whether the same may be tried again, and after how many seconds."""
    if isinstance(error, SlackDeferred):
        return error.retry_after if error.retry_after <= 10 else False
    if isinstance(error, SlackRefused):
        return 1.0 if error.reason == TOO_EARLY else False
    return isinstance(error, SlackUnknown)

"""Link previews: cards below pasted links to runs and results, in channels whose readers may see them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown, ZofbotError, ZofError
from zofbot.domain.permissions import Membership
from zofbot.domain.text import unescape_entities
from zofbot.listeners.context import ListenerContext
from zofbot.listeners.listener_table import ListenerTable
from zofbot.retries import RetryLimits, call_with_retries
from zofbot.slack.directory import Readers
from zofbot.slack.links import LinkTarget, ZofLinks
from zofbot.slack.views.unfurl import unfurl_card
from zofbot.zof.client import TimeBudget

log = structlog.get_logger()

MAX_CARDS = 5
"""Maximum cards below one message."""

CARD_TIME_BUDGET = TimeBudget(15, background=True)
"""A background budget: the rest of the quota is reserved for people's requests."""

UNFURL_LIMITS = RetryLimits(3, 30)
"""Attempts to show the cards, and the seconds for them."""

MAX_UNFURL_WAIT_SECONDS = 10.0
"""A longer wait that Slack asks for is not waited for."""

UNFURL_PAUSE_SECONDS = 1.0
"""Seconds from an attempt that Slack was not ready for, or did not confirm, to the next one."""

TOO_EARLY_REASON = "cannot_unfurl_url"
"""Slack's reason for, among others, calls before it has processed the acknowledgement."""


@dataclass(frozen=True)
class PastedLinks:
    """Links in one message: its author, channel and Slack reference (``place``), and the first link to each target."""

    user: str
    channel: str
    place: Mapping[str, str]
    links: Mapping[LinkTarget, str]


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register the link event (https://docs.slack.dev/reference/events/link_shared); acknowledged before unfurling."""

    async def handle_links(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        await ack()
        found = parse_links(body, context.links)
        if found:
            context.background_tasks.start(_unfurl_links(context, found))

    table.events["link_shared"] = handle_links


def parse_links(body: Mapping[str, Any], links: ZofLinks) -> PastedLinks | None:
    """Parse the event; None if no card may be shown, or no link matches a template.

    Slack escapes ``&`` in these URLs (https://github.com/slackapi/python-slack-events-api/issues/49). Believed: it
    takes cards for the URLs as they came, which is what Sentry sends (``sentry/integrations/slack/unfurl``).

    Skipped are channels shared with other organizations, direct messages (Slack does not say who is in them), and
    drafts: Slack does not say for which channel, and sends the event again once the message is posted.
    """
    event = body.get("event")
    if not isinstance(event, Mapping) or body.get("is_ext_shared_channel"):
        return None
    user, channel, ts, identifier, source = (
        _string_field(event, name) for name in ("user", "channel", "message_ts", "unfurl_id", "source")
    )
    if source == "composer" or channel == "COMPOSER" or not channel.startswith(("C", "G")) or not user:
        return None
    found: dict[LinkTarget, str] = {}
    shared_links = event.get("links")
    for link in shared_links if isinstance(shared_links, list) else ():
        url = _string_field(link, "url")
        if target := links.match_template(unescape_entities(url)):
            found.setdefault(target, url)
    place = {"unfurl_id": identifier, "source": source} if identifier and source else {"channel": channel, "ts": ts}
    kept = dict(list(found.items())[:MAX_CARDS])
    return PastedLinks(user, channel, place, kept) if kept and all(place.values()) else None


def _string_field(given: Any, name: str) -> str:
    value = given.get(name) if isinstance(given, Mapping) else None
    return value if isinstance(value, str) else ""


async def _unfurl_links(context: ListenerContext, message: PastedLinks) -> None:
    """Show the cards if the author and the channel's readers may see them; otherwise leave the links as they are."""
    if (await context.people.load_person(message.user)).membership is not Membership.MEMBER:
        log.info("links not unfurled", cause="not pasted by a full member", user=message.user)
        return
    if await context.people.wait_for_readers(message.channel) is not Readers.OURS:
        log.info("links not unfurled", cause="the channel is shared", channel=message.channel)
        return
    rendered = await asyncio.gather(*(_build_card(context, target) for target in message.links))
    cards = {url: card for url, card in zip(message.links.values(), rendered, strict=True) if card}
    if not cards:
        return
    try:
        await call_with_retries(
            lambda: context.notifier.unfurl_links(message.place, cards), _retry_delay, UNFURL_LIMITS, context.clock
        )
    except SlackError as error:
        log.warning("links not unfurled", channel=message.channel, reason=error.reason, fix=error.next_step)


async def _build_card(context: ListenerContext, target: LinkTarget) -> dict[str, Any] | None:
    ask = context.zof.get_run if target.kind == "run" else context.zof.get_result
    try:
        return unfurl_card(await ask(target.id, time_budget=CARD_TIME_BUDGET))
    except ZofError as error:
        log.info("linked item not read", kind=target.kind, id=target.id, cause=error.sentence,
                 request_id=error.request_id)  # fmt: skip
        return None


def _retry_delay(error: ZofbotError) -> float | None:
    """Return the seconds until the next attempt, or None if that cannot help."""
    if isinstance(error, SlackDeferred):
        return error.retry_after if error.retry_after <= MAX_UNFURL_WAIT_SECONDS else None
    is_too_early = isinstance(error, SlackRefused) and error.reason == TOO_EARLY_REASON
    return UNFURL_PAUSE_SECONDS if is_too_early or isinstance(error, SlackUnknown) else None

"""Sharing: posts a card of a result or run to the channel once, with the name of the person who shared it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown, StoreUnavailable, ZofbotError
from zofbot.domain.model import Result, Run
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import display_name
from zofbot.listeners.lookups import failed_results
from zofbot.notifications.notification import Receipt
from zofbot.retries import RetryLimits, call_with_retries
from zofbot.slack.client import message_metadata
from zofbot.slack.directory import Readers
from zofbot.slack.fallback import send_or_simplify
from zofbot.slack.history import CLOCK_SKEW_SECONDS, HISTORY_LAG_SECONDS
from zofbot.slack.shared_channels import redact_result, redact_run
from zofbot.slack.views import cards
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.replies import share_replies
from zofbot.store import SharedCard

log = structlog.get_logger()

_NO_ACCESS_REASONS = frozenset({"not_in_channel", "channel_not_found"})
"""Reasons after which only the response URL can post."""

SHARE_LIMITS = RetryLimits(4, 40)
"""Attempts to post a card, and the seconds for them: fewer than ``MAX_POSTING_SECONDS``, for which others wait."""

MAX_SHARE_WAIT_SECONDS = 10.0
"""A longer wait that Slack asks for is not waited for."""

REDACTED_ROUND = "redacted"
"""Part of the key of a card without details, so that the card with them can be shared later."""


def share_key(identifier: str, outcome: str, channel: str, round_: str = "") -> str:
    """Return a shared card's idempotency key; a typed ``share`` and a redacted card have a ``round_`` of their own."""
    return ":".join(part for part in ("share", identifier, outcome, round_, channel) if part)


async def share_by_button(
    context: ListenerContext, requester: Requester, identifier: str, *, is_run: bool = False
) -> Message:
    """Share a result or run unless it was shared here with the same outcome in the last day. Raises ZofbotError."""
    requester = replace(requester, name=await display_name(context, requester))
    shared = await (context.zof.get_run(identifier) if is_run else context.zof.get_result(identifier))
    card, is_redacted = await _build_card(context, requester, shared)
    place = _place_of(shared, requester.channel, is_redacted=is_redacted)
    now = context.clock.time()
    is_claimed, earlier = await context.store.begin_share(place, SharedCard(requester.user, requester.name, now))
    if earlier and not is_claimed:
        if earlier.done:
            return share_replies.already_shared_reply(
                earlier.name, now - earlier.at, earlier.link, is_redacted=is_redacted
            )
        return share_replies.share_running_reply(earlier.name)
    try:
        link = await post_card(context, requester, card, place, maybe_since=earlier.maybe_since if earlier else None)
    except (SlackDeferred, SlackRefused):  # certainly not posted: earlier attempts were searched for
        await context.store.cancel_share(place)
        raise
    await _end_share(context, requester, place, link)
    return share_replies.shared_reply(link, is_redacted=is_redacted)


async def share_by_command(context: ListenerContext, requester: Requester, identifier: str) -> Message:
    """Share a result each time that somebody types ``share``, once per request. Raises ZofbotError."""
    requester = replace(requester, name=await display_name(context, requester))
    result = await context.zof.get_result(identifier)
    card, is_redacted = await _build_card(context, requester, result)
    link = await post_card(
        context, requester, card, share_key(result.id, result.outcome, requester.channel, requester.request)
    )
    await _end_share(context, requester, _place_of(result, requester.channel, is_redacted=is_redacted), link)
    return share_replies.shared_reply(link, is_redacted=is_redacted)


def _place_of(shared: Result | Run, channel: str, *, is_redacted: bool) -> str:
    """Return the key of what was shared in a channel last, by buttons and by command."""
    return share_key(shared.id, shared.outcome, channel, REDACTED_ROUND if is_redacted else "")


async def _end_share(context: ListenerContext, requester: Requester, place: str, link: str) -> None:
    """Store that a card was posted, so that later shares can link to it; if Redis does not, it is posted anyway."""
    share = SharedCard(requester.user, requester.name, context.clock.time(), done=True, link=link)
    try:
        await context.store.end_share(place, share)
    except StoreUnavailable as error:
        log.warning("share not stored", key=place, error=error.sentence)


async def _build_card(context: ListenerContext, requester: Requester, shared: Result | Run) -> tuple[Message, bool]:
    """Build the card, redacted for a shared channel.

    Return it, and whether details are left out because the bot may not see who reads the channel: once it may, the card
    can be shared again. Raises SlackDeferred if the readers are not known in time.
    """
    readers = (
        Readers.OURS
        if context.settings.zofbot_shared_details
        else await context.people.wait_for_readers(requester.channel)
    )
    if readers is Readers.UNKNOWN:
        raise SlackDeferred(
            "no_readers", "Slack can't say right now who can read this channel.", "Share it again in a moment."
        )

    are_ours = readers is Readers.OURS
    if isinstance(shared, Result):
        found, results = [shared], [shared if are_ours else redact_result(shared)]
        card = cards.result_card(results[0], context.links, by=requester.name)
    else:
        found, more = await failed_results(context, shared)
        run, results = (shared, found) if are_ours else (redact_run(shared), list(map(redact_result, found)))
        card = cards.run_card(run, results, context.links, more=more, by=requester.name)
    return card, readers is Readers.UNSEEN and results != found


async def post_card(
    context: ListenerContext, requester: Requester, card: Message, place: str, maybe_since: float | None = None
) -> str:
    """Post a card under the key ``place`` and return its permalink, empty if unknown.

    If the bot is not in the channel, the card is posted through the request's ``response_url``. ``maybe_since`` (Unix
    seconds) is the time of an earlier attempt whose outcome is unknown. Raises SlackError.
    """
    meta = message_metadata(place, shared_by=requester.user)
    try:
        receipt = await send_or_simplify(
            lambda shown: _send_card(context, requester.channel, shown, meta, maybe_since), card
        )
    except SlackRefused as error:
        if error.reason not in _NO_ACCESS_REASONS or not requester.response_url:
            raise
        url = requester.response_url
        await send_or_simplify(lambda shown: context.notifier.respond_in_channel(url, shown, meta), card)
        return ""
    try:
        return await context.notifier.fetch_permalink(receipt)
    except SlackError as error:  # posted; only the permalink is missing
        log.warning("no permalink", reason=error.reason, channel=receipt.channel)
        return ""


async def _send_card(
    context: ListenerContext, channel: str, card: Message, meta: dict[str, Any], maybe_since: float | None
) -> Receipt:
    """Post a card with retries; search for it first if an earlier attempt may have succeeded."""
    began = context.clock.time()
    place = meta["event_payload"]["key"]

    async def post_unless_found() -> Receipt:
        nonlocal maybe_since
        if maybe_since is not None and (
            found := await _find_card(context, channel, place, maybe_since - CLOCK_SKEW_SECONDS)
        ):
            return found
        try:
            return await context.notifier.post_message(channel, card, meta)
        except SlackUnknown:
            maybe_since = began if maybe_since is None else maybe_since
            raise

    return await call_with_retries(post_unless_found, _retry_delay, SHARE_LIMITS, context.clock)


async def _find_card(context: ListenerContext, channel: str, place: str, since: float) -> Receipt | None:
    """Find a card that may have been posted. Raises SlackUnknown if the search fails; then nothing may be posted."""
    try:
        return await context.notifier.find_message(channel, place, since)
    except SlackRefused as error:
        raise SlackUnknown(
            f"cannot look: {error.reason}",
            "Slack didn't confirm the message, and zofbot can't check whether it was posted.",
            "If it wasn't, invite zofbot with `/invite @zofbot` and share again.",
        ) from error
    except SlackDeferred as busy:
        raise SlackUnknown(
            f"cannot look: {busy.reason}",
            "Slack didn't confirm the message and is too busy to check.",
            "Share again in a few minutes. It won't be posted twice.",
        ) from busy


def _retry_delay(error: ZofbotError) -> float | None:
    """Return the seconds until the next attempt, or None if that cannot help."""
    if isinstance(error, SlackDeferred):
        return error.retry_after if error.retry_after <= MAX_SHARE_WAIT_SECONDS else None
    return HISTORY_LAG_SECONDS if isinstance(error, SlackUnknown) else None

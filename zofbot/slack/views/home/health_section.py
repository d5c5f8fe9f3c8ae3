"""App Home's section on the bot's health, with the dead letters."""

from __future__ import annotations

from collections.abc import Iterable

from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.slack.errors import EXPLANATIONS
from zofbot.slack.views.blocks import (
    Block,
    build_button,
    context_block,
    plain_text,
    section_block,
)
from zofbot.slack.views.components import format_moment, paragraph_blocks
from zofbot.slack.views.home.channel_sections import channel_mention
from zofbot.slack.views.home.home_data import BotHealth, HomeData, ZofProblem

RETRY_ACTION_ID = "zof_home_retry"
"""``action_id`` of the button that retries a dead letter."""

MAX_DEAD_LETTERS = 5


def health_section(home: HomeData) -> list[Block]:
    """Return the state of Zof, Redis, poller and delivery, then the dead letters."""
    lines = list(_health_lines(home))
    bad = sum(line.startswith("⚠️") for line in lines)
    title = f"*Health*: {'OK' if not bad else count_noun(bad, 'problem')}"
    return [section_block(title), *paragraph_blocks(lines), *dead_letter_rows(home)]


def _health_lines(home: HomeData) -> Iterable[str]:
    health = home.health
    yield _problem_line(health.zof) if health.zof else "✅ Zof: OK"
    yield from map(_problem_line, health.lacking)
    if health.store:
        yield f"⚠️ {text.escape_mrkdwn(health.store, 300)} Stored data isn't shown here. Nothing is lost."
        return
    yield "✅ Redis: OK"
    yield _poller_line(health)
    yield _slack_line(health)
    if health.dead:
        yield f"⚠️ {count_noun(health.dead, 'notification')} couldn't be delivered."


def _problem_line(trouble: ZofProblem) -> str:
    asked = (
        f"Request ID: {text.inline_code(trouble.request_id)}" if trouble.request_id else "Zof returned no request id."
    )
    since = f" ({format_moment(trouble.since)})" if trouble.since else ""
    return f"⚠️ Zof: {text.escape_mrkdwn(trouble.sentence, 400)}{since} {asked}"


def _poller_line(health: BotHealth) -> str:
    if not health.polled:
        return "⏳ First poll of Zof in progress." if health.polling else "⚠️ Zof isn't polled: start `zofbot worker`."
    last = f"Last full poll: {format_moment(health.polled)}"
    if health.late or not health.polling:
        return f"⚠️ {last}{'' if health.polling else '. No worker is polling: start `zofbot worker`'}."
    return f"✅ {last}."


def _slack_line(health: BotHealth) -> str:
    waits = f"{count_noun(health.waiting, 'notification')} queued"
    if health.paused:
        unexplained = (f"Slack rejects all messages ({text.escape_line(health.paused, 80)}).",)
        explanation = EXPLANATIONS.get(health.paused, unexplained)[0]
        return f"⚠️ Slack: {explanation} {waits}."
    if health.parked:
        return f"⚠️ Slack: {count_noun(health.parked, 'channel')} can't be posted to; {waits}."
    return f"✅ Slack: OK, {waits}" if health.waiting else "✅ Slack: OK, nothing queued"


def dead_letter_rows(home: HomeData) -> list[Block]:
    """Return dead letters with retry buttons, for people who may retry them."""
    if not home.retries or not home.health.letters:
        return []
    blocks = []
    for letter in home.health.letters[:MAX_DEAD_LETTERS]:
        since = f" · {format_moment(letter.since)}" if letter.since else ""
        retry = build_button("Retry", RETRY_ACTION_ID, {"key": letter.key}, aloud="Retry this notification")
        which = f"{channel_mention(letter.channel)} {text.inline_code(letter.key, 300)}"
        sentence = f"💀 {which}\n{text.escape_line(letter.reason, 200)}{since}"
        blocks.append(section_block(sentence, retry and retry | {"confirm": _RETRY_CONFIRMATION}))
    more = home.health.dead - len(blocks)
    return [*blocks, *([context_block(f"and {more} more: `zofbot outbox list --state dead`")] if more > 0 else [])]


_RETRY_CONFIRMATION: Block = {
    "title": plain_text("Retry this notification?"),
    "text": plain_text("zofbot first checks whether it was already posted."),
    "confirm": plain_text("Retry"),
    "deny": plain_text("Cancel"),
}

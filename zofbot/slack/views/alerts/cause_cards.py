"""The card of a cause in ``group:cause``: what failed, how often, where, and the current state."""

from __future__ import annotations

from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.alert_payloads import AlertStatus
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.slack.views.alerts.alert_cards import history_lines
from zofbot.slack.views.blocks import Message, context_block, header_block
from zofbot.slack.views.components import (
    failure_blocks,
    format_moment,
    lookup_button,
    meta_block,
    paragraph_blocks,
    with_mentions,
)
from zofbot.slack.views.outcomes import OUTCOME_STYLES
from zofbot.slack.views.render_context import RenderContext
from zofbot.slack.views.triage.triage_controls import CardOptions, control_blocks
from zofbot.slack.views.triage.triage_status import STATE_STYLES

MAX_PLACES_SHOWN = 3
"""Projects and environments listed on the card; the thread has them all."""


def cause_alert_card(body: StormPayload, context: RenderContext) -> Message:
    """Render the message of one cause over runs, projects and environments."""
    cause, look = body.causes[0], OUTCOME_STYLES[body.causes[0].example.outcome]
    word, emoji, color = look.word or "Failed", look.emoji, look.color
    if context.present.state in STATE_STYLES:
        word, emoji, color = STATE_STYLES[context.present.state]
    elif body.standing is AlertStatus.AGAIN or body.resolved:
        word = "Failing again"
    sentence, counts = f"{word}: {body.heading}", _counts_text(body)
    offers = CardOptions(bool(body.policy.escalate))
    title = text.escape_line(cause.example.title or cause.example.id, 150)
    below = [
        *paragraph_blocks(
            [f"*{counts} · 1 cause*", f"for example *{title}*", *place_lines(body)],
            lookup_button("View details", "zof_result", cause.example.id, "View one of these results"),
        ),
        *failure_blocks(cause.example),
        *paragraph_blocks(history_lines(body, context.present)),
        *control_blocks(context.failure_ref, context.present, offers),
        *([context_block(_NOBODY_MENTIONED)] if body.unmentioned else []),
        meta_block(
            f"Cause {text.inline_code(cause.signature)}",
            format_moment(body.since, "since "),
            format_moment(body.failed, "last "),
            f"{_open_text(body)} Actions here apply wherever the cause is seen.",
        ),
    ]
    line = " · ".join((text.escape_line(sentence, 200), counts))
    top = [header_block(text.clean_literal(f"{emoji} {sentence}", 150))]
    return with_mentions(line, top, color, below, body.mention)


_NOBODY_MENTIONED = "No mention here: the same people were already mentioned twice this minute."


def _counts_text(body: StormPayload) -> str:
    """Return how many failures there are, in how many projects."""
    projects = {project for project, _, _ in body.places}
    where = f" in {len(projects)} projects" if len(projects) > 1 else ""
    return f"{count_noun(body.failures, 'failure')}{where}"


def place_lines(body: StormPayload) -> list[str]:
    """Return the failures in each project and environment, those with most first."""
    shown, hidden = body.places[:MAX_PLACES_SHOWN], body.places[MAX_PLACES_SHOWN:]
    more = body.elsewhere + sum(count for *_, count in hidden)
    rows = (f"*{location_text(project, environment)}*: {count}" for project, environment, count in shown)
    return [*rows, f"and {more} elsewhere" if more else ""]


def _open_text(body: StormPayload) -> str:
    if not body.open:
        return "All its cases have passed."
    if body.members == 1:
        return "It recovers when all its cases have passed."
    return f"Open in {body.open} of {body.members} places."


def location_text(project: str, environment: str) -> str:
    """Return project and environment in one line."""
    known = [part for part in (text.escape_line(project, 85), text.escape_line(environment, 85)) if part]
    return " · ".join(known) or "unknown location"

"""App Home view: failures that need attention, statistics, subscriptions and health, within Slack's limits."""

from __future__ import annotations

from zofbot.domain.commands import SLASH_COMMAND, VERBS
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    Block,
    context_block,
    field_blocks,
    header_block,
    section_block,
)
from zofbot.slack.views.components import format_moment
from zofbot.slack.views.home.channel_sections import cause_section, failure_section, mute_section, subscription_section
from zofbot.slack.views.home.health_section import health_section
from zofbot.slack.views.home.home_data import DailyStats, HomeData
from zofbot.slack.views.home.run_sections import progress_section, schedule_section
from zofbot.slack.views.replies import error_replies

CONSOLE_ONLY_NOTE = "Coverage, risk and specifications are only in the Zof Console."
"""What App Home lacks, and why (https://zof.ai/docs/reliability/risk, https://zof.ai/docs/specifications)."""

MAX_HOME_BLOCKS = 100
"""Maximum blocks (https://docs.slack.dev/reference/views/home-tab-views); all sections together have fewer."""


def render_home(home: HomeData) -> Block:
    """Render the view."""
    known = not home.health.store
    parts = (
        failure_section("Assigned to you", home.mine, home.now) if known else [],
        failure_section("Unacknowledged in your channels", home.waiting, home.now) if known else [],
        cause_section(home) if known else [],
        progress_section(home),
        schedule_section(home),
        subscription_section(home) if known else [],
        mute_section(home) if known else [],
        health_section(home),
    )
    blocks = [
        *home.note,
        header_block(_headline_text(home)),
        *field_blocks(_stats_fields(home)),
        *(block for part in parts if part for block in ({"type": "divider"}, *part)),
        context_block(
            f"As{format_moment(home.now, ' of ')}. `{SLASH_COMMAND} help` lists commands, "
            f"`{SLASH_COMMAND} triage all` open failures in all channels. {CONSOLE_ONLY_NOTE}"
        ),
    ]
    return {"type": "home", "blocks": blocks[:MAX_HOME_BLOCKS]}


def guest_view(doubt: str = "") -> Block:
    """Render the view for people not known to be full members of the workspace; ``doubt`` says why."""
    verbs = (VERBS[name] for name in ("result", "run", "runs", "help"))
    return {
        "type": "home",
        "blocks": [
            header_block("Zof in Slack"),
            section_block("Type these in a channel. Only you see the replies."),
            *(section_block(f"`{SLASH_COMMAND} {text.escape_mrkdwn(verb.usage)}`\n{verb.does}") for verb in verbs),
            context_block(
                text.escape_line(doubt, 500) if doubt else "Full members of this workspace see runs and failures here."
            ),
        ],
    }


def fallback_view() -> Block:
    """Render the fallback for when Slack rejects the full view's layout."""
    sentence = f"Slack rejected the full view. The reason is in the log. Use `{SLASH_COMMAND} triage all` instead."
    return {"type": "home", "blocks": [header_block("Zof in Slack"), section_block(sentence)]}


def unexpected_error_view(reference: str) -> Block:
    """Render the view for an unexpected error; the log has ``reference`` with the traceback."""
    return {
        "type": "home",
        "blocks": [
            *error_replies.unexpected_error_reply(reference).blocks,
            context_block(f"`{SLASH_COMMAND} help` still works."),
        ],
    }


def _headline_text(home: HomeData) -> str:
    waiting = home.waiting.total
    if home.health.store:
        return "⚠️ zofbot's store isn't responding"
    if not home.rooms:
        return "⚠️ Slack didn't return your channels"
    if not waiting and not home.mine.total:
        return "🌤️ No open failures for you"
    parts = [count_noun(waiting, "unacknowledged failure")] if waiting else []
    parts += [f"{home.mine.total} assigned to you"] if home.mine.total else []
    return f"🔥 {', '.join(parts)}"


def _stats_fields(home: HomeData) -> list[tuple[str, str]]:
    """Return the headline statistics as labels and values; unknown ones are left out."""
    shown: list[tuple[str, str]] = []
    if home.figures:
        over = "over " if home.figures.cut else ""
        shown = [("Runs in 24 h", f"{over}{home.figures.runs}"), ("Pass rate", _pass_rate_text(home.figures))]
    elif not home.health.zof:
        shown = [("Runs in 24 h", "⏳ Loading…")]
    if home.health.store:
        return shown
    if home.rooms:
        age = text.describe_duration(max(home.now - home.since, 1)) if home.since is not None else "none"
        shown += [("Open in your channels", str(home.open)), ("Oldest unacknowledged", age)]
    lag = text.describe_duration(home.health.oldest) if home.health.oldest >= 1 else "none"
    return [*shown, ("Delivery lag", lag)]


def _pass_rate_text(figures: DailyStats) -> str:
    if figures.pass_rate is None:
        return "no finished runs"
    squares = round(figures.pass_rate * 10)
    squares = min(max(squares, int(figures.passed > 0)), 10 - int(figures.bad > 0))
    return f"{format_percent(figures.pass_rate)} {'🟩' * squares}{'🟥' * (10 - squares)}"


def format_percent(part: float) -> str:
    """Format a share (0 to 1) as a whole percentage; only exactly 0 and 1 become 0% and 100%."""
    return f"{min(max(round(part * 100), int(part > 0)), 100 - int(part < 1))}%"

"""Digest message: totals, a chart of the pass rate, failing, slow and flaky cases, open failures."""

from __future__ import annotations

from typing import Any

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.digest_payload import CaseCount, DigestPayload
from zofbot.slack.views.blocks import Block, Message, context_block, field_blocks, header_block, section_block
from zofbot.slack.views.case_history import standings_text
from zofbot.slack.views.components import format_moment, paragraph_blocks
from zofbot.slack.views.home.home_view import format_percent
from zofbot.subscriptions.digest_schedule import DigestSetting, format_schedule

SPARKLINE_LEVELS = "▁▂▃▄▅▆▇█"
MAX_CHART_LABEL_CHARS = 20
"""Maximum length of a label (https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block)."""


PREVIEW_NOTE = "Preview of the next digest. Only you see this."
"""Shown above a preview, which the channel does not get."""


def digest_message(body: DigestPayload, above: str = "") -> Message:
    """Render a digest, below the line ``above`` (mrkdwn) if given."""
    title = f"{body.every.capitalize()} digest"
    sentence = " · ".join(filter(None, (f"{title}: {_runs_text(body)}", trend_sparkline(body), _open_text(body))))
    top = [*([section_block(above)] if above else []), header_block(f"📊 {title}"), *field_blocks(_digest_fields(body))]
    below = [
        *_cause_blocks(body),
        *_case_list("Most failing", body.failing, _failing_text),
        *_case_list("Possibly flaky (failed, then passed)", body.flaky, _flaky_text),
        *_case_list("Slowest", body.slowest, _slow_text),
        context_block(*_digest_notes(body), *([] if above else [f"`{SLASH_COMMAND} digest off` stops it."])),
    ]
    bare = Message(sentence, [*top, *_sparkline_blocks(body), *below])
    chart = _chart_block(body)
    return Message(sentence, [*top, chart, *below], instead=bare) if chart else bare


def _runs_text(body: DigestPayload) -> str:
    if body.pass_rate is None:
        return "no finished runs" if body.runs else "no runs"
    return f"{count_noun(body.runs, 'run')}, {format_percent(body.pass_rate)} passed"


def _open_text(body: DigestPayload) -> str:
    return f"{count_noun(body.open, 'failure')} open" if body.open else "no open failures"


def _digest_fields(body: DigestPayload) -> list[tuple[str, str]]:
    kinds = (("passed", body.passed), ("failed", body.failed), ("error", body.error), ("other", body.other))
    parts = ", ".join(f"{number} {word}" for word, number in kinds if number)
    age = (
        f", the oldest for {text.describe_duration(max(body.until - body.oldest, 1))}"
        if body.oldest is not None
        else ""
    )
    asleep = f", {body.snoozed} snoozed" if body.snoozed else ""
    return [
        ("Runs", f"{body.runs}: {parts}" if parts else str(body.runs)),
        ("Pass rate", format_percent(body.pass_rate) if body.pass_rate is not None else ""),
        ("Results", f"{body.results}, {body.bad} failed" if body.results else ""),
        ("Open here", f"{body.open}{age}{asleep}"),
        ("Median time to acknowledge", _duration_text(body.answered)),
        ("Median time to close", _duration_text(body.ended)),
    ]


def _duration_text(seconds: float | None) -> str:
    return text.describe_duration(max(seconds, 1)) if seconds is not None else ""


def _chart_block(body: DigestPayload) -> Block | None:
    """Return the trend as a line chart; None for fewer than two points or ambiguous labels."""
    points = [
        (point.label[:MAX_CHART_LABEL_CHARS], round(100 * point.pass_rate, 1))
        for point in body.trend
        if point.pass_rate is not None
    ]
    names = {name for name, _ in points if name}
    if len(points) < 2 or len(names) < len(points):
        return None
    data = [{"label": name, "value": value} for name, value in points]
    axes = {"categories": [name for name, _ in points], "y_label": "% passed"}
    series = [{"name": "Pass rate", "data": data}]
    return {
        "type": "data_visualization",
        "title": "Pass rate by day" if body.every == "weekly" else "Pass rate by time of day",
        "chart": {"type": "line", "series": series, "axis_config": axes},
    }


def trend_sparkline(body: DigestPayload) -> str:
    """Return the trend as a text sparkline, with a dot where no run ended; empty if none did at all."""
    rates = [point.pass_rate for point in body.trend]
    if all(rate is None for rate in rates):
        return ""
    return "".join(
        "·" if rate is None else SPARKLINE_LEVELS[min(int(rate * len(SPARKLINE_LEVELS)), len(SPARKLINE_LEVELS) - 1)]
        for rate in rates
    )


def _sparkline_blocks(body: DigestPayload) -> list[Block]:
    signs = trend_sparkline(body)
    if not signs:
        return []
    first, last = body.trend[0].label, body.trend[-1].label
    return [
        section_block(
            f"*Pass rate* `{signs}`\n{text.escape_line(first, 40)} to {text.escape_line(last, 40)}, low to high"
        )
    ]


def _case_list(title: str, cases: tuple[CaseCount, ...], line: Any) -> list[Block]:
    return (
        paragraph_blocks([f"*{title}*", *(f"• {_case_name(case)} · {line(case)}" for case in cases)]) if cases else []
    )


def _cause_blocks(body: DigestPayload) -> list[Block]:
    words = standings_text(body.standings)
    return [
        *([section_block(f"*Alerts here*: {words}")] if words else []),
        *_case_list("Top causes of this channel's alerts", body.causes, _cause_text),
    ]


def _cause_text(cause: CaseCount) -> str:
    return f"{count_noun(cause.times, 'failure')}, open {text.describe_duration(round(max(cause.seconds, 1)))} in total"


def _case_name(case: CaseCount) -> str:
    where = f" ({text.escape_line(case.where, 120)})" if case.where else ""
    return f"{text.escape_line(case.why or case.title, 120) or 'unnamed case'}{where}"


def _failing_text(case: CaseCount) -> str:
    return f"{case.times} of {case.of} failed"


def _flaky_text(case: CaseCount) -> str:
    return "once" if case.times == 1 else f"{case.times} times"


def _slow_text(case: CaseCount) -> str:
    return text.describe_duration(case.seconds)


def _digest_notes(body: DigestPayload) -> list[str]:
    notes = [
        f"{format_moment(body.since)} {format_moment(body.until, 'to ')}, "
        + ("scope: this channel's subscriptions." if body.narrowed else "scope: all runs.")
    ]
    if body.back is not None:
        counted = f"only runs and results{format_moment(body.back, ' since ')} are counted in full."
        notes.append(f"✂️ Incomplete: {counted if body.back > body.since else 'Zof has more runs than were read.'}")
    if body.trouble:
        asked = f"Request ID: {text.inline_code(body.request_id)}" if body.request_id else "Zof returned no request id."
        notes.append(f"⚠️ Incomplete. {text.escape_mrkdwn(body.trouble, 300)} {asked}")
    return notes


# --- replies about the setting


def setting_text(regular: DigestSetting | None, due: float) -> str:
    """Describe the channel's digest schedule (mrkdwn); ``due`` (Unix seconds) is the next digest."""
    if regular is None:
        begins = f"`{SLASH_COMMAND} digest daily 09:00` or `{SLASH_COMMAND} digest weekly mon 09:00` starts one."
        return f"No digest in this channel. {begins}"
    by = f", set by {text.escape_line(regular.by_name, 80)}" if regular.by_name else ""
    zone = text.escape_line(regular.rhythm.zone, 60)
    return f"This channel's digest: *{format_schedule(regular.rhythm)}* ({zone}){by}. {_next_text(due)}"


def digest_set_reply(regular: DigestSetting, due: float, caution: str) -> Message:
    """Reply to the person who set the schedule."""
    sentence = f"Digest scheduled {format_schedule(regular.rhythm)} ({text.escape_line(regular.rhythm.zone, 60)})."
    small = [context_block(caution)] if caution else []
    return Message(sentence, [section_block(f"✅ *{sentence}*\n{_next_text(due)}"), *small])


def digest_ended_reply() -> Message:
    """Reply to the person who switched the digest off."""
    sentence = "Digest stopped."
    return Message(sentence, [section_block(f"✅ {sentence}")])


def setting_reply(sentence: str) -> Message:
    """Reply with the setting; a preview follows."""
    return Message(sentence, [section_block(sentence), context_block("⏳ A preview follows.")])


def _next_text(due: float) -> str:
    return f"Next: {format_moment(due)}."

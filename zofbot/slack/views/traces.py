"""Trace messages: a heading and one line per step, all within one message."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.domain.model import utc_datetime
from zofbot.notifications import text
from zofbot.observability.trace_model import Trace, TraceStep
from zofbot.slack.views.blocks import Block, Message, context_block, preformatted_block, section_block

MAX_LINES = 45
"""Maximum lines of one message, divided among its traces; longer traces lose their middle."""

MAX_LINE_CHARS = 160
"""Maximum length of a line; all lines together stay far below Slack's limit for one message."""

LINES_PER_BLOCK = 15
"""Lines per block, which holds up to 3,000 characters."""

KIND_HEADINGS = {"request": "Slack request", "delivery": "Delivery of a", "poll": "Poll of", "webhook": "Webhook"}

RETENTION_NOTE = "Traces are kept for 7 days, or less if there are very many."


def trace_card(name: str, found: Sequence[Trace]) -> Message:
    """Render the traces of one id, oldest first."""
    sentence = f"Trace of {text.escape_mrkdwn(name, 200)}"
    each = max(MAX_LINES // max(len(found), 1), 5)
    blocks = [block for item in found for block in _trace_blocks(item, each)]
    return Message(sentence, [*blocks, context_block(f"Found by {text.inline_code(name, 320)}. {RETENTION_NOTE}")])


def unknown_trace_reply(name: str) -> Message:
    """Reply that there is no trace, with possible reasons and what to do."""
    sentence = f"No trace of {text.inline_code(name, 320)}."
    why = (
        "It may be mistyped, too old, still in progress, or from another bot (another `ZOFBOT_NAMESPACE`). Copy it "
        "from the error and try again, or search the log."
    )
    return Message(f"{sentence} {why}", [section_block(f"🔍 *{sentence}*\n{why}"), context_block(RETENTION_NOTE)])


def trace_heading(trace: Trace) -> str:
    """Return the kind of work and what it was about; not escaped."""
    return f"{KIND_HEADINGS.get(trace.kind, trace.kind)} {trace.what}".strip()


def step_lines(trace: Trace, most: int) -> list[str]:
    """Return at most ``most`` lines, one per step, with omitted middle steps counted; not escaped."""
    shown = [step_line(step) for step in trace.steps]
    if trace.left_out:
        shown.insert(trace.gap, _omission_line(trace.left_out))
    if len(shown) <= most:
        return shown
    first, left = most // 3, len(shown) - most + 1
    return [*shown[:first], _omission_line(left), *shown[first + left :]]


def step_line(step: TraceStep) -> str:
    """Describe a step: end time, component, action, result and facts."""
    facts = {name: f"{name} {value}" for name, value in step.facts.items()}
    for name, sentence in (("ms", "{} ms"), ("waited", "after waiting {} ms")):
        if name in facts:
            facts[name] = sentence.format(step.facts[name])
    outcome = f" → {step.outcome}" if step.outcome else ""
    known = f" ({', '.join(facts.values())})" if facts else ""
    return f"{'✗' if step.bad else '✓'} +{step.at:>6} ms  {step.component}: {step.action}{outcome}{known}"


def _omission_line(count: int) -> str:
    return f"  … {count} {'step' if count == 1 else 'steps'} omitted"


def _trace_blocks(trace: Trace, most: int) -> list[Block]:
    who = f" by <@{trace.user}>" if trace.user.isalnum() else ""
    where = f" in <#{trace.channel}>" if trace.channel.isalnum() else ""
    when = f"{text.format_local_time(utc_datetime(trace.at))} · {text.inline_code(trace.reference)}"
    shown = [
        text.clip_text(text.clean_literal(line, MAX_LINE_CHARS), MAX_LINE_CHARS) for line in step_lines(trace, most)
    ] or ["(no steps)"]
    parts = [shown[at : at + LINES_PER_BLOCK] for at in range(0, len(shown), LINES_PER_BLOCK)]
    title = section_block(f"*{text.escape_line(trace_heading(trace), 150)}*{who}{where}\n{when}")
    return [title, *(preformatted_block("\n".join(part)) for part in parts)]

"""Traces as a person reads them: a heading, and a line a step; all that Slack shows is in one message."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.model import utc
from zofbot.slack import text
from zofbot.slack.message import Block, Message, context, preformatted, section
from zofbot.trace import Step, Trace

LINES = 45
"""Lines of one message, shared by the traces that it shows; longer ones lose their middle."""

WIDTH = 160
"""Characters of a line: all lines together stay far below what Slack shows of one message."""

AT_ONCE = 15
"""Lines of one block, which holds 3,000 characters."""

HEADINGS = {"request": "Slack request", "delivery": "Delivery of a", "poll": "Poll of", "webhook": "Webhook"}

KEPT = "Traces are kept for 7 days, and the oldest go first where there are very many."


def card(name: str, found: Sequence[Trace]) -> Message:
    """The traces under one id, oldest first."""
    said = f"What became of {text.mrkdwn(name, 200)}"
    each = max(LINES // max(len(found), 1), 5)
    blocks = [block for one in found for block in _drawn(one, each)]
    return Message(said, [*blocks, context(f"Found by {text.code(name, 320)}. {KEPT}")])


def unknown(name: str) -> Message:
    """That there is none, what that can mean, and what to do."""
    said = f"There is no trace of {text.code(name, 320)}."
    why = (
        "It may be mistyped, too old, still under way, or of another zofbot (another `ZOFBOT_NAMESPACE`). Copy it from "
        "the error itself and try again, or look for it in the log."
    )
    return Message(f"{said} {why}", [section(f"🔍 *{said}*\n{why}"), context(KEPT)])


def heading(trace: Trace) -> str:
    """What kind of work it was; not escaped."""
    return f"{HEADINGS.get(trace.kind, trace.kind)} {trace.what}".strip()


def lines(trace: Trace, most: int) -> list[str]:
    """Its steps, a line each and at most so many, the middle left out and counted; not escaped."""
    shown = [line(one) for one in trace.steps]
    if trace.left_out:
        shown.insert(trace.gap, _missing(trace.left_out))
    if len(shown) <= most:
        return shown
    first, left = most // 3, len(shown) - most + 1
    return [*shown[:first], _missing(left), *shown[first + left :]]


def line(step: Step) -> str:
    """When it had ended, who took it, what it did, what came of it, and the facts that are known."""
    facts = {name: f"{name} {value}" for name, value in step.facts.items()}
    for name, said in (("ms", "{} ms"), ("waited", "after waiting {} ms")):
        if name in facts:
            facts[name] = said.format(step.facts[name])
    came = f" → {step.came}" if step.came else ""
    known = f" ({', '.join(facts.values())})" if facts else ""
    return f"{'✗' if step.bad else '✓'} +{step.at:>6} ms  {step.room}: {step.did}{came}{known}"


def _missing(count: int) -> str:
    return f"  … {count} {'step is' if count == 1 else 'steps are'} left out here"


def _drawn(trace: Trace, most: int) -> list[Block]:
    who = f" by <@{trace.user}>" if trace.user.isalnum() else ""
    where = f" in <#{trace.channel}>" if trace.channel.isalnum() else ""
    when = f"{text.moment(utc(trace.at))} · {text.code(trace.reference)}"
    shown = [text.clip(text.literal(one, WIDTH), WIDTH) for one in lines(trace, most)] or ["(no step was taken)"]
    parts = [shown[at : at + AT_ONCE] for at in range(0, len(shown), AT_ONCE)]
    title = section(f"*{text.line(heading(trace), 150)}*{who}{where}\n{when}")
    return [title, *(preformatted("\n".join(part)) for part in parts)]

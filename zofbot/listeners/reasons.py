"""The card that says why a channel was told of a run, or was not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zofbot.notification import State
from zofbot.pipeline.explanation import Explanation
from zofbot.pipeline.reasons import Answer, Reason
from zofbot.slack import text
from zofbot.slack.cards import in_one_line
from zofbot.slack.message import Message, context, section
from zofbot.slack.pieces import count, moment, paragraphs
from zofbot.slack.verdict import MENDS
from zofbot.store.entry import Entry
from zofbot.verbs import COMMAND

MARKS = {
    Answer.TOLD: "✅", Answer.KNOWN: "✅", Answer.RECOVERED: "✅", Answer.HELD: "💤", Answer.STORM: "🌩️",
    Answer.BELOW: "⏳", Answer.UNFINISHED: "⏳",
}  # fmt: skip


def why(told: Explanation, wishes: Mapping[str, str], standing: Sequence[str], *, watched: bool) -> Message:
    """``wishes`` are the channel's subscriptions as they are typed, by id; ``standing`` says where messages stand."""
    run = told.finding.run
    title = f"Why this channel was told of {text.line(run.title or run.id, 120)}, or was not"
    lines = [_reason(one, wishes.get(one.subscription, "")) for one in told.reasons]
    if not lines:
        lines = [f"This channel has no subscription. For example: `{COMMAND} subscribe project:…`"]
    notes = []
    if watched:
        notes.append("zofbot looks at this run again until it has ended.")
    elif told.expected:
        notes.append("It will be told once zofbot has read it: by a webhook at once, or when it polls.")
    return Message(
        title,
        [section(f"*{title}*\n{in_one_line(run)}"), *paragraphs([*lines, *standing]),
         *([context(*notes)] if notes else []), context(text.code(run.id))],
    )  # fmt: skip


def _reason(reason: Reason, wish: str) -> str:
    named = (
        text.code(wish or "all failures", 300) if wish or reason.subscription != "default" else "the default channel"
    )
    until = f" {moment(reason.until)}" if reason.until else ""
    return f"{MARKS.get(reason.answer, '⏭️')} {named}: {text.line(reason.why, 500)}{until}"


def message(entry: Entry | None, link: str, happened: str) -> str:
    """Where its message stands; ``happened`` is what people made of it."""
    if entry is None:
        return "📌 Its message is not known any more: keys are kept for 30 days."
    match entry.state:
        case State.SENT:
            shown = f"<{link}|Its message>" if link else "Its message"
            return f"📌 {shown} stands in this channel. {happened}".strip()
        case State.SENDING:
            return "📌 Its message is being sent just now."
        case State.DEAD:
            return (
                f"📌 Its message was given up: {text.line(entry.reason, 300)}. An operator finds it by `zofbot outbox`."
            )
        case State.DROPPED:
            return f"📌 Its message was dropped: {text.line(entry.reason, 300)}."
        case _:
            tries = f", after {count(entry.attempts, 'try').replace('trys', 'tries')}" if entry.attempts else ""
            return f"📌 Its message waits{tries}"


def waits(parked: str, paused: str, quiet: float) -> str:
    """Why a message waits: its channel refuses, nothing is sent at all, quiet hours, or Slack's pace."""
    if paused:
        return f"nothing is sent: {MENDS.get(paused, (f'Slack refuses ({text.line(paused, 80)}).', ''))[0]}"
    if parked:
        what, mend = MENDS.get(parked, (f"Slack refuses it ({text.line(parked, 80)}).", ""))
        return f"{what} {mend}".strip()
    if quiet:
        return f"quiet hours end {moment(quiet)}."
    return "Slack takes about one message a second of a channel."

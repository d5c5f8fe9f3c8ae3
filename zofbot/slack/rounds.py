"""The rounds of people on call: what is open, whom an escalation would call, and how a shift went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from zofbot.slack import text
from zofbot.slack.bodies import FailureBody
from zofbot.slack.cards import LOOKS, Window, pages
from zofbot.slack.controls import LOOKS as STATES
from zofbot.slack.controls import REASONS, name, until
from zofbot.slack.message import Message, context, section
from zofbot.slack.pieces import count, moment, paragraphs
from zofbot.triage import Act, State, Triage
from zofbot.triage.shift import Shift, Story
from zofbot.verbs import COMMAND

PAGE_ACTION = "zof_open_page"
MOST = 15
"""Failures, and people, that a handover names of each kind."""

DID = {
    Act.ACKNOWLEDGE: "acknowledged", Act.UNACKNOWLEDGE: "released", Act.CONFIRM: "confirmed", Act.ASSIGN: "assigned",
    Act.SNOOZE: "snoozed", Act.WAKE: "woken", Act.ESCALATE: "escalated", Act.RESOLVE: "resolved",
    Act.REOPEN: "reopened", Act.RELAPSE: "failing again", Act.LAPSE: "unanswered", Act.UNDO: "undone",
    Act.RECOVER: "recovered",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One failure of a list; ``link`` leads to its alert, ``channel`` (an id) is named where it is another."""

    title: str
    body: FailureBody
    present: Triage
    link: str = ""
    channel: str = ""
    storm: bool = False
    """Whether it is part of a storm, whose summary the link leads to."""


@dataclass(frozen=True)
class Members:
    """Who is in a user group: how many, and what the first are called."""

    count: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Caller:
    """One step of an escalation: after so many seconds, these ids; ``members`` of the groups that Slack tells of.

    ``wish`` is the subscription, as it is typed.
    """

    after: int
    mention: tuple[str, ...]
    members: Mapping[str, Members]
    wish: str = ""


NOTHING = {
    "": "Nothing is open in this channel.",
    "mine": "Nothing is yours: no open failure is assigned to you or acknowledged by you.",
    "all": "Nothing is open in any channel that may be shown here.",
}


def open_failures(rows: Sequence[Row], scope: str, window: tuple[int, int], now: float, hidden: int = 0) -> Message:
    """Those of one page, oldest first; ``window`` is the number of the first and how many there are in all."""
    start, total = window
    if not rows:
        said_ = NOTHING[scope]
        also = f"\n{_hidden(hidden)}" if hidden else ""
        return Message(
            said_, [section(f"🌤️ {said_}{also}"), context(f"`{COMMAND} subscriptions` says what is told here.")]
        )
    what = {"": "open in this channel", "mine": "yours", "all": "open in all channels"}[scope]
    title = f"{count(total, 'failure')} {what}"
    listed = [section(row(one, now)) for one in rows]
    notes = [context("Oldest first." + (f" {_hidden(hidden)}" if hidden else ""))]
    more = pages(Window(start, len(rows), total, "failures"), PAGE_ACTION, {"scope": scope})
    return Message(title, [section(f"*{title}*"), *listed, *more, *notes])


def _hidden(hidden: int) -> str:
    return f"{count(hidden, 'failure')} in channels you cannot see {'is' if hidden == 1 else 'are'} not shown here."


def row(one: Row, now: float) -> str:
    """A failure in two lines: what it is, where, how old, whose, and what was last done."""
    state, present = STATES.get(one.present.state), one.present
    emoji = state.emoji if state else LOOKS[one.body.outcome].emoji
    title = text.line(one.title, 150)
    shown = f"<{one.link}|{title}>" if one.link and "|" not in one.link and ">" not in one.link else title
    where = [text.line(one.body.run.project, 60), text.line(one.body.run.environment, 60)]
    place = f"<#{one.channel}>" if one.channel.isalnum() else ""
    age = f"open {text.duration(max(now - (one.body.opened or present.opened or now), 1))}"
    owner = name(present.owner.name) if present.owner.id else "nobody has it"
    storm = "🌩️ in a storm" if one.storm else ""
    parts = [part for part in (*where, place, age, owner, _last(present, now), storm) if part]
    return f"{emoji} *{shown}*\n{' · '.join(parts)}"


def _last(present: Triage, now: float) -> str:
    """The last act, and how long ago; until when it sleeps."""
    if present.did is None:
        return ""
    ago = f"{DID[present.did]} {text.duration(max(now - present.at, 1))} ago"
    return f"{ago}, {until(present.until, present.more)}" if present.state is State.SNOOZED else ago


def on_call(callers: Sequence[Caller]) -> Message:
    """Whom this channel's escalations would call now."""
    if not callers:
        said_ = "Nobody is called from this channel: none of its subscriptions has an `escalate:`."
        return Message(said_, [section(f"💡 {said_}\nFor example: `{COMMAND} subscribe escalate:15m-&gt;@oncall`")])
    lines = [_caller(one) for one in callers]
    said_ = "Who would be called now, while nobody acknowledges"
    return Message(
        said_, [section(f"*{said_}*"), *paragraphs(lines), context("Only you see this: nobody is called by it.")]
    )


def _caller(one: Caller) -> str:
    which = f" · {text.line(one.wish, 200)}" if one.wish else ""
    return f"⏱️ after {text.duration(one.after)}: {', '.join(_called(who, one.members) for who in one.mention)}{which}"


def _called(identifier: str, members: Mapping[str, Members]) -> str:
    """As Slack shows them; this is seen by one person only, so it disturbs nobody."""
    if not identifier.startswith("S"):
        return f"<@{identifier}>"
    known = members.get(identifier)
    if known is None:
        return f"<!subteam^{identifier}> (Slack does not say who is in it)"
    more = f" and {known.count - len(known.names)} more" if known.count > len(known.names) else ""
    return f"<!subteam^{identifier}> ({', '.join(map(name, known.names)) or 'nobody is in it'}{more})"


def handover(told: Shift, by: str) -> Message:
    """How a shift went, for the channel; ``by`` asked for it."""
    counted = {"open": told.open, "snoozed": told.snoozed, "resolved": told.resolved, "recovered": told.recovered}
    title = "Handover: " + ", ".join(f"{len(stories)} {word}" for word, stories in counted.items())
    parts = [
        *_part("Open", told.open, _left),
        *_part("Snoozed", told.snoozed, _asleep),
        *_part("Resolved", told.resolved, _over),
    ]
    speeds = (("acknowledged", told.answered), ("over", told.ended))
    pace = [f"{what} in {text.duration(max(seconds, 1))}" for what, seconds in speeds if seconds is not None]
    facts = [f"Half were {' and '.join(pace)} or less." if pace else "", _people(told.deeds)]
    asked = f"{name(by)} asked for it, since {moment(told.since)}."
    small = context(" ".join(fact for fact in (*facts, asked) if fact))
    return Message(title, [section(f"📌 *{title}*"), *paragraphs(parts), small])


def handed_over(link: str, ago: float) -> Message:
    """What the person who asked is told; ``link`` may be empty."""
    said = "The handover is posted in this channel"
    shown = f"<{link}|{said}>" if link else said
    return Message(f"{said}.", [section(f"📌 {shown}."), context(f"Since {text.duration(ago)} ago.")])


def _part(title: str, stories: Sequence[Story], line: Callable[[Story], str]) -> list[str]:
    more = [f"and {len(stories) - MOST} more"] if len(stories) > MOST else []
    return [f"*{title}*", *(f"• {line(one)}" for one in stories[:MOST]), *more] if stories else []


def _left(one: Story) -> str:
    owner = name(one.present.owner.name) if one.present.owner.id else "nobody has it"
    return f"{text.line(one.title, 150)} · since {moment(one.began)} · {owner}"


def _asleep(one: Story) -> str:
    return f"{text.line(one.title, 150)} · {until(one.present.until, one.present.more)}"


def _over(one: Story) -> str:
    reason = REASONS.get(one.present.reason, "")
    return " · ".join(filter(None, (text.line(one.title, 150), name(one.present.put.name), reason)))


def _people(deeds: Sequence[tuple[str, int]]) -> str:
    worked = ", ".join(f"{name(who)} ({count(number, 'act')})" for who, number in deeds[:MOST])
    return f"At work: {worked}." if worked else ""

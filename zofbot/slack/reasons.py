"""The card that says why a channel was told of a run, or was not: who asked for it, and where its messages stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zofbot.errors import ZofError
from zofbot.model import Run
from zofbot.notification import State
from zofbot.slack import text
from zofbot.slack.acts import happened
from zofbot.slack.answers import request_id
from zofbot.slack.cards import in_one_line
from zofbot.slack.controls import name, until
from zofbot.slack.message import Message, context, section
from zofbot.slack.pieces import count, moment, paragraphs
from zofbot.slack.verdict import MENDS
from zofbot.triage import State as Stage
from zofbot.triage import Triage
from zofbot.verbs import COMMAND

MARKS = {
    "told": "✅", "known": "✅", "recovered": "✅", "held": "💤", "muted": "🔕", "storm": "🌩️", "below": "⏳",
    "unfinished": "⏳",
}  # fmt: skip
"""The rules' word for an answer, and its sign; every other is a no."""

TOLD = {"told", "known", "recovered", "held", "muted", "storm"}
"""Answers after which the channel hears of it, now or later."""

MOST = 20
"""Subscriptions that are gone through."""

NEXT = {
    "heard": "zofbot has heard of this run and reads it as soon as Zof lets it.",
    "watched": "zofbot looks at this run again until it has ended.",
    "expected": "It will be told once zofbot has read it: by a webhook at once, or when it polls.",
}


@dataclass(frozen=True)
class Wish:
    """What one subscription came to: as it is ``typed``, whose it is, the rules' word and their sentence.

    ``until`` (Unix seconds) is when quiet hours or a mute end; ``default``: it is the default channel's.
    """

    answer: str
    why: str
    typed: str = ""
    by: str = ""
    until: float = 0.0
    default: bool = False


@dataclass(frozen=True)
class Stand:
    """Where one message stands; no ``state`` where that is not known any more.

    ``held`` is what keeps it from being sent, ``present`` what people made of the failure. ``joined``: another run had
    begun it, ``storm``: it is the summary of a storm, ``unposted``: it recovered before it was due.
    """

    state: State | None = None
    link: str = ""
    reason: str = ""
    attempts: int = 0
    held: str = ""
    present: Triage | None = None
    joined: bool = False
    storm: bool = False
    unposted: bool = False


def why(run: Run, wishes: Sequence[Wish], stands: Sequence[Stand], now: float, then: str = "") -> Message:
    """All of it; ``then`` says what comes next, by a word of ``NEXT``."""
    told = "told" if any(one.answer in TOLD for one in wishes) else "not told"
    title = f"Why this channel was {told} of {text.line(run.title or run.id, 120)}"
    lines = [*_asked(wishes), *(_standing(one, now) for one in stands)]
    notes = [context(NEXT[then])] if then in NEXT else []
    top = section(f"*{title}*\n{in_one_line(run)}")
    return Message(title, [top, *paragraphs(lines), *notes, context(text.code(run.id))])


def remembered(title: str, wishes: Sequence[Wish], stands: Sequence[Stand], now: float, doubt: ZofError) -> Message:
    """What is known without Zof, which did not say more."""
    said = f"Why you see {text.line(title, 150)}"
    asked = _asked(wishes) if wishes else [
        "The subscription that asked for it has ended, or this is the channel for what no subscription takes."
    ]  # fmt: skip
    lines = [f"*{said}*", *asked, *(_standing(one, now) for one in stands)]
    small = f"This is what zofbot remembers, for Zof was asked in vain: {text.mrkdwn(doubt.sentence, 600)}"
    return Message(said, [*paragraphs(lines), context(small, request_id(doubt, code=True))])


def _asked(wishes: Sequence[Wish]) -> list[str]:
    """Those that led to something first."""
    if not wishes:
        return [f"This channel has no subscription. For example: `{COMMAND} subscribe project:…`"]
    ordered = sorted(wishes, key=lambda one: one.answer not in MARKS)
    left = len(ordered) - MOST
    more = [f"and {count(left, 'subscription')} more that did not lead here"] if left > 0 else []
    return [*map(_wish, ordered[:MOST]), *more]


def _wish(one: Wish) -> str:
    named = "the default channel" if one.default else text.code(one.typed or "all failures", 300)
    by = f" (asked for by {name(one.by)})" if one.by else ""
    ends = f" {moment(one.until)}" if one.until else ""
    return f"{MARKS.get(one.answer, '⏭️')} {named}{by}: {text.line(one.why, 500)}{ends}"


def _standing(one: Stand, now: float) -> str:
    its = "The summary that counts it" if one.storm else "The message that it joined" if one.joined else "Its message"
    reason = text.line(one.reason, 300)
    match one.state:
        case None:
            return f"📌 {its} is not known any more: zofbot forgets what has not changed for 30 days."
        case State.SENT:
            shown = f"<{one.link}|{its}>" if one.link else its
            return f"📌 {shown} stands in this channel. {_people(one.present, now)}".strip()
        case State.SENDING:
            return f"📌 {its} is being sent just now."
        case State.DEAD:
            return f"📌 {its} was given up: {reason}. An operator finds it by `zofbot outbox`."
        case State.DROPPED if one.unposted:
            return f"📌 {its} was left out: It recovered before its channel was to be told, so a summary says it."
        case State.DROPPED:
            return f"📌 {its} was dropped: {reason}."
        case _:
            tried = "once" if one.attempts == 1 else f"{one.attempts} times"
            return f"📌 {its} waits{f', tried {tried}' if one.attempts else ''}: {one.held}"


def _people(present: Triage | None, now: float) -> str:
    """What people made of the failure: the last act, and who put it to sleep until when."""
    if present is None:
        return ""
    asleep = f" It sleeps {until(present.until, present.more)}." if present.state is Stage.SNOOZED else ""
    return f"{happened(present, now)}.{asleep}"


def waits(*, parked: str = "", paused: str = "", muted: float = 0.0, quiet: float = 0.0) -> str:
    """Why a message waits: nothing is sent at all, its channel refuses, a mute, quiet hours, or Slack's pace."""
    if paused:
        return f"nothing is sent, and everything waits. {_mend(paused)}"
    if parked:
        return _mend(parked)
    if muted:
        return f"it is muted until {moment(muted)}."
    if quiet:
        return f"quiet hours end {moment(quiet)}."
    return "Slack takes about one message a second of a channel."


def _mend(reason: str) -> str:
    what, mend = MENDS.get(reason, (f"Slack refuses it ({text.line(reason, 80)}).", ""))
    return f"{what} {mend}".strip()

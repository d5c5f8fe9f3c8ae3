"""The rounds of people on call: what is open, whom an escalation would call, and how a shift went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zofbot.slack import text
from zofbot.slack.bodies import CaseBody, RunBody, said
from zofbot.slack.cards import LOOKS, Window, pages
from zofbot.slack.controls import LOOKS as STATES
from zofbot.slack.controls import REASONS, name, until
from zofbot.slack.message import Message, context, section
from zofbot.slack.pieces import count, moment, paragraphs
from zofbot.triage import Act, State, Triage
from zofbot.triage.shift import Shift, Story
from zofbot.verbs import COMMAND

PAGE_ACTION = "zof_open_page"
SHIFT = "shift"

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
    body: RunBody | CaseBody
    present: Triage
    link: str = ""
    channel: str = ""


@dataclass(frozen=True)
class Caller:
    """One step of an escalation: after so many seconds, these ids; ``members`` are the names of who that is now."""

    after: int
    mention: tuple[str, ...]
    members: Mapping[str, Sequence[str]]
    project: str = ""


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
    listed = [section(_row(one, now)) for one in rows]
    notes = [context("Oldest first." + (f" {_hidden(hidden)}" if hidden else ""))]
    more = pages(Window(start, len(rows), total, "failures"), PAGE_ACTION, {"scope": scope})
    return Message(title, [section(f"*{title}*"), *listed, *more, *notes])


def _hidden(hidden: int) -> str:
    return f"{count(hidden, 'failure')} in private channels {'is' if hidden == 1 else 'are'} not shown here."


def _row(row: Row, now: float) -> str:
    outcome = row.body.case.outcome if isinstance(row.body, CaseBody) else row.body.run.outcome
    state, present = STATES.get(row.present.state), row.present
    emoji = state.emoji if state else LOOKS[outcome].emoji
    title = text.line(row.title, 150)
    shown = f"<{row.link}|{title}>" if row.link and "|" not in row.link and ">" not in row.link else title
    where = [text.line(row.body.run.project, 60), text.line(row.body.run.environment, 60)]
    place = f"<#{row.channel}>" if row.channel.isalnum() else ""
    age = f"open {text.duration(max(now - (row.body.opened or present.opened or now), 1))}"
    owner = name(present.owner.name) if present.owner.id else "nobody has it"
    parts = [part for part in (*where, place, age, owner, _last(present, now)) if part]
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
    who = []
    for identifier in one.mention:
        people = one.members.get(identifier)
        shown = f"<!subteam^{identifier}>" if identifier.startswith("S") else f"<@{identifier}>"
        inside = ", ".join(name(person) for person in (people or ())[:20])
        more = f" and {len(people) - 20} more" if people and len(people) > 20 else ""
        unknown = "nobody is in it" if people is not None else "Slack does not say who is in it"
        group = f" ({inside + more or unknown})" if identifier.startswith("S") else ""
        who.append(f"{shown}{group}")
    which = f" · {text.line(one.project, 200)}" if one.project else ""
    return f"⏱️ after {text.duration(one.after)}: {', '.join(who)}{which}"


def shift_body(told: Shift, by: str, now: float) -> dict[str, Any]:
    """A handover as a notification's body."""
    return {
        "card": SHIFT,
        "by": said(by, 80),
        "since": told.since,
        "now": now,
        "open": [_kept(one) for one in told.open[:15]],
        "snoozed": [_kept(one) for one in told.snoozed[:10]],
        "resolved": [_kept(one) for one in told.resolved[:10]],
        "counts": [len(told.open), len(told.snoozed), len(told.resolved), len(told.recovered)],
        "deeds": [[said(who, 80), number] for who, number in told.deeds[:10]],
        "answered": told.answered,
        "ended": told.ended,
    }


def _kept(one: Story) -> dict[str, Any]:
    present = one.present
    who = present.by.name if present.state.closed else present.owner.name
    return {
        "title": said(one.title, 150), "began": one.began, "who": said(who, 80), "state": present.state.value,
        "until": present.until, "more": present.more, "reason": present.reason,
    }  # fmt: skip


def drawn(stored: Mapping[str, Any]) -> Message | None:
    """The message of such a body; nothing for any other."""
    if stored.get("card") != SHIFT:
        return None
    open_, snoozed, resolved, recovered = stored["counts"]
    title = f"Handover: {open_} open, {snoozed} snoozed, {resolved} resolved, {recovered} recovered"
    parts = [
        *_part("Open", stored["open"], open_, _left),
        *_part("Snoozed", stored["snoozed"], snoozed, _asleep),
        *_part("Resolved", stored["resolved"], resolved, _over),
    ]
    pace = [
        f"{what} in {text.duration(max(stored[name_], 1))}" for what, name_ in
        (("acknowledged", "answered"), ("over", "ended")) if stored.get(name_) is not None
    ]  # fmt: skip
    facts = [f"Half were {' and '.join(pace)} or less." if pace else "", _people(stored["deeds"])]
    asked = f"{name(str(stored['by']))} asked for it, since {moment(stored['since'])}."
    small = [context(" ".join(fact for fact in (*facts, asked) if fact))]
    return Message(title, [section(f"📋 *{title}*"), *paragraphs(parts), *small])


def _part(title: str, rows: Sequence[Mapping[str, Any]], total: int, line: Any) -> list[str]:
    more = [f"and {total - len(rows)} more"] if total > len(rows) else []
    return [f"*{title}*", *(f"• {line(row)}" for row in rows), *more] if rows else []


def _left(row: Mapping[str, Any]) -> str:
    owner = name(str(row["who"])) if row["who"] else "nobody has it"
    return f"{text.line(str(row['title']), 150)} · since {moment(row['began'])} · {owner}"


def _asleep(row: Mapping[str, Any]) -> str:
    return f"{text.line(str(row['title']), 150)} · {until(row['until'], row['more'])}"


def _over(row: Mapping[str, Any]) -> str:
    reason = REASONS.get(str(row["reason"]), "")
    return " · ".join(filter(None, (text.line(str(row["title"]), 150), name(str(row["who"])), reason)))


def _people(deeds: Iterable[tuple[str, int]]) -> str:
    worked = ", ".join(f"{name(str(who))} ({count(int(number), 'act')})" for who, number in deeds)
    return f"At work: {worked}." if worked else ""

"""What one person is told about an act on a failure: that it was done, that somebody was faster, or why not."""

from __future__ import annotations

from zofbot.model import Run
from zofbot.slack import text
from zofbot.slack.cards import in_one_line
from zofbot.slack.controls import LABELS, LOOKS, REASONS, About, act_button, hidden, insisting, name, until
from zofbot.slack.message import Message, actions, button, context, section
from zofbot.slack.pieces import count, look_up
from zofbot.triage import TABLE, Act, Rerun, State, Triage, Wish
from zofbot.triage.life import UNDO

DONE = {
    Act.ACKNOWLEDGE: "You acknowledged",
    Act.UNACKNOWLEDGE: "You released",
    Act.CONFIRM: "You are still on",
    Act.ASSIGN: "You assigned",
    Act.SNOOZE: "You snoozed",
    Act.WAKE: "You woke",
    Act.ESCALATE: "You escalated",
    Act.RESOLVE: "You resolved",
    Act.REOPEN: "You reopened",
    Act.UNDO: "You took back the last act on",
}

INFINITIVES = {
    Act.ACKNOWLEDGE: "acknowledge",
    Act.UNACKNOWLEDGE: "release",
    Act.CONFIRM: "confirm",
    Act.ASSIGN: "assign",
    Act.SNOOZE: "snooze",
    Act.WAKE: "wake",
    Act.ESCALATE: "escalate",
    Act.RESOLVE: "resolve",
    Act.REOPEN: "reopen",
    Act.UNDO: "undo the last action on",
}
"""Each act as it follows "You cannot"; what it is done to follows."""


def attempt(act: Act) -> str:
    """Name an act that somebody tries, as it follows "You cannot"."""
    return f"{INFINITIVES[act]} this failure"


DID = {
    Act.ACKNOWLEDGE: "Acknowledged",
    Act.UNACKNOWLEDGE: "Released",
    Act.CONFIRM: "Confirmed",
    Act.ASSIGN: "Assigned",
    Act.SNOOZE: "Snoozed",
    Act.WAKE: "Woken",
    Act.ESCALATE: "Escalated",
    Act.RESOLVE: "Resolved",
    Act.REOPEN: "Reopened",
    Act.UNDO: "Undone",
}

INSTEAD = {
    State.OPEN: "It is open",
    State.ACKNOWLEDGED: "It is acknowledged",
    State.SNOOZED: "It is snoozed",
    State.RESOLVED: "It is resolved",
    State.RECOVERED: "It has recovered",
}

FIRST = {
    State.SNOOZED: "Wake it first.",
    State.RESOLVED: "Reopen it first.",
    State.RECOVERED: "Reopen it first.",
}


def done(act: Act, title: str, about: About, present: Triage) -> Message:
    """It was done, and can be undone for a minute."""
    said = f"{DONE[act]} {text.line(title, 150)}"
    if act is Act.ASSIGN:
        said += f" to {name(present.owner.name)}"
    if act is Act.SNOOZE:
        said += f" {until(present.until, present.more)}"
    if act is Act.WAKE and present.hid:
        said += f": {hidden(present.hid)}"
    if act is Act.RESOLVE and present.reason in REASONS:
        said += f": {REASONS[present.reason]}"
    if act is Act.UNDO:
        said += f": {INSTEAD[present.state].lower()} again"
    row = [] if act is Act.UNDO else actions(act_button(Act.UNDO, about))
    return Message(said, [section(f"{said}."), *row])


def stale(wish: Wish, title: str, about: About, present: Triage, *, allowed: bool) -> Message:
    """Somebody or something was faster: how it stands, and the same act on that, where it is ``allowed``.

    To undo is never offered again: what it was to undo is not the last act any more.
    """
    said = f"{happened(present, wish.at)}. Your click changed nothing."
    latest = "The card shows the latest state in a moment."
    row, small = actions(insisting(wish, about)), f"*Do it anyway* will {_intention(wish)}. {latest}"
    if wish.act is Act.UNDO or not allowed:
        row, small = [], latest
    return Message(said, [section(f"⚡ *{text.line(title, 150)}*\n{said}"), *row, context(small)])


def _intention(wish: Wish) -> str:
    """What somebody wants to do, as it follows "will"."""
    said = f"{INFINITIVES[wish.act]} it"
    match wish.act:
        case Act.ASSIGN if wish.owner:
            return f"{said} to {name(wish.owner.name)}"
        case Act.SNOOZE if wish.until is not None or wish.more:
            return f"{said} {until(wish.until, wish.more)}"
        case Act.RESOLVE if wish.reason in REASONS:
            return f"{said}: {REASONS[wish.reason]}"
        case _:
            return said


def forbidden(act: Act, title: str, about: About, present: Triage, now: float) -> Message:
    """The act makes no sense in this state."""
    named = f"*{text.line(title, 150)}*\n"
    if act is Act.UNDO:
        why = "There is nothing to undo any more"
        if present.before is not None and present.by.id:
            why = f"{UNDO:.0f} s have passed, and an action can be undone no later"
        said = f"{why}: {happened(present, now)}."
        return Message(said, [section(f"💡 {named}{said} The card has what you can do instead.")])
    if act is Act.ESCALATE:
        said = f"{INSTEAD[present.state]}: it can be escalated only while somebody should look at it."
        if act in TABLE[present.state]:
            said = "Everybody whom the escalation names was called already: the thread shows when."
        return Message(said, [section(f"💡 {named}{said}")])
    step = FIRST.get(present.state, "")
    said = f"{LABELS[act].rstrip('…')} is not possible: {happened(present, now)}. {step}".strip()
    row = actions(act_button(Act.REOPEN, about)) if present.state.closed else []
    return Message(said, [section(f"💡 {named}{said}"), *row])


def gone(key: str) -> Message:
    """The record of a failure is lost, and Zof could not tell either what it was about."""
    said = "zofbot does not know this alert any more: alerts are kept for 30 days after their last change."
    step = "`/zof run` and the run's id still show what failed."
    return Message(said, [section(f"💡 {said}\n{step}"), context(text.code(key, 300))])


def rerun(title: str, cases: int, environment: str, action: str, value: dict[str, str]) -> Message:
    """Ask before something is started in Zof."""
    where = f" on {text.line(environment, 80)}" if environment else ""
    said = f"Run the failed cases of {text.line(title, 150)} again?"
    small = context(f"{count(cases, 'case')}{where}. However often you press, one run is started.")
    return Message(said, [section(f"🔁 {said}"), *actions(button("Re-run failed cases", action, value)), small])


def rerun_under_way(title: str, rerun: Rerun, now: float) -> Message:
    """The failed cases are being run already."""
    which = f" in {text.code(rerun.run)}" if rerun.run else ""
    since = text.duration(max(1.0, now - rerun.at))
    said = f"{name(rerun.by.name)} is running the failed cases of {text.line(title, 150)} again"
    row = actions(look_up("Show run", "zof_run", rerun.run, "Show the run that is under way"))
    return Message(said, [section(f"🔁 {said}{which}, since {since} ago. The thread says how that ends."), *row])


def rerunning(title: str, run_id: str) -> Message:
    """It was started."""
    said = f"Zof runs the failed cases of {text.line(title, 150)} again"
    which = f" in {text.code(run_id)}" if run_id else ""
    return Message(said, [section(f"🔁 {said}{which}. The thread hears how it ends.")])


def cancel(run: Run, action: str, value: dict[str, str]) -> Message:
    """Ask before a run is cancelled."""
    said = f"Cancel {in_one_line(run)}?"
    row = actions(button("Cancel this run", action, value), look_up("Show run", "zof_run", run.id, "Show it"))
    return Message(said, [section(f"✋ {said}"), context(text.code(run.id)), *row])


def cancelled(run_id: str) -> Message:
    """Zof has taken it."""
    said = "Zof cancels the run"
    return Message(said, [section(f"✋ {said} {text.code(run_id)}.")])


def ended_already(run: Run) -> Message:
    """There is nothing left to cancel."""
    said = f"It had already ended: {in_one_line(run)}"
    return Message(said, [section(f"💡 {said}"), *actions(look_up("Show run", "zof_run", run.id, "Show it"))])


TYPED = (
    ("ack", "it is yours"),
    ("unack", "it is nobody's again"),
    ("assign @ben", "it is somebody's"),
    ("snooze 2h", "be quiet until then: `fri 14:00`, `until it passes`, `until it fails 5 more times`"),
    ("resolve flaky: retried", "for a reason (product bug, test bug, flaky, environment, infra, other), with a note"),
    ("reopen", "it is not over"),
    ("escalate", "call whoever is next"),
    ("undo", "take the last act back, for a minute"),
    ("why", "what brought it here, and where it stands"),
    ("result res_4821", "look a result up, or a `run`"),
)
"""What can be typed to the bot in the thread of a failure."""


def words() -> Message:
    """What can be typed in a thread."""
    lines = [f"`@zofbot {word}`  {does}" for word, does in TYPED]
    said = "What I understand in the thread of a failure"
    return Message(said, [section("\n".join([f"*{said}*", *lines])), context("Everywhere else there is `/zof help`.")])


def not_understood() -> Message:
    """The answer to anything else that is typed in the bot's direct messages."""
    said = "I did not understand that. Try `help`, `result <id>` or `run <id>`; `/zof help` lists everything."
    said = text.mrkdwn(said)
    return Message(said, [section(said)])


def nobody() -> Message:
    """There is no escalation."""
    said = "There is nobody to escalate to: the subscription has no `escalate:`."
    return Message(
        said, [section(f"💡 {said}\nFor example: `/zof subscribe escalate:15m->@oncall`".replace(">@", "&gt;@"))]
    )


def happened(present: Triage, now: float) -> str:
    """How it came to stand as it does, in words: ``Resolved by Ana 4 s ago``."""
    ago = f"{text.duration(max(1.0, round(now - present.at)))} ago" if present.at else ""
    if not present.by.id:
        of_itself = {
            Act.WAKE: "Its snooze ended",
            Act.LAPSE: "Its acknowledgement lapsed",
            Act.RELAPSE: "It failed again",
        }
        said = (
            LOOKS[present.state].word
            if present.state in LOOKS
            else of_itself.get(present.did or Act.UNDO, "It is open")
        )
        return f"{said} {ago}".strip()
    did = DID.get(present.did or Act.UNDO, "Changed")
    to = f" to {name(present.owner.name)}" if present.did is Act.ASSIGN else ""
    return f"{did}{to} by {name(present.by.name)} {ago}"

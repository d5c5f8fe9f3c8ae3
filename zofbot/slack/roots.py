"""A channel's own message about a failed run or a failing case: what failed, where, and how it stands now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zofbot.model import Outcome, Result
from zofbot.slack import text
from zofbot.slack.bodies import CaseBody, Place, RunBody, Standing
from zofbot.slack.cards import BLAME, LOOKS, Look, look_of, numbers, tally
from zofbot.slack.controls import LOOKS as STATES
from zofbot.slack.controls import REASONS, About, Offers, controls, name, standing
from zofbot.slack.links import Links
from zofbot.slack.message import Block, Message, context, fields, header, section
from zofbot.slack.pieces import (
    Paging,
    as_run,
    case_row,
    count,
    failure,
    look_up,
    mentions,
    moment,
    owner_line,
    paging,
    paragraphs,
    where,
)
from zofbot.triage import State, Triage


@dataclass(frozen=True)
class View:
    """What a root is drawn with besides its body: the key it stands under, how it stands, and what may be offered."""

    key: str
    present: Triage
    links: Links
    runs: bool = False
    """Whether runs may be started."""
    storm: bool = False
    """Whether it is part of a storm."""

    @property
    def about(self) -> About:
        return About(self.key, self.present.version)

    def controls(self, body: RunBody | CaseBody, link: str) -> list[Block]:
        offers = Offers(bool(body.policy.escalate), self.runs, link, body.run.id)
        return controls(self.about, self.present, offers)


def run_root(body: RunBody, view: View) -> Message:
    """A run that failed, with its totals and its first failures."""
    run = as_run(body.run)
    more = body.bad - len(body.top)
    below = [
        *_blame(view.present, run.outcome),
        *([section(tally(run))] if tally(run) else []),
        *fields([*where(body.run), *_when(body.run), *_counted(body)]),
        *map(case_row, body.top),
        *([context(f"and {count(more, 'more failure')}")] if body.top and more > 0 else []),
        *_resolved(body, view.present),
        *_turned(body),
        *standing(view.present),
        *view.controls(body, view.links.run(run)),
        *_apart(body, view),
        context(f"Run {text.code(body.run.id)}"),
    ]
    facts = [*_facts(body.run), numbers(run)]
    return _root(body, view.present, look_of(run, body.bad), body.run.title or f"Run {body.run.id}", facts, below)


def case_root(body: CaseBody, view: View) -> Message:
    """A case that failed, over as many runs as it did."""
    case, several = body.case, body.count > 1
    told = [
        ("Failures", str(body.count)),
        ("In this run", count(case.attempts, "attempt") if case.attempts > 1 else ""),
        ("Case", text.code(body.case_id if body.case_id != case.title else "")),
        ("First failed", moment(body.first) if several else ""),
        ("Last failed" if several else "Failed", moment(body.last)),
    ]
    result = Result(id=case.id, run_id=body.run.id or None, url=case.url or None)
    below = [
        *_blame(view.present, case.outcome),
        *_detailed(fields([*where(body.run), *told]), case.id),
        *failure(case),
        *_resolved(body, view.present),
        *_turned(body),
        *standing(view.present),
        *view.controls(body, view.links.result(result)),
        *_apart(body, view),
        context(f"Run {text.code(body.run.id)} · Result {text.code(case.id)}"),
    ]
    facts = [*_facts(body.run)[:2], count(body.count, "failure") if several else ""]
    return _root(body, view.present, LOOKS[case.outcome], case.title or f"Result {case.id}", facts, below)


def _detailed(blocks: list[Block], result_id: str) -> list[Block]:
    """The facts of a case with a button for all of them at their side."""
    details = look_up("Details", "zof_result", result_id, "Show this result")
    return [blocks[0] | {"accessory": details}, *blocks[1:]] if blocks and details else blocks


def _root(  # noqa: PLR0913, PLR0917  (the parts of one frame)
    body: RunBody | CaseBody, present: Triage, look: Look, title: str, facts: Iterable[str], below: list[Block]
) -> Message:
    """The frame of both: header and mentions on top, everything else beside the bar."""
    word, emoji, colour = look.word or "Failed", look.emoji, look.colour
    if present.state in STATES:
        word, emoji, colour = STATES[present.state]
    elif body.standing is Standing.AGAIN or body.resolved:
        word = "Failing again"
    said = f"{word}: {title}"
    line = " · ".join([text.line(said, 200), *(fact for fact in facts if fact)])
    top = [header(text.literal(f"{emoji} {said}", 150))]
    if not body.owners:
        return paging(line, top, colour, below, body.mention)
    top += paragraphs(owner_line(owner, body.mention) for owner in body.owners)
    return Paging(line, top, colour, below, mentions(body.mention))


def _blame(present: Triage, outcome: Outcome) -> list[Block]:
    return [section(BLAME[outcome])] if outcome in BLAME and present.state is not State.RECOVERED else []


def _apart(body: RunBody | CaseBody, view: View) -> list[Block]:
    """What is not said here, because it is said for many alerts at once."""
    notes = [
        "🌩️ Part of a storm: what is done about its summary is done about this alert, too." if view.storm else "",
        "Nobody is mentioned here: the same people were mentioned twice within the minute." if body.unmentioned else "",
    ]
    return [context(note) for note in notes if note]


def _turned(body: RunBody | CaseBody) -> list[Block]:
    """Since when it stands as it does."""
    if body.turned is None:
        return []
    what = "✅ Recovered" if body.standing is Standing.RECOVERED else "🔁 Failing again"
    by = f", run {text.code(body.turner)}" if body.turner else ""
    return [section(f"{what} {moment(body.turned)}{by}")]


def _resolved(body: RunBody | CaseBody, present: Triage) -> list[Block]:
    """That it fails although somebody had resolved it, and why they had; nothing once it is over again."""
    before = body.resolved
    if before is None or present.state.closed:
        return []
    why = f": {REASONS[before.reason]}" if before.reason in REASONS else ""
    note = f"\n> {text.line(before.note, 500)}" if before.note else ""
    return [section(f"🔁 *Failing again* after {name(before.by)} had resolved it {moment(before.at)}{why}{note}")]


def _facts(place: Place) -> list[str]:
    duration = text.duration(place.duration) if place.duration is not None else ""
    return [text.line(place.project, 80), text.line(place.environment, 80), duration]


def _counted(body: RunBody) -> list[tuple[str, str]]:
    """Of how many failing runs it is the last, where a subscription waits for several."""
    return [("Failures", f"{body.count}, since {moment(body.first)}")] if body.count > 1 else []


def _when(place: Place) -> list[tuple[str, str]]:
    duration = text.duration(place.duration) if place.duration is not None else ""
    return [("Finished", moment(place.ended) if place.ended is not None else ""), ("Duration", duration)]

"""A channel's own message about a failed run or a failing case: what failed, where, and how it stands now."""

from __future__ import annotations

from collections.abc import Iterable

from zofbot.model import Outcome
from zofbot.slack import text
from zofbot.slack.bodies import CaseBody, Place, RunBody, Standing
from zofbot.slack.cards import BLAME, LOOKS, numbers, tally
from zofbot.slack.links import Links
from zofbot.slack.message import Block, Message, context, fields, header, section
from zofbot.slack.pieces import as_run, case_buttons, case_row, count, failure, moment, paging, run_buttons, where


def run_root(body: RunBody, links: Links) -> Message:
    """A run that failed, with its totals and its first failures."""
    run = as_run(body.run)
    more = body.bad - len(body.top)
    below = [
        *_blame(body.standing, run.outcome),
        *([section(tally(run))] if tally(run) else []),
        *fields([*where(body.run), *_when(body.run)]),
        *map(case_row, body.top),
        *([context(f"and {count(more, 'more failure')}")] if body.top and more > 0 else []),
        *_turned(body),
        *run_buttons(body.run, links),
        context(f"Run {text.code(body.run.id)}"),
    ]
    return _root(body, run.outcome, body.run.title or f"Run {body.run.id}", [*_facts(body.run), numbers(run)], below)


def case_root(body: CaseBody, links: Links) -> Message:
    """A case that failed, over as many runs as it did."""
    case, several = body.case, body.count > 1
    told = [
        ("Failures", str(body.count)),
        ("Case", text.code(body.case_id if body.case_id != case.title else "")),
        ("First failed", moment(body.first) if several else ""),
        ("Last failed" if several else "Failed", moment(body.last)),
    ]
    below = [
        *_blame(body.standing, case.outcome),
        *fields([*where(body.run), *told]),
        *failure(case),
        *_turned(body),
        *case_buttons(case, body.run.id, links),
        context(f"Run {text.code(body.run.id)} · Result {text.code(case.id)}"),
    ]
    facts = [*_facts(body.run)[:2], count(body.count, "failure") if several else ""]
    return _root(body, case.outcome, case.title or f"Result {case.id}", facts, below)


def _root(body: RunBody | CaseBody, outcome: Outcome, title: str, facts: Iterable[str], below: list[Block]) -> Message:
    """The frame of both: header and mentions on top, everything else beside the bar."""
    look = LOOKS[Outcome.PASSED if body.standing is Standing.RECOVERED else outcome]
    words = {Standing.RECOVERED: "Recovered", Standing.AGAIN: "Failing again"}
    said = f"{words.get(body.standing, look.word or 'Failed')}: {title}"
    line = " · ".join([text.line(said, 200), *(fact for fact in facts if fact)])
    top = [header(text.literal(f"{look.emoji} {said}", 150))]
    return paging(line, top, look.colour, below, body.mention)


def _blame(standing: Standing, outcome: Outcome) -> list[Block]:
    return [section(BLAME[outcome])] if outcome in BLAME and standing is not Standing.RECOVERED else []


def _turned(body: RunBody | CaseBody) -> list[Block]:
    """Since when it stands as it does."""
    if body.turned is None:
        return []
    what = "✅ Recovered" if body.standing is Standing.RECOVERED else "🔁 Failing again"
    by = f", run {text.code(body.turner)}" if body.turner else ""
    return [section(f"{what} {moment(body.turned)}{by}")]


def _facts(place: Place) -> list[str]:
    duration = text.duration(place.duration) if place.duration is not None else ""
    return [text.line(place.project, 80), text.line(place.environment, 80), duration]


def _when(place: Place) -> list[tuple[str, str]]:
    duration = text.duration(place.duration) if place.duration is not None else ""
    return [("Finished", moment(place.ended) if place.ended is not None else ""), ("Duration", duration)]

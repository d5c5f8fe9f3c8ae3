"""What stands in the thread of a failure: single results, the rest of them, recoveries and relapses."""

from __future__ import annotations

from zofbot.slack import text
from zofbot.slack.bodies import AgainBody, RecoveredBody, RestBody, ResultBody
from zofbot.slack.cards import LOOKS, in_one_line
from zofbot.slack.links import Links
from zofbot.slack.message import Message, context, section
from zofbot.slack.pieces import as_run, case_buttons, count, failure, paragraphs, run_buttons


def result_reply(body: ResultBody, links: Links) -> Message:
    """One failed result with its failure."""
    case = body.case
    look = LOOKS[case.outcome]
    said = text.line(f"{look.word or 'Failed'}: {case.title or case.id}", 200)
    blocks = [
        section(f"{look.emoji} *{said}*"),
        *failure(case),
        *case_buttons(case, body.run_id, links),
    ]
    return Message(said, blocks)


def rest_reply(body: RestBody, links: Links) -> Message:
    """All failures that got no reply of their own, by title as far as there is room, and counted in any case."""
    said = f"{count(body.count, 'more failure')} in this run"
    left = f"and {body.unlisted} that are not listed here" if body.titles else "They are not listed here"
    blocks = [
        section(f"*{said}*"),
        *paragraphs(f"• {text.line(title, 150)}" for title in body.titles),
        *([context(f"{left}; Zof has them all.")] if body.unlisted else []),
        *run_buttons(body.run, links),
    ]
    return Message(said, blocks)


def again_reply(body: AgainBody, links: Links) -> Message:
    """A run that failed anew and named no cases."""
    said = f"Failing again: {in_one_line(as_run(body.run))}"
    return Message(said, [section(f"🔁 {said}"), *run_buttons(body.run, links)])


def recovered_reply(body: RecoveredBody, links: Links) -> Message:
    """What had failed has passed."""
    after = f" after {text.duration(body.after)}" if body.after > 0 else ""
    said = f"Recovered{after}" + (f": {text.line(body.title, 150)}" if body.title else "")
    blocks = [
        section(f"✅ {said}"),
        *run_buttons(body.run, links),
        context(f"Passed in run {text.code(body.run.id)}"),
    ]
    return Message(said, blocks)

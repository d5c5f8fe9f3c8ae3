"""What stands in the thread of a failure: single results, the rest of them, recoveries and relapses."""

from __future__ import annotations

from zofbot.notification import Unwanted
from zofbot.slack import text
from zofbot.slack.bodies import (
    ActBody,
    AgainBody,
    Body,
    FailureBody,
    FlappingBody,
    Place,
    RecoveredBody,
    RerunBody,
    RestBody,
    ResultBody,
    TimerBody,
)
from zofbot.slack.cards import LOOKS, in_one_line
from zofbot.slack.controls import REASONS, About, act_button, hidden, name, until
from zofbot.slack.links import Links
from zofbot.slack.message import Block, Message, actions, context, section
from zofbot.slack.pieces import as_run, case_buttons, count, failure, moment, paging, paragraphs, run_buttons, tries
from zofbot.triage import Act, Triage


def thread_reply(
    body: ResultBody | RestBody | AgainBody | FlappingBody | RecoveredBody | RerunBody, links: Links
) -> Message:
    """What Zof's runs have to say in the thread of a failure."""
    match body:
        case ResultBody():
            return _result(body, links)
        case RestBody():
            return _rest(body, links)
        case AgainBody():
            return _again(body, links)
        case FlappingBody():
            return _flapping(body, links)
        case RecoveredBody():
            return _recovered(body, links)
        case RerunBody():
            return _rerun(body, links)


def _result(body: ResultBody, links: Links) -> Message:
    """One failed result with its failure."""
    case = body.case
    look = LOOKS[case.outcome]
    word = "Failing again" if body.again else look.word or "Failed"
    said = text.line(f"{word}: {case.title or case.id}", 200)
    others = f" and {count(body.others, 'more case')} of this run" if body.others else ""
    blocks = [
        section(f"{look.emoji} *{said}*{tries(case.attempts)}{others}"),
        *failure(case),
        *case_buttons(case, body.run_id, links),
    ]
    return paging(f"{said}{others}", blocks, "", [], body.mention)


def _rest(body: RestBody, links: Links) -> Message:
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


def _again(body: AgainBody, links: Links) -> Message:
    """A run that failed anew and named no cases."""
    said = f"Failing again: {in_one_line(as_run(body.run))}"
    return paging(said, [section(f"🔁 {said}"), *run_buttons(body.run, links)], "", [], body.mention)


def _flapping(body: FlappingBody, links: Links) -> Message:
    """The one line that stands for all further relapses and recoveries until they have stopped for a while."""
    about = f": {text.line(body.title, 150)}" if body.title else ""
    said = f"Flapping, {count(body.times, 'time')}{about}"
    more = (
        "It recovers and fails again. Until that has stopped for an hour, only the first message and this line change."
    )
    return Message(said, [section(f"🔁 *{said}*"), *run_buttons(body.run, links), context(more)])


def _recovered(body: RecoveredBody, links: Links) -> Message:
    """What had failed has passed."""
    after = f" after {text.duration(body.after)}" if body.after > 0 else ""
    said = f"Recovered{after}" + (f": {text.line(body.title, 150)}" if body.title else "")
    blocks = [
        section(f"✅ {said}"),
        *_named("✅ Run again and passed", body.cases),
        *run_buttons(body.run, links),
        context(f"Passed in run {text.code(body.run.id)}"),
    ]
    return Message(said, blocks)


def _rerun(body: RerunBody, links: Links) -> Message:
    """How the cases did that were run again, each by its title."""
    how = f"{count(body.bad, 'case')} failed again" if body.bad else in_one_line(as_run(body.run))
    said = f"Run again: {how}"
    named = f"{said}: {text.line(', '.join(body.failed), 300)}" if body.failed else said
    blocks = [
        section(f"🔁 {said}"),
        *_named("❌ Failed again", body.failed),
        *_named("✅ Passed", body.passed),
        *_named("➖ No result", body.absent),
        *run_buttons(body.run, links),
    ]
    return Message(named, blocks)


def _named(heading: str, titles: tuple[str, ...]) -> list[Block]:
    """Cases by their titles under a heading; nothing where there are none."""
    lines = (f"• {text.line(title, 150)}" for title in titles)
    return paragraphs([f"*{heading}*", *lines]) if titles else []


def timer_reply(body: TimerBody, failure: Body, about: About, present: Triage) -> Message:
    """What the clock says in the thread of a failure. Raises Unwanted where that has been overtaken."""
    if not isinstance(failure, FailureBody) or not body.wanted(present):
        raise Unwanted
    title = text.line(failure.title, 150)
    about_it = f": {title}" if title else ""
    match body.sort:
        case "escalate":
            said = f"🚨 Not acknowledged since {moment(present.opened)}{about_it}"
            return paging(f"Escalated{about_it}", [section(said)], "", [], body.mention)
        case "ask":
            said = f"Still on it{about_it}? Without an answer it opens again {moment(present.until or present.opened)}"
            row = actions(act_button(Act.CONFIRM, about), act_button(Act.UNACKNOWLEDGE, about))
            return paging(f"Still on it{about_it}?", [section(f"⏰ {said}."), *row], "", [], (present.owner.id,))
        case "wake":
            said = " · ".join(filter(None, (f"The snooze is over{about_it}", hidden(present.hid))))
        case _:
            said = f"Open again, for nobody said that they are still on it{about_it}"
    return paging(said, [section(f"⏰ {said}")], "", [], body.mention)


def act_message(body: ActBody, links: Links) -> Message:
    """One line of a failure's thread, or to whom it was assigned, that they were."""
    who, owner = name(body.who), name(body.owner)
    did = {
        Act.ACKNOWLEDGE: f"👀 {who} acknowledged this",
        Act.UNACKNOWLEDGE: f"✋ {who} released this: it is open again",
        Act.CONFIRM: f"👀 {who} is still on it",
        Act.ASSIGN: f"👤 {who} assigned this to {owner}" if owner != who else f"👤 {who} took this",
        Act.SNOOZE: f"💤 {who} snoozed this {until(body.until, body.more)}",
        Act.WAKE: " · ".join(filter(None, (f"⏰ {who} woke this", hidden(body.hid)))),
        Act.ESCALATE: f"🚨 {who} escalated this",
        Act.RESOLVE: f"☑️ {who} resolved this" + (f": {REASONS[body.reason]}" if body.reason in REASONS else ""),
        Act.REOPEN: f"↩️ {who} reopened this",
        Act.UNDO: f"↩️ {who} took the last act back: {body.state.value} again",
    }.get(body.act, f"{who}: {body.act.value}")
    note = f"\n> {text.line(body.note, 1500)}" if body.act is Act.RESOLVE and body.note else ""
    if body.mention:
        return paging(did, [section(did)], "", [], body.mention)
    return Message(did, [context(did + note)])


def assigned_message(body: ActBody, links: Links) -> Message:
    """A direct message to whom a failure was assigned."""
    said = f"{name(body.who)} assigned you {text.line(body.title, 150) or 'a failure'}"
    where = f" in <#{body.channel}>" if body.channel.isalnum() else ""
    return Message(said, [section(f"👤 {said}{where}."), *run_buttons(Place(id=body.run_id), links)])

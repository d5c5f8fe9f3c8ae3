"""Replies in a failure's thread: results, recoveries, relapses, reminders and actions."""

from __future__ import annotations

from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.payload_parts import RunSummary
from zofbot.notifications.payloads import Payload, failure_title
from zofbot.notifications.thread_payloads import (
    ActionPayload,
    FailingAgainPayload,
    FlappingPayload,
    MoreFailuresPayload,
    RecoveryPayload,
    ReminderPayload,
    RerunResultPayload,
    ResultPayload,
)
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.blocks import (
    MAX_LIST_CHARS,
    Block,
    Message,
    button_row,
    context_block,
    section_block,
    take_fitting,
)
from zofbot.slack.views.case_history import case_past_text
from zofbot.slack.views.components import (
    as_run,
    attempts_suffix,
    case_buttons,
    failure_blocks,
    format_moment,
    paragraph_blocks,
    run_buttons,
    with_mentions,
)
from zofbot.slack.views.extras import extra_blocks
from zofbot.slack.views.outcomes import OUTCOME_STYLES, format_one_line, title_line
from zofbot.slack.views.render_context import RenderContext
from zofbot.slack.views.triage.triage_controls import action_button
from zofbot.slack.views.triage.triage_status import (
    RESOLUTION_REASONS,
    hidden_failures_text,
    person_name,
    snooze_end_text,
)
from zofbot.triage import Action


def result_reply(body: ResultPayload, context: RenderContext) -> Message:
    """Render one failed result with its failure text."""
    case = body.case
    look = OUTCOME_STYLES[case.outcome]
    word = "Failing again" if body.again else look.word or "Failed"
    sentence = text.escape_line(f"{word}: {case.title or case.id}", 200)
    others = f" and {count_noun(body.others, 'more case')} of this run" if body.others else ""
    blocks = [
        section_block(f"{look.emoji} *{sentence}*{attempts_suffix(case.attempts)}{others}"),
        *failure_blocks(case),
        *paragraph_blocks(filter(None, [case_past_text(case)])),
        *extra_blocks(case.extras, context.links),
        *case_buttons(case, body.run_id, context.links),
    ]
    return with_mentions(f"{sentence}{others}", blocks, "", [], body.mention)


def more_failures_reply(body: MoreFailuresPayload, context: RenderContext) -> Message:
    """Render the failures without their own reply: titles as space allows, and the count."""
    sentence = f"{count_noun(body.count, 'more failure')} in this run"
    left = f"and {body.unlisted} that are not listed here" if body.titles else "Not listed here"
    blocks = [
        section_block(f"*{sentence}*"),
        *paragraph_blocks(f"• {text.escape_line(title, 150)}" for title in body.titles),
        *([context_block(f"{left}; see the run in Zof.")] if body.unlisted else []),
        *run_buttons(body.run, context.links),
    ]
    return Message(sentence, blocks)


def failing_again_reply(body: FailingAgainPayload, context: RenderContext) -> Message:
    """Render another failed run that names no cases."""
    sentence = f"Failing again: {title_line(as_run(body.run))} · {text.escape_line(body.run.id, 128)}"
    blocks = [section_block(f"🔁 {sentence}"), *run_buttons(body.run, context.links)]
    return with_mentions(sentence, blocks, "", [], body.mention)


def flapping_reply(body: FlappingPayload, context: RenderContext) -> Message:
    """Render the line that replaces further relapse and recovery replies while a failure is flapping."""
    about = f": {text.escape_line(body.title, 150)}" if body.title else ""
    sentence = f"Flapping, {count_noun(body.times, 'time')}{about}"
    more = "Failing and recovering repeatedly. Only this line and the alert are updated until it is stable for an hour."
    return Message(
        sentence, [section_block(f"🔁 *{sentence}*"), *run_buttons(body.run, context.links), context_block(more)]
    )


def recovery_reply(body: RecoveryPayload, context: RenderContext) -> Message:
    """Render a recovery."""
    after = f" after {text.describe_duration(round(max(body.after, 1)))}" if body.after > 0 else ""
    sentence = f"Recovered{after}" + (f": {text.escape_line(body.title, 150)}" if body.title else "")
    blocks = [
        section_block(f"✅ {sentence}"),
        *_title_list("✅ Re-run and passed", body.cases),
        *run_buttons(body.run, context.links),
        context_block(f"Passed in {text.inline_code(body.run.id)}"),
    ]
    return Message(sentence, blocks)


def rerun_reply(body: RerunResultPayload, context: RenderContext) -> Message:
    """Render the result of a rerun, with the title of each case."""
    how = f"{count_noun(body.bad, 'case')} failed again" if body.bad else format_one_line(as_run(body.run))
    sentence = f"Re-run finished: {how}"
    named = f"{sentence}: {text.escape_line(', '.join(body.failed), 300)}" if body.failed else sentence
    lists = {"❌ Failed again": body.failed, "✅ Passed": body.passed, "➖ No result": body.absent}
    most = MAX_LIST_CHARS // max(sum(map(bool, lists.values())), 1)
    blocks = [
        section_block(f"🔁 {sentence}"),
        *(block for heading, titles in lists.items() for block in _title_list(heading, titles, most)),
        *run_buttons(body.run, context.links),
    ]
    return Message(named, blocks)


def _title_list(heading: str, titles: tuple[str, ...], most: int = MAX_LIST_CHARS) -> list[Block]:
    """Return titles below a heading, those that fit into ``most`` characters; empty if there are none."""
    lines = take_fitting((f"• {text.escape_line(title, 150)}" for title in titles), most)
    more = len(titles) - len(lines)
    rest = f"and {more} more; see the run in Zof" if more else ""
    return paragraph_blocks([f"*{heading}*", *lines, rest]) if titles else []


def reminder_reply(body: ReminderPayload, context: RenderContext) -> Message:
    """Render a reminder in a failure's thread."""
    present, about = context.present, context.failure_ref
    name = failure_title(context.failure) if context.failure else ""
    about_it = f": {text.escape_line(name, 200)}" if name else ""
    match body.sort:
        case "escalate":
            sentence = f"🚨 Not acknowledged{format_moment(present.opened, ' since ')}{about_it}"
            return with_mentions(f"Escalated{about_it}", [section_block(sentence)], "", [], body.mention)
        case "ask":
            reopens = format_moment(present.until or present.opened, "Reopens ")
            sentence = f"Still on it{about_it}? {reopens} unless you answer"
            row = button_row(action_button(Action.CONFIRM, about), action_button(Action.UNACKNOWLEDGE, about))
            return with_mentions(
                f"Still on it{about_it}?", [section_block(f"⏰ {sentence}."), *row], "", [], (present.owner.id,)
            )
        case "wake":
            sentence = " · ".join(filter(None, (f"Snooze ended{about_it}", hidden_failures_text(present.hid))))
        case _:
            sentence = f"Open again: no answer from the owner{about_it}"
    return with_mentions(sentence, [section_block(f"⏰ {sentence}")], "", [], body.mention)


def is_assignment(body: Payload, context: RenderContext) -> bool:
    """Whether it is the direct message to the new assignee of a failure."""
    return isinstance(body, ActionPayload) and context.key.startswith("assigned:")


def action_message(body: ActionPayload, context: RenderContext) -> Message:
    """Render an action as one line in the failure's thread, or for its new assignee."""
    if is_assignment(body, context):
        return _assignment_message(body, context.links)
    actor, owner = person_name(body.who), person_name(body.owner)
    did = {
        Action.ACKNOWLEDGE: f"👀 {actor} acknowledged this",
        Action.UNACKNOWLEDGE: f"✋ {actor} unacknowledged this: open again",
        Action.CONFIRM: f"👀 {actor} is still on it",
        Action.ASSIGN: f"👤 {actor} assigned this to {owner}"
        if owner != actor
        else f"👤 {actor} assigned this to themselves",
        Action.SNOOZE: f"💤 {actor} snoozed this {snooze_end_text(body.until, body.more)}",
        Action.WAKE: " · ".join(filter(None, (f"⏰ {actor} unsnoozed this", hidden_failures_text(body.hid)))),
        Action.ESCALATE: f"🚨 {actor} escalated this",
        Action.RESOLVE: f"☑️ {actor} resolved this"
        + (f": {RESOLUTION_REASONS[body.reason]}" if body.reason in RESOLUTION_REASONS else ""),
        Action.REOPEN: f"↩️ {actor} reopened this",
        Action.UNDO: f"↩️ {actor} undid the last action: {body.state.value} again",
    }.get(body.act, f"{actor}: {body.act.value}")
    did += _undone_text(body)
    note = f"\n> {text.escape_line(body.note, 1500)}" if body.act is Action.RESOLVE and body.note else ""
    if body.mention:
        return with_mentions(did, [section_block(did)], "", [], body.mention)
    return Message(did, [context_block(did + note)])


def _undone_text(body: ActionPayload) -> str:
    """Say who undid the action, and when; empty if nobody did."""
    if not body.undone_by:
        return ""
    return (
        f" · ↩️ {person_name(body.undone_by)}{format_moment(body.undone_at, ' undid this ')}: {body.state.value} again"
    )


def _assignment_message(body: ActionPayload, links: ZofLinks) -> Message:
    """Render the direct message to the new assignee of a failure."""
    sentence = f"{person_name(body.who)} assigned you {text.escape_line(body.title, 150) or 'a failure'}"
    where = f" in <#{body.channel}>" if body.channel.isalnum() else ""
    return Message(
        sentence,
        [
            section_block(f"👤 {sentence}{where}{_undone_text(body) or '.'}"),
            *run_buttons(RunSummary(id=body.run_id), links),
        ],
    )

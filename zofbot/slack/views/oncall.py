"""Messages for people on call: open failures, whom an escalation would mention, and the handover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.payloads import FailurePayload
from zofbot.slack.views.blocks import Block, Message, build_button, context_block, section_block
from zofbot.slack.views.components import format_moment, paragraph_blocks
from zofbot.slack.views.outcomes import OUTCOME_STYLES
from zofbot.slack.views.run_list import PageWindow, page_controls
from zofbot.slack.views.triage.several_failures import SELECT_ACTION_ID
from zofbot.slack.views.triage.thread_help import no_escalation_reply
from zofbot.slack.views.triage.triage_status import (
    LAST_ACTION_WORDS,
    RESOLUTION_REASONS,
    STATE_STYLES,
    person_name,
    snooze_end_text,
)
from zofbot.triage import TriageRecord, TriageState
from zofbot.triage.shift_report import FailureSummary, ShiftReport

PAGE_ACTION_ID = "zof_open_page"
ACKNOWLEDGE_ACTION_ID = "zof_do_acknowledge_row"
"""``action_id`` of the button beside an open failure in a list."""
MAX_HANDOVER_ROWS = 15
"""Maximum rows of each section of a handover."""
MAX_STEP_CHARS = 2900
"""Maximum length of an escalation step; a section holds 3,000 characters
(https://docs.slack.dev/reference/block-kit/blocks/section-block)."""


@dataclass(frozen=True)
class FailureRow:
    """One failure in a list; ``link`` is its alert's permalink, ``channel`` (an id) is set if it is another channel."""

    title: str
    body: FailurePayload
    present: TriageRecord
    link: str = ""
    channel: str = ""
    storm: bool = False
    """Whether it is part of a storm; then ``link`` points to the storm's summary."""
    key: str = ""
    """Key of its alert, if a button beside it can act on it: only in its own channel."""


@dataclass(frozen=True)
class HiddenFailures:
    """Number of failures that a list leaves out; ``doubt``: Slack did not say which channels the person is in."""

    count: int = 0
    doubt: bool = False

    @property
    def note(self) -> str:
        """The sentences about them; empty if there are none."""
        failures = count_noun(self.count, "failure")
        if not self.count:
            return ""
        if not self.doubt:
            return f"{failures} in channels you can't see not shown."
        verb = "isn't" if self.count == 1 else "aren't"
        return (
            f"Slack didn't say which channels you are in, so {failures} {verb} shown. Try again in a moment, or use "
            f"`{SLASH_COMMAND} triage` in the alerts' channel."
        )


@dataclass(frozen=True)
class GroupSummary:
    """Members of a user group: their number, and the names of the first few."""

    count: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class OnCallStep:
    """One step of an escalation: ``after`` so many seconds, mention these ids; ``members`` of the known groups.

    ``wish`` is the subscription's filters as typed.
    """

    after: int
    mention: tuple[str, ...]
    members: Mapping[str, GroupSummary]
    wish: str = ""


NOTHING_OPEN_TEXTS = {
    "": "No open failures in this channel.",
    "mine": "No open failures are assigned to you or acknowledged by you.",
    "all": "No open failures in any channel you can see.",
}


def open_failures_card(
    rows: Sequence[FailureRow],
    scope: str,
    window: tuple[int, int],
    now: float,
    hidden: HiddenFailures = HiddenFailures(),
) -> Message:
    """Render one page of open failures, oldest first; ``window`` is (index of the first, total number).

    It is no table: each row has a button, which a table's cells cannot hold.
    """
    start, total = window
    if not rows:
        sentence = NOTHING_OPEN_TEXTS[scope]
        shown = f"🌤️ {sentence}\n{hidden.note}".rstrip()
        if hidden.count and hidden.doubt:  # one of them may be theirs
            sentence, shown = hidden.note, f"⚠️ {hidden.note}"
        return Message(
            sentence,
            [
                section_block(shown),
                context_block(f"`{SLASH_COMMAND} subscriptions` lists what is posted here."),
            ],
        )
    what = {"": "in this channel", "mine": "assigned to you", "all": "in all channels"}[scope]
    title = f"{count_noun(total, 'failure')} {what}"
    listed = [section_block(failure_row_text(row, now), _acknowledge_button(row, scope, start)) for row in rows]
    notes = [context_block(f"Oldest first. {hidden.note}".rstrip())]
    several = build_button("Select several", SELECT_ACTION_ID, {"scope": scope, "from": start})
    can_select = sum(_acknowledge_button(row, scope, start) is not None for row in rows) > 1
    page = PageWindow(start, len(rows), total, "failures")
    more = page_controls(page, PAGE_ACTION_ID, {"scope": scope}, several if can_select else None)
    return Message(title, [section_block(f"*{title}*"), *listed, *more, *notes])


def _acknowledge_button(row: FailureRow, scope: str, start: int) -> Block | None:
    """Return the button of an open failure of this channel; it carries the page, which is then shown again."""
    if not row.key or row.present.state is not TriageState.OPEN:
        return None
    value = {"key": row.key, "version": row.present.card_version, "scope": scope, "from": start}
    return build_button("Acknowledge", ACKNOWLEDGE_ACTION_ID, value, aloud=f"Acknowledge {row.title}"[:75])


def failure_row_text(failure: FailureRow, now: float) -> str:
    """Describe a failure in two lines: title with its place; channel, run, age, owner and last action."""
    state, present = STATE_STYLES.get(failure.present.state), failure.present
    emoji = state.emoji if state else OUTCOME_STYLES[failure.body.outcome].emoji
    title = text.escape_line(failure.title, 150)
    shown = (
        f"<{failure.link}|{title}>" if failure.link and "|" not in failure.link and ">" not in failure.link else title
    )
    place = f"<#{failure.channel}>" if failure.channel.isalnum() else ""
    age = f"open {text.describe_duration(round(max(now - (failure.body.opened or present.opened or now), 1)))}"
    owner = person_name(present.owner.name) if present.owner.id else "unassigned"
    storm = "🌩️ in a storm" if failure.storm else ""
    run = text.inline_code(failure.body.run.id)
    parts = [part for part in (place, run, age, owner, _last_action(present, now), storm) if part]
    return f"{emoji} *{shown}*\n{' · '.join(parts)}"


def _last_action(present: TriageRecord, now: float) -> str:
    """Describe the last action, how long ago it was, and the end of a snooze."""
    if present.did is None:
        return ""
    ago = f"{LAST_ACTION_WORDS[present.did]} {text.describe_duration(round(max(now - present.at, 1)))} ago"
    return f"{ago}, {snooze_end_text(present.until, present.more)}" if present.state is TriageState.SNOOZED else ago


def on_call_card(callers: Sequence[OnCallStep]) -> Message:
    """Render whom this channel's escalations would mention now."""
    if not callers:
        return no_escalation_reply("none of this channel's subscriptions has an")
    lines = [_step_line(caller) for caller in callers]
    sentence = "Escalation policy: mentioned until someone acknowledges"
    return Message(
        sentence,
        [
            section_block(f"*{sentence}*"),
            *paragraph_blocks(lines),
            context_block("Only you see this. Nobody is notified."),
        ],
    )


def _step_line(step: OnCallStep) -> str:
    after = f"⏱️ after {text.describe_duration(step.after)}: "
    which = f" · {text.escape_line(step.wish, 200)}" if step.wish else ""
    recipients = [_recipient_text(who, step.members) for who in step.mention]
    return f"{after}{_join_fitting(recipients, MAX_STEP_CHARS - len(after) - len(which))}{which}"


def _join_fitting(parts: Sequence[str], limit: int) -> str:
    """Join the first parts that fit in ``limit`` characters, and count the others, since a mention can't be cut."""
    for left in range(len(parts)):
        joined = ", ".join(parts[: len(parts) - left]) + (f" and {left} more" if left else "")
        if len(joined) <= limit:
            return joined
    return f"{len(parts)} recipients"


def _recipient_text(identifier: str, members: Mapping[str, GroupSummary]) -> str:
    """Format a mention; only one person sees this message, so it notifies nobody."""
    if not identifier.startswith("S"):
        return f"<@{identifier}>"
    known = members.get(identifier)
    if known is None:
        return f"<!subteam^{identifier}> (members unknown)"
    more = f" and {known.count - len(known.names)} more" if known.count > len(known.names) else ""
    return f"<!subteam^{identifier}> ({', '.join(map(person_name, known.names)) or 'no members'}{more})"


def handover_card(report: ShiftReport, by: str) -> Message:
    """Render a shift report for the channel, requested ``by`` somebody."""
    counted = {
        "open": report.open,
        "snoozed": report.snoozed,
        "resolved": report.resolved,
        "recovered": report.recovered,
    }
    title = "Handover: " + ", ".join(f"{len(summaries)} {word}" for word, summaries in counted.items())
    parts = [
        *_summary_section("Open", report.open, _open_line),
        *_summary_section("Snoozed", report.snoozed, _snoozed_line),
        *_summary_section("Resolved", report.resolved, _resolved_line),
    ]
    speeds = (("acknowledge", report.answered), ("close", report.ended))
    pace = [f"to {what} {text.describe_duration(max(seconds, 1))}" for what, seconds in speeds if seconds is not None]
    facts = [f"Median time {', '.join(pace)}." if pace else "", _people_line(report.deeds)]
    asked = f"Requested by {person_name(by)}, {format_moment(report.since, 'since ')}."
    small = context_block(" ".join(fact for fact in (*facts, asked) if fact))
    return Message(title, [section_block(f"📌 *{title}*"), *paragraph_blocks(parts), small])


def handover_reply(link: str, ago: float) -> Message:
    """Reply to the person who requested a handover; ``link`` may be empty."""
    sentence = "Handover posted"
    shown = f"<{link}|{sentence}>" if link else sentence
    return Message(
        f"{sentence}.",
        [section_block(f"📌 {shown}."), context_block(f"Covers the last {text.describe_duration(ago)}.")],
    )


def _summary_section(
    title: str, summaries: Sequence[FailureSummary], line: Callable[[FailureSummary], str]
) -> list[str]:
    more = [f"and {len(summaries) - MAX_HANDOVER_ROWS} more"] if len(summaries) > MAX_HANDOVER_ROWS else []
    return [f"*{title}*", *(f"• {line(story)}" for story in summaries[:MAX_HANDOVER_ROWS]), *more] if summaries else []


def _open_line(summary: FailureSummary) -> str:
    owner = person_name(summary.present.owner.name) if summary.present.owner.id else "unassigned"
    return f"{text.escape_line(summary.title, 150)} · {format_moment(summary.began, 'since ')} · {owner}"


def _snoozed_line(summary: FailureSummary) -> str:
    return f"{text.escape_line(summary.title, 150)} · {snooze_end_text(summary.present.until, summary.present.more)}"


def _resolved_line(summary: FailureSummary) -> str:
    reason = RESOLUTION_REASONS.get(summary.present.reason, "")
    return " · ".join(
        filter(None, (text.escape_line(summary.title, 150), person_name(summary.present.moved_by.name), reason))
    )


def _people_line(actions: Sequence[tuple[str, int]]) -> str:
    worked = ", ".join(
        f"{person_name(person)} ({count_noun(number, 'action')})" for person, number in actions[:MAX_HANDOVER_ROWS]
    )
    return f"Active: {worked}." if worked else ""

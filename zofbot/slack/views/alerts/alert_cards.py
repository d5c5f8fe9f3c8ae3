"""Alert cards for a failed run or a failing case: what failed, where, and the current state."""

from __future__ import annotations

from collections.abc import Iterable

from zofbot.domain.model import Outcome, Result, Run
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.alert_payloads import AlertStatus, CaseAlertPayload, RunAlertPayload
from zofbot.notifications.extra_summaries import merge_summaries
from zofbot.notifications.payload_parts import RunSummary
from zofbot.notifications.payloads import FailurePayload
from zofbot.notifications.titles import format_title
from zofbot.slack.views.alerts.cause_views import causes_text, failure_lines
from zofbot.slack.views.alerts.past_causes import past_cause_lines
from zofbot.slack.views.blocks import Block, Message, context_block, header_block
from zofbot.slack.views.case_history import case_past_text, standings_text
from zofbot.slack.views.components import (
    MentioningMessage,
    as_run,
    failure_blocks,
    format_mentions,
    format_moment,
    lookup_button,
    meta_block,
    owner_line,
    page_link,
    paragraph_blocks,
    with_mentions,
)
from zofbot.slack.views.extras import extra_line
from zofbot.slack.views.outcomes import (
    OUTCOME_EXPLANATIONS,
    OUTCOME_STYLES,
    OutcomeStyle,
    format_counts,
    format_long_place,
    style_of_run,
)
from zofbot.slack.views.render_context import RenderContext
from zofbot.slack.views.triage.triage_controls import CardOptions, control_blocks
from zofbot.slack.views.triage.triage_status import RESOLUTION_REASONS, STATE_STYLES, person_name, status_line
from zofbot.triage import TriageRecord, TriageState


def run_alert_card(body: RunAlertPayload, context: RenderContext) -> Message:
    """Render a failed run with its numbers and its first failures."""
    run = as_run(body.run)
    link = context.links.run_url(run)
    numbers = _run_numbers(body, run)
    single = body.top[0].id if body.bad == 1 and body.top else ""
    below = [
        *paragraph_blocks(
            [_format_numbers(numbers), _outcome_explanation(context.present, run.outcome)],
            lookup_button("View details", "zof_result", single, "View this result")
            or lookup_button("View run", "zof_run", body.run.id, "View this run"),
        ),
        *paragraph_blocks(failure_lines(body)),
        *paragraph_blocks([standings_text(body.standings, body.quarantined), *history_lines(body, context.present)]),
        *extra_line(body.extras, context.links),
        *_controls(body, context, link),
        *_omission_notes(body, context),
        meta_block(f"Run {text.inline_code(body.run.id)}", *_run_facts(body.run), page_link(link)),
    ]
    title = body.run.title or f"Run {body.run.id}"
    return _alert_card(body, context.present, style_of_run(run, body.bad), title, numbers, below)


def _run_numbers(body: RunAlertPayload, run: Run) -> list[str]:
    counted = (run.counts.failed or 0) + (run.counts.error or 0)
    return [
        format_counts(run),
        count_noun(body.bad, "failure") if body.bad > 1 and body.bad != counted else "",
        causes_text(body),
        f"{body.count} failed runs{format_moment(body.first, ' since ')}" if body.count > 1 else "",
    ]


def case_alert_card(body: CaseAlertPayload, context: RenderContext) -> Message:
    """Render a failing case, over one or more runs."""
    case = body.case
    link = context.links.result_url(Result(id=case.id, run_id=body.run.id or None, url=case.url or None))
    since = format_moment(body.first, " since ") if body.count > 1 else ""
    numbers = [
        f"{count_noun(body.count, 'failure')}{since}",
        f"{count_noun(case.attempts, 'attempt')} in this run" if case.attempts > 1 else "",
    ]
    below = [
        *paragraph_blocks(
            [_format_numbers(numbers), _outcome_explanation(context.present, case.outcome)],
            lookup_button("View details", "zof_result", case.id, "View this result"),
        ),
        *failure_blocks(case),
        *paragraph_blocks([case_past_text(case), *history_lines(body, context.present)]),
        *extra_line(merge_summaries(case.extras, body.extras), context.links),
        *_controls(body, context, link),
        *_omission_notes(body, context),
        meta_block(
            f"Run {text.inline_code(body.run.id)}",
            f"Result {text.inline_code(case.id)}",
            f"Case {text.inline_code(body.case_id)}" if body.case_id and body.case_id != case.title else "",
            *_run_facts(body.run, last=body.last),
            page_link(link),
        ),
    ]
    title = case.title or f"Result {case.id}"
    return _alert_card(body, context.present, OUTCOME_STYLES[case.outcome], title, numbers, below)


def _format_numbers(numbers: Iterable[str]) -> str:
    shown = " · ".join(filter(None, numbers))
    return f"*{shown}*" if shown else ""


def _controls(body: RunAlertPayload | CaseAlertPayload, context: RenderContext, link: str) -> list[Block]:
    offers = CardOptions(bool(body.policy.escalate), context.runs, link, body.run.id)
    return control_blocks(context.failure_ref, context.present, offers)


def _alert_card(  # noqa: PLR0913, PLR0917  (the parts of one frame)
    body: RunAlertPayload | CaseAlertPayload,
    present: TriageRecord,
    look: OutcomeStyle,
    title: str,
    numbers: Iterable[str],
    below: list[Block],
) -> Message:
    """Build the layout of both cards: header and mentions on top, everything else beside the color bar."""
    word, emoji, color = look.word or "Failed", look.emoji, look.color
    if present.state in STATE_STYLES:
        word, emoji, color = STATE_STYLES[present.state]
    elif body.standing is AlertStatus.AGAIN or body.resolved:
        word = "Failing again"
    sentence = f"{word}: {format_title(title, body.run.project, body.run.environment)}"
    line = " · ".join([text.escape_line(sentence, 200), *filter(None, numbers)])
    top = [header_block(text.clean_literal(f"{emoji} {sentence}", 150))]
    if not body.owners:
        return with_mentions(line, top, color, below, body.mention)
    top += paragraph_blocks(owner_line(owner, body.mention) for owner in body.owners)
    return MentioningMessage(line, top, color, below, mention=format_mentions(body.mention))


def _outcome_explanation(present: TriageRecord, outcome: Outcome) -> str:
    return "" if present.state is TriageState.RECOVERED else OUTCOME_EXPLANATIONS.get(outcome, "")


def _omission_notes(body: RunAlertPayload | CaseAlertPayload, context: RenderContext) -> list[Block]:
    """Return notes about a storm that covers this alert, and about omitted mentions."""
    notes = [
        "🌩️ Part of a storm. Actions on the storm's summary apply here too." if context.storm else "",
        "No mention here: the same people were already mentioned twice this minute." if body.unmentioned else "",
    ]
    return [context_block(note) for note in notes if note]


def history_lines(body: FailurePayload, present: TriageRecord) -> list[str]:
    """Return what is remembered of a failure, its last change and its state, each in a line."""
    return [_past_resolution(body, present), *past_cause_lines(body), _status_change(body), status_line(present)]


def _status_change(body: FailurePayload) -> str:
    """Return the time and run of the last recovery or relapse."""
    if body.turned is None:
        return ""
    what = "✅ Recovered" if body.standing is AlertStatus.RECOVERED else "🔁 Failing again"
    by = f" in {text.inline_code(body.turner)}" if body.turner else ""
    return f"{what}{format_moment(body.turned, ' ')}{by}"


def _past_resolution(body: FailurePayload, present: TriageRecord) -> str:
    """Describe the resolution before it failed again; empty once the failure is closed."""
    before = body.resolved
    if before is None or present.state.is_closed:
        return ""
    why = f": {RESOLUTION_REASONS[before.reason]}" if before.reason in RESOLUTION_REASONS else ""
    note = f"\n> {text.escape_line(before.note, 500)}" if before.note else ""
    at = format_moment(before.at, " ")
    return f"🔁 *Failing again* after {person_name(before.by)} resolved it{at}{why}{note}"


def _run_facts(place: RunSummary, *, last: float | None = None) -> list[str]:
    """Return how long a run took and when it ended, or when the case failed last; and a place too long for a title."""
    ended = place.ended if last is None else last
    return [
        format_long_place(place.project, place.environment),
        text.describe_duration(place.duration) if place.duration is not None else "",
        format_moment(ended, "finished " if last is None else "failed ") if ended is not None else "",
    ]

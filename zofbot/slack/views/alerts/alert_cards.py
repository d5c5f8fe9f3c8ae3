"""Alert cards for a failed run or a failing case: what failed, where, and the current state."""

from __future__ import annotations

from collections.abc import Iterable

from zofbot.domain.model import Outcome, Result
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.alert_payloads import AlertStatus, CaseAlertPayload, RunAlertPayload
from zofbot.notifications.extra_summaries import merge_summaries
from zofbot.notifications.payload_parts import RunSummary
from zofbot.notifications.payloads import FailurePayload
from zofbot.slack.views.alerts.cause_views import causes_text, failure_rows
from zofbot.slack.views.alerts.past_causes import past_cause_blocks
from zofbot.slack.views.blocks import Block, Message, context_block, field_blocks, header_block, section_block
from zofbot.slack.views.case_history import case_past_text, standings_text
from zofbot.slack.views.components import (
    MentioningMessage,
    as_run,
    failure_blocks,
    format_mentions,
    format_moment,
    location_fields,
    lookup_button,
    owner_line,
    paragraph_blocks,
    with_mentions,
)
from zofbot.slack.views.extras import extra_field_pairs, link_blocks
from zofbot.slack.views.outcomes import (
    OUTCOME_EXPLANATIONS,
    OUTCOME_STYLES,
    OutcomeStyle,
    format_counts,
    format_tally,
    style_of_run,
)
from zofbot.slack.views.render_context import RenderContext
from zofbot.slack.views.triage.triage_controls import CardOptions, control_blocks
from zofbot.slack.views.triage.triage_status import RESOLUTION_REASONS, person_name, status_blocks
from zofbot.slack.views.triage.triage_status import STATE_STYLES as STATES
from zofbot.triage import TriageRecord, TriageState


def run_alert_card(body: RunAlertPayload, context: RenderContext) -> Message:
    """Render a failed run with its totals and its first failures."""
    run = as_run(body.run)
    below = [
        *_outcome_explanation(context.present, run.outcome),
        *([section_block(format_tally(run))] if format_tally(run) else []),
        *field_blocks(
            [
                *location_fields(body.run),
                *_time_fields(body.run),
                *_count_fields(body),
                *extra_field_pairs(body.extras),
            ]
        ),
        *link_blocks(body.extras, context.links),
        *failure_rows(body),
        *paragraph_blocks(filter(None, [standings_text(body.standings, body.quarantined)])),
        *past_resolution(body, context.present),
        *past_cause_blocks(body),
        *status_change(body),
        *status_blocks(context.present),
        *_controls(body, context, context.links.run_url(run)),
        *_omission_notes(body, context),
        context_block(f"Run {text.inline_code(body.run.id)}"),
    ]
    facts = [*_summary_facts(body.run), format_counts(run), causes_text(body)]
    return _alert_card(
        body, context.present, style_of_run(run, body.bad), body.run.title or f"Run {body.run.id}", facts, below
    )


def case_alert_card(body: CaseAlertPayload, context: RenderContext) -> Message:
    """Render a failing case, over one or more runs."""
    case, several = body.case, body.count > 1
    extras = merge_summaries(case.extras, body.extras)
    told = [
        ("Failures", str(body.count)),
        ("In this run", count_noun(case.attempts, "attempt") if case.attempts > 1 else ""),
        ("Case", text.inline_code(body.case_id if body.case_id != case.title else "")),
        ("First failed", format_moment(body.first) if several else ""),
        ("Last failed" if several else "Failed", format_moment(body.last)),
    ]
    result = Result(id=case.id, run_id=body.run.id or None, url=case.url or None)
    below = [
        *_outcome_explanation(context.present, case.outcome),
        *_with_details_button(field_blocks([*location_fields(body.run), *told, *extra_field_pairs(extras)]), case.id),
        *failure_blocks(case),
        *paragraph_blocks(filter(None, [case_past_text(case)])),
        *link_blocks(extras, context.links),
        *past_resolution(body, context.present),
        *past_cause_blocks(body),
        *status_change(body),
        *status_blocks(context.present),
        *_controls(body, context, context.links.result_url(result)),
        *_omission_notes(body, context),
        context_block(f"Run {text.inline_code(body.run.id)} · Result {text.inline_code(case.id)}"),
    ]
    facts = [*_summary_facts(body.run)[:2], count_noun(body.count, "failure") if several else ""]
    return _alert_card(
        body, context.present, OUTCOME_STYLES[case.outcome], case.title or f"Result {case.id}", facts, below
    )


def _controls(body: RunAlertPayload | CaseAlertPayload, context: RenderContext, link: str) -> list[Block]:
    offers = CardOptions(bool(body.policy.escalate), context.runs, link, body.run.id)
    return control_blocks(context.failure_ref, context.present, offers)


def _with_details_button(blocks: list[Block], result_id: str) -> list[Block]:
    """Add a *Details* button beside the first block."""
    details = lookup_button("View details", "zof_result", result_id, "View this result")
    return [blocks[0] | {"accessory": details}, *blocks[1:]] if blocks and details else blocks


def _alert_card(  # noqa: PLR0913, PLR0917  (the parts of one frame)
    body: RunAlertPayload | CaseAlertPayload,
    present: TriageRecord,
    look: OutcomeStyle,
    title: str,
    facts: Iterable[str],
    below: list[Block],
) -> Message:
    """Build the layout of both cards: header and mentions on top, everything else beside the color bar."""
    word, emoji, colour = look.word or "Failed", look.emoji, look.colour
    if present.state in STATES:
        word, emoji, colour = STATES[present.state]
    elif body.standing is AlertStatus.AGAIN or body.resolved:
        word = "Failing again"
    sentence = f"{word}: {title}"
    line = " · ".join([text.escape_line(sentence, 200), *(fact for fact in facts if fact)])
    top = [header_block(text.clean_literal(f"{emoji} {sentence}", 150))]
    if not body.owners:
        return with_mentions(line, top, colour, below, body.mention)
    top += paragraph_blocks(owner_line(owner, body.mention) for owner in body.owners)
    return MentioningMessage(line, top, colour, below, format_mentions(body.mention))


def _outcome_explanation(present: TriageRecord, outcome: Outcome) -> list[Block]:
    return (
        [section_block(OUTCOME_EXPLANATIONS[outcome])]
        if outcome in OUTCOME_EXPLANATIONS and present.state is not TriageState.RECOVERED
        else []
    )


def _omission_notes(body: RunAlertPayload | CaseAlertPayload, context: RenderContext) -> list[Block]:
    """Return notes about a storm that covers this alert, and about omitted mentions."""
    notes = [
        "🌩️ Part of a storm. Actions on the storm's summary apply here too." if context.storm else "",
        "No mention here: the same people were already mentioned twice this minute." if body.unmentioned else "",
    ]
    return [context_block(note) for note in notes if note]


def status_change(body: FailurePayload) -> list[Block]:
    """Return a line with the time and run of the last recovery or relapse."""
    if body.turned is None:
        return []
    what = "✅ Recovered" if body.standing is AlertStatus.RECOVERED else "🔁 Failing again"
    by = f", run {text.inline_code(body.turner)}" if body.turner else ""
    return [section_block(f"{what} {format_moment(body.turned)}{by}")]


def past_resolution(body: FailurePayload, present: TriageRecord) -> list[Block]:
    """Return a line about the resolution before it failed again; empty once the failure is closed."""
    before = body.resolved
    if before is None or present.state.is_closed:
        return []
    why = f": {RESOLUTION_REASONS[before.reason]}" if before.reason in RESOLUTION_REASONS else ""
    note = f"\n> {text.escape_line(before.note, 500)}" if before.note else ""
    return [
        section_block(
            f"🔁 *Failing again* after {person_name(before.by)} resolved it {format_moment(before.at)}{why}{note}"
        )
    ]


def _summary_facts(place: RunSummary) -> list[str]:
    duration = text.describe_duration(place.duration) if place.duration is not None else ""
    return [text.escape_line(place.project, 80), text.escape_line(place.environment, 80), duration]


def _count_fields(body: RunAlertPayload) -> list[tuple[str, str]]:
    """Return the number of failing runs, if a subscription waits for several."""
    return [("Failures", f"{body.count}, since {format_moment(body.first)}")] if body.count > 1 else []


def _time_fields(place: RunSummary) -> list[tuple[str, str]]:
    duration = text.describe_duration(place.duration) if place.duration is not None else ""
    return [("Finished", format_moment(place.ended) if place.ended is not None else ""), ("Duration", duration)]

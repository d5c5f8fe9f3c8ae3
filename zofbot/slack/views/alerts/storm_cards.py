"""Storm cards: the summary, which people triage like any failure, and the list of its members."""

from __future__ import annotations

from zofbot.domain.model import Outcome, Result, Run
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.alert_payloads import AlertStatus
from zofbot.notifications.payload_parts import MAX_LINK_LENGTH
from zofbot.notifications.storm_payloads import StormMember, StormMembersPayload, StormPayload
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.alerts.cause_cards import cause_alert_card, location_text, place_lines
from zofbot.slack.views.alerts.cause_views import MAX_ROWS_SHOWN, cause_line
from zofbot.slack.views.blocks import Block, Message, context_block, header_block, section_block, take_fitting
from zofbot.slack.views.components import as_run, format_moment, paragraph_blocks, with_mentions
from zofbot.slack.views.outcomes import OUTCOME_STYLES
from zofbot.slack.views.render_context import RenderContext
from zofbot.slack.views.triage.triage_controls import CardOptions, control_blocks
from zofbot.slack.views.triage.triage_status import STATE_STYLES, status_line

STORM_CALM_SECONDS = 60.0
"""Seconds after its last failure until a storm is over."""

_STATUS_EMOJI = {AlertStatus.OPEN: "🔴", AlertStatus.RECOVERED: "✅", AlertStatus.AGAIN: "🔁"}


def storm_alert_card(body: StormPayload, context: RenderContext) -> Message:
    """Render a storm's summary: failures by location, how many are open, triage state and controls."""
    if body.by_cause and body.causes:
        return cause_alert_card(body, context)
    over = body.closed or context.now >= body.last + STORM_CALM_SECONDS
    sentence = _storm_headline(body, over=over)
    look = OUTCOME_STYLES[Outcome.CANCELED if over and not body.open else Outcome.FAILED]
    emoji, color, shown = "🌤️" if over else "🌩️", look.color, sentence
    if body.members and context.present.state in STATE_STYLES:
        word, emoji, color = STATE_STYLES[context.present.state]
        shown = f"{word}: {sentence}"
    kept = f"{count_noun(body.alerts, 'alert')} summed up here"
    run = as_run(body.run)
    below = [
        *paragraph_blocks(
            [
                f"*{_open_count_text(body)}*. Actions here apply to all of them." if body.members else "",
                f"All in run *{text.escape_line(run.title or run.id, 150)}*" if run.id else "",
                *_cause_lines(body),
                *place_lines(body),
                status_line(context.present) if body.members else "",
            ]
        ),
        *_member_controls(body, context),
        context_block(f"{kept}, {format_moment(body.since, 'since ')}.{_own_messages_text(body)}"),
    ]
    line = f"{shown} · {_open_count_text(body)}" if body.members else shown
    return with_mentions(line, [header_block(text.clean_literal(f"{emoji} {shown}", 150))], color, below, body.mention)


def _storm_headline(body: StormPayload, *, over: bool) -> str:
    """Count the alerts that actions on the storm apply to, or the failures where not all of them are remembered."""
    most = body.members >= body.failures
    number = count_noun(body.members, "alert") if most else count_noun(body.failures, "failure")
    lasted = text.describe_duration(max(body.last - body.since, 1.0))
    return f"Storm over: {number} in {lasted}" if over else f"Storm: {number} so far"


def _cause_lines(body: StormPayload) -> list[str]:
    """Return the causes of the storm's failures, the worst first; empty if none is known."""
    if not any(cause.signature for cause in body.causes):
        return []
    if body.sole_cause:
        return [f"*One cause explains it:* {cause_line(body.sole_cause)}"]
    shown = body.causes[:MAX_ROWS_SHOWN]
    more = body.uncaused + sum(cause.count for cause in body.causes[MAX_ROWS_SHOWN:])
    others = [f"and {count_noun(more, 'failure')} of other causes"] if more else []
    return ["*Causes*", *map(cause_line, shown), *others]


def _member_controls(body: StormPayload, context: RenderContext) -> list[Block]:
    """Return the controls and the omitted mentions; a storm without members has no controls."""
    left_out = f"{count_noun(body.unmentioned, 'mention')} left out: at most two per minute for the same people."
    if not body.members:
        return [context_block(left_out)] if body.unmentioned else []
    offers = CardOptions(bool(body.policy.escalate), link=context.links.run_url(as_run(body.run)), run_id=body.run.id)
    return [
        *control_blocks(context.failure_ref, context.present, offers),
        *([context_block(left_out)] if body.unmentioned else []),
    ]


def _own_messages_text(body: StormPayload) -> str:
    """How many more it is made of: those that were posted before it was known as a storm."""
    own = len(body.cards)
    if not own:
        return ""
    return f" {own} more {'was' if own == 1 else 'were'} posted before that, separately."


def _open_count_text(body: StormPayload) -> str:
    alerts = count_noun(body.members, "alert")
    return f"{body.open} of {alerts} still open" if body.open else f"All of {alerts} recovered"


def storm_members_reply(body: StormMembersPayload, context: RenderContext) -> Message:
    """Render one page of the storm's members with their current states, without links if these are too long."""
    last = body.first + len(body.members) - 1
    numbers = f"{body.first} to {last}" if last > body.first else str(body.first)
    sentence = f"Alert{'s' if last > body.first else ''} {numbers} of this storm"
    sentence = f"Where this cause was seen: {numbers}" if body.by_cause else sentence
    lines = [_member_line(member, _member_link(member, context.links)) for member in body.members]
    if len(take_fitting(lines)) < len(lines):
        lines = [_member_line(member, "") for member in body.members]
    return Message(sentence, [section_block(f"*{sentence}*"), *paragraph_blocks(lines)])


def _member_line(member: StormMember, link: str) -> str:
    title = text.escape_line(member.title or member.id, 100)
    linked = link and len(link) <= MAX_LINK_LENGTH and "|" not in link and ">" not in link
    shown = f"<{link}|{title}>" if linked else title
    facts = [
        location_text(member.project, member.environment),
        text.inline_code(member.id) if member.id != member.title else "",
        f"failed {member.count} times" if member.count > 1 else "",
        {AlertStatus.RECOVERED: "recovered", AlertStatus.AGAIN: "failing again"}.get(member.standing, ""),
        "no longer tracked" if member.dropped else "",
    ]
    more = f" and {count_noun(member.cases - 1, 'more case')}" if member.cases > 1 else ""
    emoji = _STATUS_EMOJI[member.standing] if member.followed else "📣"
    return f"{emoji} *{shown}*{more} · {' · '.join(fact for fact in facts if fact)}"


def _member_link(member: StormMember, links: ZofLinks) -> str:
    """Return the URL of the member's page in Zof; empty if there is none."""
    if not member.followed:
        return ""
    if member.key.startswith("run:"):
        return links.run_url(Run(id=member.id, url=member.url or None))
    return links.result_url(Result(id=member.id, url=member.url or None))

"""Render results, the outbox, the audit log and traces for a terminal, in the same words as in Slack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from zofbot.cli.channel_names import describe_channel
from zofbot.domain.model import Result, utc_datetime
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.titles import format_place
from zofbot.observability.trace_model import Trace
from zofbot.services.cause_costs import CauseCost
from zofbot.slack.links import ZofLinks
from zofbot.slack.views import traces
from zofbot.slack.views.outcomes import OUTCOME_EXPLANATIONS, OUTCOME_STYLES, format_headline
from zofbot.store import audit
from zofbot.store.records import OutboxRecord


def result_panel(result: Result, links: ZofLinks) -> Panel:
    """Render one result; missing values are left out."""
    logs = links.allowed_url(result.logs) or result.logs
    headline, place = format_headline(result), format_place(result.project or "", result.environment or "")
    facts = [
        ("Project and environment", "" if place in headline else place),
        ("Run", result.run_id),
        ("Case", result.case_id if result.case_id != result.title else None),
        ("Severity", result.severity),
        ("Started", text.format_utc(result.started) if result.started else None),
        ("Finished", text.format_utc(result.ended) if result.ended else None),
        ("Duration", text.describe_duration(result.duration) if result.duration is not None else None),
        ("Logs", logs),
        ("Open in Zof", links.result_url(result)),
    ]
    table = Table.grid(padding=(0, 2))
    for label, value in facts:
        if value:
            table.add_row(Text(label, style="dim"), Text(text.clean_literal(value, 500)))
    parts: list[Table | Text] = (
        [Text(OUTCOME_EXPLANATIONS[result.outcome])] if result.outcome in OUTCOME_EXPLANATIONS else []
    )
    parts.append(table)
    if result.failure:
        parts.append(Text("\n" + text.clean_literal(result.failure), style="red"))
    return Panel(
        Group(*parts),
        title=Text(headline, style="bold"),
        subtitle=Text(
            f"{result.id} · Request ID: {result.request_id}" if result.request_id else result.id, style="dim"
        ),
        border_style=OUTCOME_STYLES[result.outcome].color,
        title_align="left",
        subtitle_align="left",
    )


def cause_table(costs: Sequence[CauseCost]) -> Table:
    """Render causes of failures, one per row."""
    table = Table("Failures", "Open for", "Alerts", "Cause", "Failure text", "Projects")
    for cost in costs:
        table.add_row(
            str(cost.failures),
            text.describe_duration(max(cost.seconds, 1)),
            f"{len(cost.alerts)}, {cost.open_count} open" if cost.open_count else str(len(cost.alerts)),
            Text(cost.signature),
            Text(text.clean_literal(cost.example.why.partition("\n")[0], 200)),
            Text(text.clean_literal(", ".join(cost.projects), 100)),
        )
    return table


def outbox_table(entries: Sequence[OutboxRecord], now: float, names: Mapping[str, str]) -> Table:
    """Render notifications, one per row; ``now`` (Unix seconds) gives their age, ``names`` those of channels by id."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("state", "age", "attempts", "channel", "key", "reason"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        age = text.describe_duration(max(now - entry.committed, 0)) if entry.committed else ""
        channel = describe_channel(entry.channel, names)
        cells = (entry.state.value, age, str(entry.attempts or ""), channel, entry.key, entry.reason)
        table.add_row(*(Text(text.clean_literal(cell, 300)) for cell in cells))
    return table


def audit_table(entries: Sequence[audit.AuditRecord], names: Mapping[str, str]) -> Table:
    """Render audit records, one per row; ``names`` are those of channels by id."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("time", "who", "action", "from", "to", "channel", "key", "details"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        who = f"{entry.name} ({entry.user})" if entry.name not in ("", entry.user) else entry.user
        details = ", ".join(f"{name}: {value}" for name, value in entry.details.items())
        when = text.format_utc(utc_datetime(entry.at))
        channel = describe_channel(entry.channel, names)
        cells = (when, who, entry.act, entry.before, entry.after, channel, entry.key, details)
        table.add_row(*(Text(text.clean_literal(cell, 300)) for cell in cells))
    return table


def trace_table(trace: Trace, names: Mapping[str, str]) -> Table:
    """Render one trace, one step per row; ``names`` are those of channels by id."""
    parts = (
        traces.trace_heading(trace),
        trace.user,
        describe_channel(trace.channel, names),
        text.format_utc(utc_datetime(trace.at)),
        trace.reference,
    )
    title = Text(text.clean_literal(" · ".join(part for part in parts if part), 400), style="bold")
    table = Table(box=None, padding=(0, 2, 0, 0), title=title, title_justify="left")
    for name in ("after", "part", "did", "outcome", "details"):
        table.add_column(name, overflow="fold", justify="right" if name == "after" else "left")
    for number, step in enumerate(trace.steps):
        if trace.left_out and number == trace.gap:
            table.add_row("", "", f"({count_noun(trace.left_out, 'step')} left out)")
        facts = ", ".join(f"{name} {value}" for name, value in step.facts.items())
        cells = (f"{step.at} ms", step.component, step.action, step.outcome, facts)
        table.add_row(*(Text(text.clean_literal(cell, 300), style="red" if step.bad else "") for cell in cells))
    return table

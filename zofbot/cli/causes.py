"""``zofbot causes``: what the failures of a channel, or of all channels, come from, and what that costs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zofbot.cli.printing import print_json
from zofbot.cli.runner import exit_with, prepare_settings, run_with_store
from zofbot.clock import Clock

if TYPE_CHECKING:  # importing the services would slow down --help
    from zofbot.cli.stored_data import StoredData
    from zofbot.services.cause_costs import CauseCost


def causes(
    since: Annotated[str, typer.Option(metavar="DURATION", help="How far back: 24h or 7d, at most 38d.")] = "7d",
    channel: Annotated[str, typer.Option(metavar="CHANNEL_ID", help="Only this channel.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines, the default if the output is not a terminal.")
    ] = False,
) -> None:
    """List the causes of failures, most failures first."""
    from zofbot.domain.durations import try_parse_duration  # noqa: PLC0415
    from zofbot.services.cause_costs import MAX_PERIOD_SECONDS, compute_costs  # noqa: PLC0415

    span = try_parse_duration(since)
    if not span:
        exit_with(2, f"--since {since} is not a duration. Write 24h or 7d.")
    if span > MAX_PERIOD_SECONDS:
        exit_with(2, f"--since {since} is too long: failures are kept for 38 days. Write at most 38d.")

    async def print_causes(store: StoredData) -> None:
        from zofbot.observability.emitter import EventEmitter  # noqa: PLC0415
        from zofbot.services.triage import TriageService  # noqa: PLC0415

        clock = Clock()
        failures = await TriageService(store.outbox, clock, EventEmitter()).list_failures(channel)
        print_costs(compute_costs(failures, clock.time() - span, clock.time()), as_json or not sys.stdout.isatty())

    run_with_store(prepare_settings(), print_causes)


def print_costs(costs: list[CauseCost], as_json: bool) -> None:
    """Print causes as JSON lines or as a table."""
    from rich.console import Console  # noqa: PLC0415  (only tables need these)

    from zofbot.cli.render import cause_table  # noqa: PLC0415

    if as_json:
        for cost in costs:
            print_json(_as_json(cost), indent=None)
    elif costs:
        Console().print(cause_table(costs))
    else:
        typer.echo("No failures with a known cause in that time.")


def _as_json(cost: CauseCost) -> dict[str, Any]:
    return {
        "id": cost.signature,
        "failures": cost.failures,
        "open_seconds": round(cost.seconds),
        "alerts": len(cost.alerts),
        "open": cost.open_count,
        "channels": sorted({alert.channel for alert in cost.alerts}),
        "projects": list(cost.projects),
        "first": round(cost.first),
        "last": round(cost.last),
        "case": cost.example.title,
        "example": cost.example.why or cost.example.title,
    }

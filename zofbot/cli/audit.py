"""``zofbot audit``: list who did what."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.channel_names import read_channel_names
from zofbot.cli.printing import print_json
from zofbot.cli.runner import exit_with, prepare_settings, run_with_store
from zofbot.clock import Clock
from zofbot.config.settings import Settings

if TYPE_CHECKING:  # importing the store would slow down --help
    from zofbot.cli.stored_data import StoredData
    from zofbot.store.audit import AuditRecord


def audit(
    since: Annotated[str, typer.Option(metavar="DURATION", help="How far back: 90m, 12h or 7d.")] = "7d",
    user: Annotated[str, typer.Option(metavar="USER_ID", help="Only this person's actions, such as U0123456789.")] = "",
    act: Annotated[
        str, typer.Option(metavar="ACTION", help="Only this action, such as acknowledge, resolve or refused.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines, the default if the output is not a terminal.")
    ] = False,
) -> None:
    """Show who did what, oldest first."""
    from zofbot.domain.durations import try_parse_duration  # noqa: PLC0415

    span = try_parse_duration(since)
    if span is None:
        exit_with(2, f"--since {since} is not a duration. Write 90m, 12h or 7d.")

    async def print_actions(store: StoredData) -> None:
        records = await store.audit.read_records(Clock().time() - span)
        matching = [item for item in records if user in ("", item.user) and act in ("", item.act)]
        await _print_records(settings, matching, as_json or not sys.stdout.isatty())

    settings = prepare_settings()
    run_with_store(settings, print_actions)


async def _print_records(settings: Settings, entries: list[AuditRecord], as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  (only tables need these)

    from zofbot.cli.render import audit_table  # noqa: PLC0415

    if as_json:
        for entry in entries:
            print_json(entry.model_dump(mode="json"), indent=None)
    elif entries:
        names = await read_channel_names(settings, [entry.channel for entry in entries])
        Console().print(audit_table(entries, names))
    else:
        typer.echo("No matching actions in that time.")

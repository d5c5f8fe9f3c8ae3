"""``zofbot audit``: list who did what."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.printing import print_json
from zofbot.cli.runner import exit_with, prepare_settings, run_with_store
from zofbot.clock import Clock

if TYPE_CHECKING:  # importing the store would slow down --help
    from zofbot.cli.stored_data import StoredData
    from zofbot.store.audit import AuditRecord


def audit(
    since: Annotated[str, typer.Option(help="How far back, such as 90m, 12h or 7d.")] = "7d",
    user: Annotated[str, typer.Option(help="Only this person's acts, by id.")] = "",
    act: Annotated[str, typer.Option(help="Only acts of this name, such as acknowledge.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, as off a terminal.")] = False,
) -> None:
    """Who did what, oldest first."""
    from zofbot.domain.durations import try_parse_duration  # noqa: PLC0415

    span = try_parse_duration(since)
    if span is None:
        exit_with(2, f"--since {since} is no span of time: write 90m, 12h or 7d.")

    async def print_actions(store: StoredData) -> None:
        records = await store.audit.read_records(Clock().time() - span)
        matching = [item for item in records if user in ("", item.user) and act in ("", item.act)]
        _print_records(matching, as_json or not sys.stdout.isatty())

    run_with_store(prepare_settings(), print_actions)


def _print_records(entries: list[AuditRecord], as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  (only tables need these)

    from zofbot.cli.render import audit_table  # noqa: PLC0415

    if as_json:
        for entry in entries:
            print_json(entry.model_dump(mode="json"), indent=None)
    elif entries:
        Console().print(audit_table(entries))
    else:
        typer.echo("There is no such act in that time.")

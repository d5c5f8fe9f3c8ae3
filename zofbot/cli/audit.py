"""Who did what, on the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.conduct import give_up, settings_with, with_books
from zofbot.cli.printing import print_json
from zofbot.clock import Clock

if TYPE_CHECKING:  # the store takes longer to import than --help may take
    from zofbot.books import Books
    from zofbot.store.audit import Entry


def audit(
    since: Annotated[str, typer.Option(help="How far back, such as 90m, 12h or 7d.")] = "7d",
    user: Annotated[str, typer.Option(help="Only this person's acts, by id.")] = "",
    act: Annotated[str, typer.Option(help="Only acts of this name, such as acknowledge.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, as off a terminal.")] = False,
) -> None:
    """Who did what, oldest first."""
    from zofbot.spans import read  # noqa: PLC0415

    span = read(since)
    if span is None:
        give_up(2, f"--since {since} is no span of time: write 90m, 12h or 7d.")

    async def work(books: Books) -> None:
        found = await books.audit.read(Clock().time() - span)
        chosen = [one for one in found if user in ("", one.user) and act in ("", one.act)]
        _print(chosen, as_json or not sys.stdout.isatty())

    with_books(settings_with(), work)


def _print(entries: list[Entry], as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  (only drawn tables need these)

    from zofbot.terminal import audit_table  # noqa: PLC0415

    if as_json:
        for entry in entries:
            print_json(entry.model_dump(mode="json"), indent=None)
    elif entries:
        Console().print(audit_table(entries))
    else:
        typer.echo("There is no such act in that time.")

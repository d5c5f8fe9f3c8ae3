"""What is misconfigured, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.conduct import carry_out, give_up, settings_with
from zofbot.cli.printing import print_json
from zofbot.clock import Clock
from zofbot.settings import Settings

if TYPE_CHECKING:  # these take longer to import than --help may take
    from rich.table import Table

    from zofbot.checkup import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


def check(
    url: Annotated[str, typer.Option(help="Public address of the web door, to try it from here.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Try everything that zofbot needs, and say what is wrong and how to mend it; exit 1 if something is."""
    if url and (not url.startswith("https://") or "@" in url):
        give_up(2, "--url must start with https:// and hold no user name, because Slack and Zof call nothing else.")
    settings = settings_with()
    found: list[Finding] = []
    carry_out(_examine(settings, url, found))
    if as_json:
        well = all(one.level != "error" for one in found)
        print_json({"ok": well, "findings": [asdict(one) for one in found]})
    else:
        _print(found)
    raise typer.Exit(any(one.level == "error" for one in found))


async def _examine(settings: Settings, url: str, found: list[Finding]) -> None:
    import logging  # noqa: PLC0415  (--help must not wait for these)

    from zofbot.checkup import examine  # noqa: PLC0415

    logging.getLogger().setLevel(logging.CRITICAL)  # each failed call becomes a finding, which says more than its log
    found += await examine(settings, Clock(), url)


def _print(found: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415  (only drawn tables need it)

    Console().print(_table(found))
    errors, warnings = (sum(one.level == level for one in found) for level in ("error", "warning"))
    typer.echo(f"{errors} errors, {warnings} warnings.")


def _table(found: list[Finding]) -> Table:
    from rich.table import Table  # noqa: PLC0415  (only drawn tables need these)
    from rich.text import Text  # noqa: PLC0415

    from zofbot.slack import text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "about", "finding", "mend"):
        table.add_column(name, overflow="fold")
    for one in found:
        cells = (text.literal(cell, 500) for cell in (one.about, one.what, one.mend))
        table.add_row(Text(one.level, style=_COLOURS[one.level]), *map(Text, cells))
    return table

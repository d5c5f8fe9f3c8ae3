"""``zofbot check``: report what is misconfigured, and how to fix it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.printing import print_json
from zofbot.cli.runner import check_public_url, prepare_settings, run_command
from zofbot.clock import Clock
from zofbot.config.settings import Settings, find_unknown_names

if TYPE_CHECKING:  # importing these would slow down --help
    from rich.table import Table

    from zofbot.diagnostics import Finding

_COLOR_BY_LEVEL = {"ok": "green", "warning": "yellow", "error": "red"}


def check(
    url: Annotated[str, typer.Option(metavar="URL", help="Also test zofbot's endpoints below this public URL.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Test the setup, and say how to fix each problem.

    Tests tokens, scopes, channels, keys, clocks and Redis. Exits with 1 if there is an error.
    """
    if url:
        check_public_url(url)
    settings = prepare_settings()
    found: list[Finding] = []
    run_command(_collect_findings(settings, url, found))
    if as_json:
        ok = all(item.level != "error" for item in found)
        print_json({"ok": ok, "findings": [_dump_finding(item) for item in found]})
    else:
        _print_findings(found)
    raise typer.Exit(any(item.level == "error" for item in found))


async def _collect_findings(settings: Settings, url: str, found: list[Finding]) -> None:
    import logging  # noqa: PLC0415  (--help must not wait for these)

    from zofbot.diagnostics import check_unknown_settings, run_checks  # noqa: PLC0415

    logging.getLogger().setLevel(logging.CRITICAL)  # failed calls are reported as findings instead
    found += await run_checks(settings, Clock(), url)
    found += check_unknown_settings(find_unknown_names())


def _dump_finding(finding: Finding) -> dict[str, str]:
    fields = {"level": finding.level, "about": finding.about, "what": finding.what, "fix": finding.fix}
    return fields | {"mend": finding.fix}  # an earlier name, for scripts that read it


def _print_findings(found: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415  (only tables need these)

    from zofbot.domain.text import count_noun  # noqa: PLC0415

    Console().print(_findings_table(found))
    errors, warnings = (sum(item.level == level for item in found) for level in ("error", "warning"))
    typer.echo(f"{count_noun(errors, 'error')}, {count_noun(warnings, 'warning')}.")


def _findings_table(found: list[Finding]) -> Table:
    from rich.table import Table  # noqa: PLC0415  (only tables need these)
    from rich.text import Text  # noqa: PLC0415

    from zofbot.notifications import text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "about", "finding", "fix"):
        table.add_column(name, overflow="fold")
    for item in found:
        cells = (text.clean_literal(cell, 500) for cell in (item.about, item.what, item.fix))
        table.add_row(Text(item.level, style=_COLOR_BY_LEVEL[item.level]), *map(Text, cells))
    return table

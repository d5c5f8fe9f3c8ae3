"""``zofbot result``: look up one result."""

from __future__ import annotations

from typing import Annotated

import typer

from zofbot.cli.printing import print_json
from zofbot.cli.runner import prepare_settings, run_command
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import BadInput


def result(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="ID or URL of a result.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the fields as zofbot reads them.")] = False,
) -> None:
    """Show one result.

    Needs only ZOF_API_KEY: a quick way to test a new key.
    """
    run_command(_print_result(prepare_settings("ZOF_API_KEY"), identifier, as_json))


async def _print_result(settings: Settings, identifier: str, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  (only cards need these)

    from zofbot.cli.render import result_panel  # noqa: PLC0415
    from zofbot.clients import make_links, make_zof_client  # noqa: PLC0415
    from zofbot.domain.command_parser import parse_command  # noqa: PLC0415
    from zofbot.domain.text import read_input  # noqa: PLC0415
    from zofbot.observability.emitter import EventEmitter  # noqa: PLC0415

    typed = parse_command(f"result {read_input(identifier)}", make_links(settings).identify_target)
    if typed.verb != "result":
        raise BadInput("That is not a result.", "Use the ID or URL of a result.")
    client = make_zof_client(settings, EventEmitter(), Clock())
    try:
        fetched = await client.get_result(typed.id)
    finally:
        await client.aclose()
    if as_json:
        print_json(fetched.model_dump(mode="json", exclude_none=True))
    else:
        Console().print(result_panel(fetched, make_links(settings)))

"""``zofbot trace``: show what happened during a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.channel_names import read_channel_names
from zofbot.cli.printing import print_json
from zofbot.cli.runner import exit_with, prepare_settings, run_with_store

if TYPE_CHECKING:  # importing the store would slow down --help
    from zofbot.cli.stored_data import StoredData

UNKNOWN_TRACE = (
    "No trace found: the ID may be mistyped, older than 7 days, still in progress, or from another ZOFBOT_NAMESPACE. "
    "Copy it from the error and try again, or search the log for it."
)


def trace(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="Request ID or reference from an error, or a message's key.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, one per trace.")] = False,
) -> None:
    """Show what led to an error, step by step."""

    async def print_traces(store: StoredData) -> None:
        from rich.console import Console  # noqa: PLC0415  (only tables need these)

        from zofbot.cli.render import trace_table  # noqa: PLC0415
        from zofbot.domain.command_parser import parse_command  # noqa: PLC0415
        from zofbot.domain.text import read_input  # noqa: PLC0415

        traces = await store.traces.find_traces(parse_command(f"trace {read_input(identifier)}").id)
        if not traces:
            exit_with(1, UNKNOWN_TRACE)
        if as_json:
            for item in traces:
                print_json(item.model_dump(mode="json"), indent=None)
        else:
            names = await read_channel_names(settings, [item.channel for item in traces])
            Console().print(*(trace_table(item, names) for item in traces), sep="\n")

    settings = prepare_settings()
    run_with_store(settings, print_traces)

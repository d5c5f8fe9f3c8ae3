"""``zofbot trace``: show what happened during a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.printing import print_json
from zofbot.cli.runner import exit_with, prepare_settings, run_with_store

if TYPE_CHECKING:  # importing the store would slow down --help
    from zofbot.cli.stored_data import StoredData

UNKNOWN_TRACE = (
    "There is no trace under this id: it may be mistyped, older than 7 days, still under way, or of another "
    "ZOFBOT_NAMESPACE. Copy it from the error itself and try again, or look for it in the log."
)


def trace(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A request id or reference that an error showed.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, a trace each.")] = False,
) -> None:
    """What led to an error, step by step: by its request id, its reference, or a notification's key."""

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
            Console().print(*map(trace_table, traces), sep="\n")

    run_with_store(prepare_settings(), print_traces)

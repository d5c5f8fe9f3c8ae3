"""What became of a request, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.conduct import give_up, settings_with, with_books
from zofbot.cli.printing import print_json

if TYPE_CHECKING:  # the store takes longer to import than --help may take
    from zofbot.books import Books

UNKNOWN = (
    "There is no trace under this id: it may be mistyped, older than 7 days, still under way, or of another "
    "ZOFBOT_NAMESPACE. Copy it from the error itself and try again, or look for it in the log."
)


def trace(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A request id or reference that an error showed.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, a trace each.")] = False,
) -> None:
    """What led to an error, step by step: by its request id, its reference, or a notification's key."""

    async def work(books: Books) -> None:
        from rich.console import Console  # noqa: PLC0415  (only drawn tables need these)

        from zofbot.domain.text import read_input  # noqa: PLC0415
        from zofbot.terminal import trace_table  # noqa: PLC0415
        from zofbot.verbs import parse  # noqa: PLC0415

        found = await books.traces.find(parse(f"trace {read_input(identifier)}").id)
        if not found:
            give_up(1, UNKNOWN)
        if as_json:
            for one in found:
                print_json(one.model_dump(mode="json"), indent=None)
        else:
            Console().print(*map(trace_table, found), sep="\n")

    with_books(settings_with(), work)

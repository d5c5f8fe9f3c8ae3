"""``zofbot signature``: print signatures of failure texts, to see why failures are grouped or not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from zofbot.cli.input_file import read_lines
from zofbot.cli.runner import exit_with


def signature(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="JSON lines; standard input by default, or with -.")
    ] = None,
) -> None:
    """Reduce failure texts to signatures.

    Reads JSON lines {"id", "text"}, and prints a JSON line {"id", "signature", "normalized"} for each.
    """
    from zofbot.alerting.failure_signature import make_signature  # noqa: PLC0415  (--help must not wait for its patterns)

    for number, line in enumerate(read_lines(file), 1):
        if not line.strip():
            continue
        identifier, text = _parse_line(line, number)
        computed = make_signature(text)
        output = {"id": identifier, "signature": computed.id, "normalized": computed.normalized}
        sys.stdout.write(json.dumps(output) + "\n")


def _parse_line(line: bytes, number: int) -> tuple[str | int, str]:
    """Parse the id and text of a line; the id may be a number, and is returned unchanged."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        exit_with(2, f"Line {number} is not valid JSON in UTF-8. {_EXPECTED_FORMAT}")
    if not isinstance(found, dict) or not {"id", "text"} <= found.keys():
        exit_with(2, f'Line {number} has no "id" and "text". {_EXPECTED_FORMAT}')
    identifier, text = found["id"], found["text"]
    if not isinstance(text, str) or not isinstance(identifier, str | int) or isinstance(identifier, bool):
        exit_with(2, f'In line {number}, "id" or "text" is not a string. {_EXPECTED_FORMAT}')
    return identifier, text


_EXPECTED_FORMAT = 'Write one object per line: {"id": "res_1", "text": "TimeoutError: …"}.'

"""Read a file, or standard input, for a command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from zofbot.cli.runner import exit_with


def read_lines(file: Path | None) -> Iterator[bytes]:
    """Read the lines of ``file``, or of standard input if it is None or ``-``.

    Exits with 2 and a sentence if they cannot be read.
    """
    path = None if str(file) == "-" else file
    try:
        with path.open("rb") if path else nullcontext(sys.stdin.buffer) as source:
            yield from source
    except OSError as error:
        what, fix = (path, "Check the path, or use standard input.") if path else ("standard input", "Use a file.")
        exit_with(2, f"Cannot read {what} ({error.strerror}). {fix}")

"""Open a file, or standard input, that a command reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from zofbot.cli.runner import exit_with


@contextmanager
def open_input(file: Path | None) -> Iterator[BinaryIO]:
    """Open ``file``, or standard input if it is None or ``-``; exits with 2 and a sentence if that is impossible."""
    if file is None or str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        source = file.open("rb")
    except OSError as error:
        exit_with(2, f"Cannot read {file} ({error.strerror}). Check the path, or use standard input.")
    with source:
        yield source

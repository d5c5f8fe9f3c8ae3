"""A file or standard input that cannot be read, as both commands that read one report it."""

from __future__ import annotations

import os

import pytest

from tests.support.cli import CommandResult, run_command, run_command_reading

UNREADABLE = "/proc/self/mem"
"""A file that opens, and whose first page cannot be read."""


@pytest.mark.parametrize("command", [("signature",), ("subscriptions", "import")], ids=" ".join)
async def test_a_file_that_opens_and_cannot_be_read_is_a_sentence(command: tuple[str, ...]) -> None:
    ended = await run_command(*command, UNREADABLE)
    said = f"Cannot read {UNREADABLE} (Input/output error). Check the path, or use standard input."
    assert ended == CommandResult(2, "", f"zofbot: {said}\n")


@pytest.mark.parametrize("command", [("signature",), ("subscriptions", "import")], ids=" ".join)
async def test_standard_input_that_cannot_be_read_is_a_sentence(command: tuple[str, ...]) -> None:
    source = os.open(UNREADABLE, os.O_RDONLY)
    try:
        ended = await run_command_reading(source, *command, "-")
    finally:
        os.close(source)
    assert ended == CommandResult(2, "", "zofbot: Cannot read standard input (Input/output error). Use a file.\n")

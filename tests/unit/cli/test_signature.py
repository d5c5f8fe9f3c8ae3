"""``zofbot signature``, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.support.cli import CommandResult, command_environment, run_command, run_new_process
from zofbot.alerting.failure_signature import make_signature


async def run_with_input(lines: bytes, *arguments: str) -> CommandResult:
    """Run the command with ``lines`` as its standard input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zofbot", "signature", *arguments, env=command_environment(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(lines), 30)
    return CommandResult(process.returncode or 0, out.decode(), err.decode())


TEXTS = ["KeyError: 'email'", "HTTP 503 from https://10.0.0.1/v1/orders/7", "", "Ünïcode … \ud800"]
LINES = "".join(json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(TEXTS))


async def test_each_line_is_answered_in_turn() -> None:
    ended = await run_with_input(("\n" + LINES).encode())
    assert ended.code == 0, ended.err
    answers = [json.loads(line) for line in ended.out.splitlines()]
    assert answers == [
        {"id": number, "signature": make_signature(text).id, "normalized": make_signature(text).normalized}
        for number, text in enumerate(TEXTS)
    ]


async def test_a_file_does_as_well(tmp_path: Path) -> None:
    file = tmp_path / "failures.jsonl"
    file.write_text(LINES)
    assert (await run_command("signature", str(file))).out == (await run_with_input(LINES.encode(), "-")).out


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '"a"', '{"id": "a"}', '{"text": "a"}', '{"id": "a", "text": 3}', '{"id": null, "text": "a"}',
     '{"id": true, "text": "a"}', "[" * 100_000],
)  # fmt: skip
async def test_what_is_not_a_failure_ends_with_a_sentence_that_names_its_line(line: str) -> None:
    ended = await run_with_input(f'{{"id": "a", "text": "b"}}\n{line}\n'.encode())
    assert ended.code == 2
    assert ended.err.startswith(("zofbot: Line 2 ", "zofbot: In line 2,"))
    assert ended.err.count("\n") == 1


async def test_bytes_that_are_no_text_end_with_a_sentence() -> None:
    ended = await run_with_input(b'{"id": "a", "text": "\xff"}\n')
    assert (ended.code, ended.err.partition(".")[0]) == (2, "zofbot: Line 1 is not valid JSON in UTF-8")


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        ended = await run_command("signature", str(path))
        assert ended.code == 2
        assert str(path) in ended.err
        assert ended.err.count("\n") == 1


async def test_help_does_not_load_the_engine() -> None:
    ended = await run_new_process("--help", PYTHONPROFILEIMPORTTIME="1")
    assert "signature" in ended.out
    assert "zofbot.cli.signature" in ended.err, "imports are listed"
    assert "zofbot.alerting" not in ended.err

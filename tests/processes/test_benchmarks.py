"""The benchmarks still run; what they measure is for people to read."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.no_cover  # what it walks is covered elsewhere, and being traced doubles its time
@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("delivery.py", "webhook to message"),
        ("growth.py", "exponent"),
        ("table.py --pairs 1 --rows start memory", "resting memory"),
    ],
    ids=["delivery", "growth", "table"],
)
async def test_the_benchmark_still_works(command: str, line: str) -> None:
    name, *options = command.split()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        ROOT / "benchmarks" / name,
        *options,
        "--quick",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    assert line in printed.decode()

"""The benchmarks still run; what they measure is for people to read."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.no_cover  # what it walks is covered elsewhere, and being traced doubles its time
@pytest.mark.parametrize(
    ("name", "line"), [("delivery.py", "webhook to message"), ("growth.py", "exponent")], ids=["delivery", "growth"]
)
async def test_the_benchmark_still_works(name: str, line: str) -> None:
    script = ROOT / "benchmarks" / name
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, "--quick", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    assert line in printed.decode()

"""Standard streams that are closed or full: the command line ends without a traceback."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from tests.support.cli import command_environment
from tests.support.limits import HANG_SECONDS

COMMAND = f"{shlex.quote(sys.executable)} -m zofbot"


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        (f"{COMMAND} --version >&-", 0, ""),
        (f"set -o pipefail; {COMMAND} --version | true", None, ""),
        (f"{COMMAND} --version >/dev/full", 1, "zofbot: Cannot write the output (No space left on device).\n"),
        (f"{COMMAND} signature <&-", 0, ""),
        (f"PYTHONIOENCODING=ascii {COMMAND} manifest >/dev/null", 0, ""),
    ],
)
def test_a_stream_that_is_closed_or_full_gives_no_traceback(typed: str, code: int | None, says: str) -> None:
    ended = subprocess.run(
        ["bash", "-c", typed],
        env=command_environment(),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert ended.stderr == says
    assert ended.returncode in ((0, 1) if code is None else (code,))  # what reads may be quicker or slower

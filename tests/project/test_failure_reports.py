"""What a failed test prints is enough to repeat it, in whatever phase it failed and whatever its id holds."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.failure_reports import reproduction_command
from tests.support.paths import ROOT

FAILING_TESTS = """
import pytest

from tests.support.bot import running_bot
from zofbot.simulator.seed import BOT_USER_ID
from zofbot.simulator.slack.model import PostedMessage


@pytest.fixture
async def failing_bot(store_url):
    async with running_bot(store_url) as bot:
        await bot.answer_text("/zof help")
        raise RuntimeError


@pytest.fixture
async def complained_bot(store_url):
    async with running_bot(store_url) as bot:
        await bot.answer_text("/zof help")
        yield bot
        bot.world.slack.inspect.problems.append("no such block")


async def test_in_setup(failing_bot): ...


@pytest.mark.parametrize("typed", ["it's $HOME; `x`"])
async def test_in_call(simulator, typed):
    simulator.world.slack.add_message(PostedMessage("C0QA", "1800000001.000100", BOT_USER_ID, "posted in call"))
    assert [f"fault {number}" for number in range(40)] == []


async def test_in_teardown(complained_bot): ...


def test_without_a_loop():
    assert False
"""

FAILING_TESTS_IN_REAL_TIME = """
import pytest

from tests.support.failure_reports import serve_world
from tests.support.virtual_time import test_clock
from zofbot.simulator.world import World


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def shared_world():
    world = World(test_clock())
    async with serve_world(world):
        yield world


async def test_first(shared_world):
    assert False


async def test_second(shared_world):
    assert False
"""


def run_failing_tests(folder: Path) -> str:
    """Run tests with this project's fixtures and options, on a machine that is not CI; returns what is printed."""
    (folder / "test_virtual.py").write_text(FAILING_TESTS)
    (folder / "test_real.py").write_text(FAILING_TESTS_IN_REAL_TIME)
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    command = [sys.executable, "-m", "pytest", "-n0", "-c", str(ROOT / "pyproject.toml")]
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "BUILD_NUMBER")}
    ended = subprocess.run(
        [*command, f"--rootdir={folder}", str(folder)],
        cwd=ROOT,
        env=environment | {"ZOFBOT_TEST_EPOCH": "1800000000"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    return ended.stdout


def split_reports(printed: str) -> dict[str, tuple[str, list[str]]]:
    """Return the command and the lines after it in each failed test's report, by the name of the test."""
    sections = re.findall(r"^-+ to reproduce -+\n((?:(?![_=-]{9}).*\n)+)", printed, re.MULTILINE)
    lines = [section.splitlines() for section in sections]
    return {re.findall(r"::(\w+)", command)[0]: (command, shown) for command, *shown in lines}


def test_a_failure_in_any_phase_prints_its_command_and_what_was_written_to_slack(tmp_path: Path) -> None:
    printed = run_failing_tests(tmp_path)
    assert "fault 0" in printed
    assert "fault 39" in printed
    reports = split_reports(printed)
    at = "ZOFBOT_TEST_EPOCH=1800000000"
    assert {name: command for name, (command, _) in reports.items()} == {
        "test_in_setup": f"{at} make test 'ARGS=-n0 test_virtual.py::test_in_setup'",
        "test_in_call": reproduction_command("test_virtual.py::test_in_call[it's $HOME; `x`]", 1_800_000_000.0),
        "test_in_teardown": f"{at} make test 'ARGS=-n0 test_virtual.py::test_in_teardown'",
        "test_without_a_loop": "make test 'ARGS=-n0 test_virtual.py::test_without_a_loop'",
        "test_first": "make test 'ARGS=-n0 test_real.py::test_first'",
        "test_second": "make test 'ARGS=-n0 test_real.py::test_second'",
    }
    shown = {name: "\n".join(lines) for name, (_, lines) in reports.items()}
    assert {name for name, text in shown.items() if "whose clock shows 18000000" in text} == {
        "test_in_setup", "test_in_call", "test_in_teardown",
    }  # fmt: skip
    assert {name for name, text in shown.items() if "only to U0ANA" in text} == {"test_in_setup", "test_in_teardown"}
    assert "C0QA None 'posted in call'" in shown["test_in_call"]
    assert shown["test_without_a_loop"] == ""
    for name in ("test_first", "test_second"):
        assert shown[name].count("whose clock shows") == 1, "a server that outlives a test"


@pytest.mark.parametrize(
    "test_id", ["a.py::b[it's]", 'a.py::b["$HOME ${PATH} $(x) $$"]', "a.py::b[x; `y` & > z # \\ *?~!{1,2}]"]
)
def test_the_command_hands_the_id_to_pytest_unchanged(test_id: str) -> None:
    command = reproduction_command(test_id, 5.0)
    assert command.startswith("ZOFBOT_TEST_EPOCH=5 make test ")
    dry = command.replace("make test", "make --dry-run --assume-old=.venv/ready-dev WORKERS=1 test")
    of_a_person = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        dry, shell=True, cwd=ROOT, env=of_a_person, capture_output=True, text=True, check=True, timeout=60
    )
    assert shlex.split(done.stdout.splitlines()[-1])[-2:] == ["-n0", test_id]

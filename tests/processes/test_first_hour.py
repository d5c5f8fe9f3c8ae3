"""The newcomer's hour, walked as it is written: each command run, each line typed, each answer there."""

from __future__ import annotations

import asyncio
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from tests.support.bot import buttons_of, text_of, wait_until
from tests.support.cli import command_environment, running_command, wait_for_exit
from tests.support.failure_reports import serve_world
from tests.support.limits import HANG_SECONDS, limit_wait
from tests.support.paths import ROOT
from tests.support.virtual_time import test_clock
from zofbot.clock import timeout
from zofbot.simulator.seed import ANA, QA_ALERTS, seed_world
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.world import World
from zofbot.simulator.zof.state import Organization

PAGE = (ROOT / "docs" / "first-hour.md").read_text()


class GuideStep(NamedTuple):
    """A block of the page: ``sh`` or ``slack``, what is typed, and the lines that are to come back."""

    kind: str
    typed: list[str]
    answer: list[str]


def guide_steps() -> Iterator[GuideStep]:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for (kind, text), (after, answer) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind in ("sh", "slack"):
            yield GuideStep(kind, text.splitlines(), answer.splitlines() if after == "text" else [])


def squeeze_spaces(text: str) -> str:
    return " ".join(re.sub(r"[│╭╰╮╯─]", " ", text).split())


def commands_of(step: GuideStep) -> list[list[str]]:
    return [line.split()[1:] for line in step.typed if line.startswith(".venv/bin/zofbot ")]


async def test_every_step_of_the_page_comes_out_as_it_says() -> None:
    walked = []
    async with pretend_servers() as (simulator, env), AsyncExitStack() as started:
        bot: asyncio.subprocess.Process | None = None
        for step in guide_steps():
            walked.append(step.typed[-1])
            if step.kind == "slack":
                await type_step(simulator, step)
            for command in commands_of(step):
                if command == ["run"]:
                    bot = await started.enter_async_context(running_command("run", env=env))
                    await wait_for_log(bot, step)
                else:
                    await run_to_end(command, step, env)
        assert bot
        await a_run_fails(simulator)
        bot.send_signal(signal.SIGINT)
        await wait_for_exit(bot)
    assert walked == [
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt .", ".venv/bin/zofbot result res_4821",
        ".venv/bin/zofbot check", ".venv/bin/zofbot run", "/zof subscribe project:checkout", "/zof why run_2037",
        ".venv/bin/zofbot subscriptions export",
    ]  # fmt: skip


def test_the_settings_of_the_hour_are_all_that_are_required() -> None:
    [block] = re.findall(r"^```env\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert [line.partition("=")[0] for line in block.splitlines()] == [
        "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "ZOF_API_KEY",
    ]  # fmt: skip


@asynccontextmanager
async def pretend_servers() -> AsyncIterator[tuple[SimulatorServer, dict[str, str]]]:
    """The world, and the environment of the page with what has to point there; it polls each second."""
    world = World(test_clock())
    seed_world(world)
    with tempfile.TemporaryDirectory(prefix="hour-") as folder:
        async with serve_world(world) as simulator:
            own = {
                "SLACK_BOT_TOKEN": world.slack.bot_token, "SLACK_APP_TOKEN": world.slack.app_token,
                "ZOF_API_KEY": world.zof.key,
            }  # fmt: skip
            there = {
                "SLACK_API_URL": f"{simulator.url}/api/", "ZOF_BASE_URL": f"{simulator.url}/zof/v1",
                "ZOFBOT_DATA_DIR": folder, "ZOFBOT_POLL_INTERVAL": "1", "PORT": "0",
            }  # fmt: skip
            yield simulator, command_environment(**own, **there)


async def run_to_end(command: list[str], step: GuideStep, env: dict[str, str]) -> None:
    """A command that ends by itself, well, and prints all that the page shows."""
    async with running_command(*command, env=env) as process:
        out, err = await limit_wait(process.communicate())
    assert process.returncode == 0, err
    for line in step.answer:
        assert squeeze_spaces(line) in squeeze_spaces(out.decode()), (command, line, out.decode())


async def wait_for_log(process: asyncio.subprocess.Process, step: GuideStep) -> None:
    """Wait until a command that lasts has logged all that the page shows."""
    assert process.stderr
    logged = ""
    async with timeout(HANG_SECONDS):
        while not all(line in logged for line in step.answer):
            logged += (await process.stderr.readline()).decode()


def private_messages(simulator: SimulatorServer) -> list[PostedMessage]:
    kept = simulator.world.slack.messages.get(QA_ALERTS, {}).values()
    return [message for message in kept if message.only_to == ANA]


async def type_step(simulator: SimulatorServer, step: GuideStep) -> None:
    """What is typed in the channel; and the test alert, which the page has pressed next."""
    before = len(private_messages(simulator))
    await simulator.people.type_text(ANA, QA_ALERTS, step.typed[0])
    await wait_until(
        lambda: all(
            any(line in text_of(message) for message in private_messages(simulator)[before:]) for line in step.answer
        )
    )
    if "subscribe" not in step.typed[0]:
        return
    answer = private_messages(simulator)[before]
    button = next(item for item in buttons_of(answer) if item["text"]["text"] == "Send a test alert")
    await simulator.people.press_element(ANA, button, channel=QA_ALERTS, ts=answer.ts)
    shown = re.findall(r"^Test alert.*$", PAGE, re.MULTILINE)[0]
    await wait_until(lambda: any(shown in text_of(message) for message in simulator.world.slack.ledger))


async def a_run_fails(simulator: SimulatorServer) -> None:
    """The first alert, by polling: once."""
    run = failed_result(simulator.world.zof)
    await wait_until(
        lambda: any((item.idempotency_key or "").startswith(f"run:{run}:") for item in simulator.world.slack.ledger)
    )
    assert sum((item.idempotency_key or "").startswith(f"run:{run}:") for item in simulator.world.slack.ledger) == 1


def failed_result(zof: Organization) -> str:
    run = zof.start_run({"project_id": "proj_checkout", "project_name": "checkout", "environment": "staging"})
    zof.add_result(run["id"], status="failed", name="Cart", test_case_id="tc_1", failure_summary="boom")
    zof.finish_run(run["id"])
    return str(run["id"])

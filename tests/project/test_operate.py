"""What operators read is true: settings, commands, files and rules of the operating guide are those of the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis
import typer.main
import yaml

from tests.support.bot import bot_settings, wait_until
from tests.support.failure_reports import serve_world
from tests.support.paths import ROOT
from tests.support.valkey_servers import valkey_server
from tests.support.virtual_time import test_clock
from zofbot.app import Zofbot, run_bot
from zofbot.cli import app
from zofbot.config.settings import Settings
from zofbot.simulator.seed import seed_world
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.world import World
from zofbot.store.health import find_problems, read_redis_info

GUIDE = ROOT / "docs" / "operate.md"
PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "Dockerfile",
    ROOT / "Procfile",
    *sorted(path for path in (ROOT / "docs/deploy").rglob("*") if path.is_file()),
]

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group has them


def test_every_setting_named_is_one() -> None:
    named = names_by_page(r"\b(?:ZOFBOT|ZOF|SLACK|REDIS)_[A-Z_]*[A-Z]\b")
    known = {name.upper() for name in Settings.model_fields} | {"ZOFBOT_SECRETS_DIR"}
    assert {page: names - known for page, names in named.items() if names - known} == {}
    assert len(named) > len(PAGES) / 2


def test_every_command_named_is_one() -> None:
    named = names_by_page(r"(?:`|bin/|-m )zofbot ([a-z]+(?: [a-z]+)?)")
    assert {
        page: unknown for page, names in named.items() if (unknown := {*names} - {*filter(is_command, names)})
    } == {}
    assert len(named) > len(PAGES) / 2


def names_by_page(pattern: str) -> dict[str, set[str]]:
    """Return what matches on each page that has any, by the page's path."""
    found = {str(page.relative_to(ROOT)): set(re.findall(pattern, page.read_text())) for page in PAGES}
    return {page: names for page, names in found.items() if names}


def is_command(typed: str) -> bool:
    command, _, more = typed.partition(" ")
    inner = getattr(COMMANDS.get(command), "commands", None)
    return command in COMMANDS and (not inner or not more or more in inner)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_whoever_updates_the_app_over_http_is_told_the_option_that_keeps_it(page: Path) -> None:
    for sentence in re.split(r"\.\s", page.read_text()):
        if "output of" in sentence and "`zofbot manifest`" in sentence:
            assert "(over HTTP, with `--url https://your.host`)" in sentence.replace("\n   ", " ")


def commands_inside(heading: str) -> list[str]:
    """The commands of a section of the guide that run zofbot inside a container that runs already."""
    section = GUIDE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^(?:docker|kubectl) .*\bexec .*$", section, re.MULTILINE)


def test_pages_say_how_to_run_a_command_where_the_bot_runs_in_a_container() -> None:
    named = r"docker run [^\n|]*--name zofbot [^\n|]*-p 3000:3000"
    for page in ("README.md", "docs/operate.md"):
        assert re.search(named, (ROOT / page).read_text()), page
        assert "docker exec zofbot zofbot " in (ROOT / page).read_text(), page
    [plain], [compose], [kubernetes] = map(commands_inside, ("Container", "Compose", "Kubernetes"))
    services = yaml.safe_load((ROOT / "docs/deploy/compose.yml").read_text())["services"]
    kinds = [item for item in yaml.safe_load_all((ROOT / "docs/deploy/kubernetes.yml").read_text()) if item]
    deployments = {item["metadata"]["name"] for item in kinds if item["kind"] == "Deployment"}
    for typed, pattern, places in (
        (plain, r"docker exec (\S+) zofbot (\w+) (\w+)", {"zofbot"}),
        (compose, r"docker compose -f docs/deploy/compose\.yml exec (\S+) zofbot (\w+) (\w+)", services),
        (kubernetes, r"kubectl exec deploy/(\S+) -- zofbot (\w+) (\w+)", deployments),
    ):
        found = re.match(pattern, typed)
        assert found, typed
        assert found[1] in places
        assert found[3] in COMMANDS[found[2]].commands


def test_every_metric_named_is_one() -> None:
    named = set(re.findall(r"`(zofbot_\w+)`", GUIDE.read_text()))
    assert named
    assert named <= set(re.findall(r"^\| `(zofbot_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))


@asynccontextmanager
async def bot_on(url: str) -> AsyncIterator[tuple[SimulatorServer, Zofbot]]:
    world = World(test_clock())
    seed_world(world)
    async with serve_world(world) as simulator:
        settings = bot_settings(simulator, url, zof_webhook_secret=world.zof.webhooks.secret, zofbot_poll_interval=1)
        async with run_bot(settings, world.clock) as bot:
            world.slack.request_url = f"{bot.url}/slack/events"
            yield simulator, bot


def rule_lines() -> list[str]:
    """The ACL of the guide."""
    found = re.search(r"^ACL SETUSER zofbot .*$", GUIDE.read_text(), re.MULTILINE)
    assert found
    return shlex.split(found[0])


async def test_the_acl_of_the_guide_lets_everything_through_and_the_rest_not(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as url:
        await follow_the_acl(url)


async def follow_the_acl(url: str) -> None:
    async with redis.from_url(url) as admin:
        await admin.execute_command(*rule_lines())  # type: ignore[no-untyped-call]  # redis-py does not annotate it
        own = url.replace("unix://", "unix://zofbot@") + "?password=PASSWORD"
        async with bot_on(own) as (simulator, bot):
            slack = simulator.world.slack
            await simulator.people.type_text("U0ANA", "C0QA", "/zof subscribe project:*")
            await simulator.people.type_text("U0ANA", "C0QA", "/zof result res_4821 share")
            await wait_until(lambda: any("subscribed this channel" in item.text for item in slack.ledger))
            await wait_until(lambda: simulator.world.zof.asked > 5)  # it polls
            async with redis.from_url(own) as client:
                assert find_problems(await read_redis_info(client)) == []
                with pytest.raises(redis.ResponseError, match="permissions"):
                    await client.get("somebody-elses")
                with pytest.raises(redis.ResponseError, match="permissions"):
                    await client.flushall()
                refused = [entry["reason"] for entry in await admin.acl_log() if entry["object"] not in REFUSED]
            assert refused == []
            assert await bot.list_unready() == []


REFUSED = ("somebody-elses", "flushall")

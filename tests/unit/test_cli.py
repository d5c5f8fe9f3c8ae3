"""How the command line talks: help that can be read, and a sentence for every wrong use."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer.main
from typer.testing import CliRunner

from tests.support.cli import command_environment
from tests.support.virtual_time import VirtualLoop
from zofbot.cli import app
from zofbot.cli.outbox import complete_state

pytestmark = pytest.mark.filterwarnings("ignore:'asyncio.*olicy' is deprecated:DeprecationWarning")
"""Since Python 3.14; commands make their own event loops, of which only a policy says the kind."""

NARROW, WIDE = 80, 200
CLOSED = {"REDIS_URL": "redis://127.0.0.1:1/0", "ZOF_API_KEY": "key", "ZOF_BASE_URL": "http://127.0.0.1:1/v1"}
"""Nothing answers at these addresses."""


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    before, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = before, level
    structlog.configure(**config)


@pytest.fixture(autouse=True, scope="module")
def virtual_time() -> Iterator[None]:
    """Run commands on virtual time, so that no test waits until a command has tried again."""

    class VirtualLoopPolicy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return VirtualLoop()

    asyncio.set_event_loop_policy(VirtualLoopPolicy())
    yield
    asyncio.set_event_loop_policy(None)


def list_commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from list_commands(inner, (*path, name))


COMMANDS = dict(list_commands(typer.main.get_command(app)))


def invoke(*arguments: str, columns: int = NARROW, **settings: str) -> Any:
    env = dict.fromkeys(command_environment().keys() - {"PATH", "HOME"}) | {"COLUMNS": str(columns)} | CLOSED | settings
    return CliRunner().invoke(app, list(arguments), env=env, terminal_width=columns)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_is_short_for_every_command_and_its_placeholders_say_what_to_type(path: tuple[str, ...]) -> None:
    shown = invoke(*path, "-h").output
    assert max(map(len, shown.splitlines())) <= NARROW
    assert "..." not in shown.replace("[ARGS]...", ""), "a line of the list of commands is cut"
    assert not re.search(r"(--\S+|[A-Z]) <", shown), "a placeholder is a type"
    wide = invoke(*path, "-h", columns=WIDE).output
    assert max(map(len, wide.splitlines())) < 112
    assert len(wide.splitlines()) <= len(shown.splitlines())


def test_help_of_every_command_has_a_short_option_and_a_long_one() -> None:
    root = typer.Context(COMMANDS[()], **COMMANDS[()].context_settings)
    found = {path: command.get_help_option_names(typer.Context(command, root)) for path, command in COMMANDS.items()}
    assert [path for path, names in found.items() if sorted(names) != ["--help", "-h"]] == []


def test_completion_is_offered_for_the_shell_and_for_states() -> None:
    assert "--install-completion" in invoke("-h").output
    offered = invoke(_ROOT_COMPLETE="complete_bash", COMP_WORDS="root outbox re", COMP_CWORD="2")
    assert offered.output.split() == ["retry"]
    assert complete_state("de") == ["dead"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",), ("--nonsense",), ("outbox",), ("outbox", "nonsense"), ("run", "extra"), ("web", "--port", "1"),
        ("demo", "--port", "99999"), ("demo", "--port", "-1"), ("demo", "--port", "x"), ("demo", "--port"),
        ("demo", "--host", "no such host", "--port", "0", "--no-browser"),
        ("run",), ("web",), ("worker",), ("result",), ("result", ""), ("result", "../etc"), ("result", "a b"),
        ("result", "\udcff"), ("result", "res_1"), ("result", "x" * 9999),
        ("trace",), ("trace", ""), ("trace", "ref_1"),
        ("audit", "--since", "x"), ("audit", "--since", "9" * 40 + "d"), ("audit", "--since", ""), ("audit",),
        ("outbox", "list"), ("outbox", "list", "--state", "x"), ("outbox", "list", "--limit", "0"),
        ("outbox", "list", "--limit", "x"), ("outbox", "show"), ("outbox", "show", "k"), ("outbox", "retry", "k"),
        ("outbox", "drop", "\udcff"), ("check", "--url", "x"), ("check", "--url", "https://["),
        ("check", "--url", "https://a:99999"), ("manifest", "--url", "http://a"), ("manifest", "--url", "https://["),
        ("manifest", "--url", "https://u@a"), ("subscriptions", "export"), ("subscriptions", "export", "-o", "/"),
        ("subscriptions", "import"), ("subscriptions", "import", "/"), ("subscriptions", "import", "/none"),
        ("subscriptions", "import", "-"), ("webhook", "install"), ("webhook", "install", "--url", ""),
        ("webhook", "install", "--url", "https://["), ("webhook", "install", "--url", "https://a"),
        ("webhook", "install", "--url", "https://a", "--secret-file", "/"),
        ("webhook", "list"), ("webhook", "list", "x"),
        ("signature", "/none"), ("signature", "/"), ("signature", "a", "b"),
    ],
    ids=lambda arguments: " ".join(arguments)[:40].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_wrong_use_is_a_sentence(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ended = invoke(*arguments, ZOFBOT_DATA_DIR=str(tmp_path))
    assert ended.exit_code in (1, 2), ended.output
    assert isinstance(ended.exception, SystemExit), ended.exception
    assert "Traceback" not in ended.output
    last = ended.output.rstrip().splitlines()[-1]
    assert re.match(r"zofbot: [A-Za-z`-].*[.)]$|Error: [A-Z].* ", last) or "Commands:" in ended.output, ended.output


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("90d", "failures are kept for 38 days"),
        ("38d1s", "at most 38d"),
        ("x", "not a duration"),
        ("0d", "not a duration"),
    ],
)
def test_causes_of_a_time_that_zofbot_does_not_know_are_refused(since: str, said: str) -> None:
    refused = invoke("causes", "--since", since, columns=WIDE)
    assert refused.exit_code == 2
    assert f"--since {since}" in refused.output
    assert said in refused.output


def test_causes_of_the_longest_time_are_looked_up() -> None:
    assert invoke("causes", "--since", "38d").exit_code == 1, "no store answers"


def test_the_url_of_a_run_is_no_result() -> None:
    refused = invoke("result", "https://app.zof.ai/runs/run_1", columns=WIDE)
    assert (refused.exit_code, refused.output) == (
        2,
        "zofbot: That is not a result. Use the ID or URL of a result.\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [("subscriptions", "import", "rules.yml", "--plan"), ("result", "res_1"), ("webhook", "list"), ("check",)],
    ids=" ".join,
)
def test_a_proxy_that_cannot_be_used_is_a_sentence(arguments: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text('version: 1\nchannels:\n  C0QA:\n    - filters: "mention:@oncall"\n')
    typed = [str(file) if word == "rules.yml" else word for word in arguments]
    given = {"ALL_PROXY": "socks5://localhost:1080", "SLACK_BOT_TOKEN": "xoxb-1", "ZOF_BASE_URL": "https://zof.invalid"}
    refused = invoke(*typed, columns=WIDE, **given)
    said = "zofbot: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is invalid. Write it as http://…\n"
    assert (refused.exit_code, refused.output) == (2, said)

"""The command line: each command a process of its own, or in this one where it fails before it works."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from typer.testing import CliRunner

from zofbot import logs
from zofbot.cli import app
from zofbot.settings import Settings

_OURS = frozenset(name.upper() for name in Settings.model_fields)


@dataclass
class Ended:
    code: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """This process' environment without any setting of zofbot's."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    return kept | {"COLUMNS": "120"} | more


async def start_command(*arguments: str, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zofbot", *arguments, env=env, stdout=pipe, stderr=pipe
    )


async def run_command(*arguments: str, **settings: str) -> Ended:
    process = await start_command(*arguments, env=environment(**settings))
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


def run_in_process(*arguments: str, **settings: str) -> Ended:
    """Run a command in this process, which costs a hundredth; how the log is written stays as it was.

    Only for tests that are not async, because a command has an event loop of its own.
    """
    root = logging.getLogger()
    before, handlers, level, known = structlog.get_config(), root.handlers[:], root.level, logs._redacting.known
    try:
        ended = CliRunner().invoke(app, arguments, env=dict.fromkeys(_OURS) | settings)
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
        logs._redacting.known = known
    return Ended(ended.exit_code, ended.stdout, ended.stderr)

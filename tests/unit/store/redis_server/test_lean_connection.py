"""Commands are encoded as redis-py encodes them, and a broken connection is closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio as redis
from hypothesis import given, settings
from hypothesis import strategies as st

from zofbot.store.redis_server.lean_connection import LeanConnection

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


class TcpConnection(LeanConnection, redis.Connection): ...


@settings(max_examples=30)
@given(st.lists(texts | st.binary(max_size=8) | st.integers() | st.floats(allow_nan=False), max_size=5))
@pytest.mark.parametrize("name", ["GET", "CONFIG GET", b"EVALSHA", b"CLIENT SETINFO"])
def test_a_command_is_encoded_as_redis_py_encodes_it(name: str | bytes, words: list[str | bytes | int | float]) -> None:
    ours, theirs = TcpConnection(), redis.Connection()
    assert b"".join(ours.pack_command(name, *words)) == b"".join(theirs.pack_command(name, *words))


async def test_a_connection_that_broke_while_writing_is_closed() -> None:
    connection: Any = TcpConnection(health_check_interval=30)
    connection.next_health_check = float("inf")
    connection._reader, connection._writer = object(), BrokenWriter()
    with pytest.raises(redis.ConnectionError):
        await connection.send_command("PING")
    assert not connection.is_connected


async def test_a_connection_whose_command_may_be_sent_in_part_is_closed() -> None:
    connection: Any = TcpConnection()
    connection._reader, connection._writer = object(), FullWriter()
    sending = asyncio.create_task(connection.send_command("PING"))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert not connection.is_connected


class BrokenWriter:
    """A writer of a connection that the other side closed."""

    def writelines(self, lines: list[bytes]) -> None:
        raise BrokenPipeError

    def close(self) -> None: ...

    async def wait_closed(self) -> None: ...


class FullWriter(BrokenWriter):
    """A writer whose other side reads nothing."""

    def writelines(self, lines: list[bytes]) -> None: ...

    async def drain(self) -> None:
        await asyncio.Event().wait()

"""Redis connection that costs less CPU: commands are packed in C, and sent without a task of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import hiredis
import redis.asyncio as redis
from redis.asyncio.connection import AbstractConnection


class LeanConnection(AbstractConnection):
    """A connection whose callers limit how long a call may take, as ``guard_redis_call`` does."""

    def __init__(self, *, socket_timeout: float | None = None, **options: Any) -> None:
        """``socket_timeout`` is in seconds; redis-py's default of five would count time of suspension as silence."""
        super().__init__(socket_timeout=socket_timeout, **options)

    def pack_command(self, *args: Any) -> list[bytes]:
        """Encode one command."""
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        return [hiredis.pack_command((*name.split(), *args[1:]))]

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Send encoded commands. Before Python 3.12 redis-py makes a task for each, to limit how long it takes."""
        due = check_health and self.health_check_interval and asyncio.get_running_loop().time() > self.next_health_check
        writer = self._writer
        if isinstance(command, bytes | str) or due or writer is None or not self.is_connected:
            await super().send_packed_command(command, check_health)
            return
        try:
            writer.writelines(command)
            await writer.drain()
        except OSError as error:
            await self.disconnect(nowait=True)
            raise redis.ConnectionError("The connection broke while writing.") from error
        except BaseException:  # part of a command may have been sent
            await self.disconnect(nowait=True)
            raise

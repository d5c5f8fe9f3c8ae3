"""Workers that die at a given step: forked, with all imports done, for each line read from standard input.

A line holds the number of a step (0: none), ``before`` or ``after``, and the worker's time (Unix seconds).
The answer is the worker's exit code, or minus the signal.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from contextlib import suppress
from random import Random
from types import SimpleNamespace
from typing import Any

import aiohttp
import redis.asyncio as redis
import structlog

from zofbot.clock import MovableClock
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.domain.errors import StoreUnavailable
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.observability.emitter import EventEmitter
from zofbot.slack.calls import SlackCalls
from zofbot.slack.client import SlackClient
from zofbot.slack.views.blocks import Message, section_block
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox

CHANNEL = "C0QA"
SHORTEST_PAUSE_SECONDS = 0.5


def sample_thread(happened: float) -> list[Notification]:
    """Build a root, two replies, and an edit of the root."""
    given = [
        ("r", NotificationKind.ROOT, ""),
        ("p", NotificationKind.REPLY, "r"),
        ("q", NotificationKind.REPLY, "r"),
        ("e", NotificationKind.EDIT, "r"),
    ]
    return [
        Notification(key=key, kind=kind, channel=CHANNEL, root=root, happened=happened, body={"of": key})
        for key, kind, root in given
    ]


def render_message(claimed: Claim, now: float) -> Message:
    text = claimed.notification.body["of"]
    return Message(text, [section_block(text)])


class StepFuse:
    """Count network calls, and end the process before or after one of them."""

    def __init__(self, step: int, when: str) -> None:
        self.step = step
        self.when = when
        self.begun = 0

    def begin_step(self) -> int:
        """Begin a step; returns its number."""
        self.begun += 1
        self._end_process(self.begun, "before")
        return self.begun

    def end_step(self, number: int) -> None:
        """End a step; others may have begun meanwhile."""
        self._end_process(number, "after")

    def _end_process(self, number: int, when: str) -> None:
        if (number, when) == (self.step, self.when):
            os.kill(os.getpid(), signal.SIGKILL)


class FusedRedis(redis.Redis):
    """A Redis client that counts each command as a step."""

    fuse: StepFuse

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        number = self.fuse.begin_step()
        answer = await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py's
        self.fuse.end_step(number)
        return answer


def trace_config_with_fuse(fuse: StepFuse) -> aiohttp.TraceConfig:
    """Build an aiohttp trace config that counts each call to Slack as a step."""

    async def on_request_start(session: aiohttp.ClientSession, context: SimpleNamespace, request: object) -> None:
        context.number = fuse.begin_step()

    async def on_request_end(session: aiohttp.ClientSession, context: SimpleNamespace, answer: object) -> None:
        fuse.end_step(context.number)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(on_request_start)
    trace.on_request_end.append(on_request_end)
    return trace


async def commit_and_send(redis_url: str, slack_url: str, token: str, fuse: StepFuse, now: float) -> None:
    """Commit the thread and send it; the clock advances by itself when nothing is due, further each time.

    Looking for what is left is no step: a bot does not do it between two messages.
    """
    FusedRedis.fuse = fuse
    async with (
        FusedRedis.from_url(redis_url, socket_timeout=None, socket_connect_timeout=None) as client,
        redis.from_url(redis_url, socket_timeout=None, socket_connect_timeout=None) as observer,
        aiohttp.ClientSession(trace_configs=[trace_config_with_fuse(fuse)]) as session,
    ):
        moment = [now]

        clock = MovableClock(lambda: moment[0])

        events = EventEmitter()
        outbox = Outbox(Keyspace(client, "crash"), clock)
        observed = Outbox(Keyspace(observer, "crash"), clock)
        notifier = SlackClient(SlackCalls(session, token=token, api_url=slack_url, events=events, clock=clock))
        dispatcher = Dispatcher(outbox, notifier, render_message, events, clock, random=Random(1).random)
        while True:
            with suppress(StoreUnavailable):  # as a bot does, it goes on when the store answers again
                await outbox.commit(sample_thread(now))
                pause = SHORTEST_PAUSE_SECONDS
                while (depth := await observed.read_stats()).pending + depth.sending:
                    if await dispatcher.deliver_batch():
                        pause = SHORTEST_PAUSE_SECONDS
                    else:
                        moment[0] += pause
                        pause *= 2
                return


def main(redis_url: str, slack_url: str, token: str) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for line in sys.stdin:
        step, when, now = line.split()
        worker = os.fork()
        if not worker:
            try:
                asyncio.run(commit_and_send(redis_url, slack_url, token, StepFuse(int(step), when), float(now)))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(worker, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

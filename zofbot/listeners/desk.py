"""What every listener needs, and how an answer gets back to the person who asked."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import structlog

from zofbot import tracing
from zofbot.access import Roles
from zofbot.clock import Clock
from zofbot.errands import Errands
from zofbot.errors import SlackError, SlackRefused, ZofbotError
from zofbot.listeners import endings
from zofbot.metrics import Metrics
from zofbot.pipeline.failures import Failures
from zofbot.pipeline.orders import Orders
from zofbot.slack import answers
from zofbot.slack.links import Links
from zofbot.slack.message import Message
from zofbot.slack.notifier import SlackNotifier
from zofbot.slack.people import People
from zofbot.slack.verdict import UNDRAWABLE
from zofbot.store import Store
from zofbot.store.audit import Audit
from zofbot.store.outbox import Outbox
from zofbot.store.subscriptions import Subscriptions
from zofbot.store.traces import TraceWriter
from zofbot.zof.client import Patience, ZofClient

log = structlog.get_logger()


@dataclass(frozen=True)
class Asked:
    """Who asked, where, and the address that takes answers for half an hour."""

    user: str
    name: str
    channel: str
    response_url: str
    request: str
    """What Slack calls this one request; a repeat of it has the same. With it a modal may be opened, within 3 s."""
    room: str = ""
    """The channel's name as Slack gives it: ``directmessage`` and ``privategroup`` stand for all of their kind."""
    message: str = ""
    """Time stamp of the message that it was done on, or of the one whose thread that stands in; none for private ones.
    """


class Told(NamedTuple):
    """What the person is told, and whether it is bad news."""

    message: Message
    failed: bool = False


@dataclass(frozen=True)
class Desk:
    """The rooms that listeners send people to."""

    zof: ZofClient
    store: Store
    subscriptions: Subscriptions
    outbox: Outbox
    notifier: SlackNotifier
    errands: Errands
    metrics: Metrics
    links: Links
    list_order: Literal["auto", "newest", "oldest"]
    clock: Clock
    failures: Failures
    people: People
    roles: Roles
    audit: Audit
    orders: Orders
    traces: TraceWriter
    note: bool = False
    """Whether a failure is resolved only with a note."""
    details: bool = False
    """Whether people of other organizations see what failures say."""
    default_channel: str = ""
    """The channel for what no subscription takes."""
    poll_interval: float = 60.0
    """Seconds between two looks at Zof of whoever polls."""

    async def inward(self, channel: str) -> bool:
        """Whether a channel is to see only names and outcomes, for others read along."""
        return not self.details and await self.people.shared(channel)

    async def told(self, work: Coroutine[Any, Any, Message]) -> Told:
        """Do the work; whatever goes wrong becomes words for the person."""
        try:
            return Told(await work)
        except ZofbotError as error:
            return Told(endings.failed(error), failed=True)
        except Exception as error:
            return Told(endings.broken(error), failed=True)

    async def answer(self, ack: Any, asked: Asked, work: Coroutine[Any, Any, Message], arrived: float) -> None:
        """Acknowledge with the answer itself if it is there in time, else say so and replace that line later.

        The wait ends 2.2 s after the request came in, because Slack gives up after three.
        """
        task = self.errands.start(self.told(work))
        left = Patience.ACK.seconds - (self.clock.monotonic() - arrived)
        done, _ = await asyncio.wait({task}, timeout=max(left, 0))
        message = task.result().message if done else answers.still_asking(tracing.reference())
        # As one dict: given apart, Bolt leaves the blocks out where there are attachments.
        await ack(message.payload() | {"response_type": "ephemeral"})
        if not done:
            self.errands.start(self._follow_up(task, asked))

    async def _follow_up(self, task: asyncio.Task[Told], asked: Asked) -> None:
        await self.respond(asked, (await task).message, replace=True)

    def answer_later(self, asked: Asked, work: Coroutine[Any, Any, Message], *, replace: bool = False) -> None:
        """Answer a press that was acknowledged; ``replace`` puts a good answer where the pressed message stood."""
        self.errands.start(self._answer_later(asked, work, replace))

    async def _answer_later(self, asked: Asked, work: Coroutine[Any, Any, Message], replace: bool) -> None:
        told = await self.told(work)
        await self.respond(asked, told.message, replace=replace and not told.failed)

    async def respond(self, asked: Asked, message: Message, *, replace: bool = False) -> None:
        """Answer privately through the response URL, or in the channel where Slack gave none.

        That Slack takes no answer is logged, for nobody can be told.
        """
        if not asked.response_url:
            await self.whisper(asked, message, "")
            return
        try:
            try:
                await self.notifier.respond(asked.response_url, message, replace=replace)
            except SlackRefused as error:
                if error.reason not in UNDRAWABLE:
                    raise
                log.error("card refused", reason=error.reason, text=message.text)
                await self.notifier.respond(asked.response_url, message.plain(tracing.reference()), replace=replace)
        except SlackError as error:
            log.error("answer not delivered", reason=error.reason, user=asked.user, channel=asked.channel)

    async def whisper(self, asked: Asked, message: Message, thread: str) -> None:
        """Answer privately where there is no response URL; that Slack takes no answer is logged."""
        try:
            try:
                await self.notifier.whisper(asked.channel, asked.user, message, thread=thread)
            except SlackRefused as error:
                if error.reason not in UNDRAWABLE:
                    raise
                log.error("card refused", reason=error.reason, text=message.text)
                await self.notifier.whisper(
                    asked.channel, asked.user, message.plain(tracing.reference()), thread=thread
                )
        except SlackError as error:
            log.error("answer not delivered", reason=error.reason, user=asked.user, channel=asked.channel)


def asked(body: Mapping[str, Any]) -> Asked:
    """Read who asked from a slash command's or an interaction's body; Slack spells the two differently."""
    user = body.get("user") or {}
    channel = body.get("channel") or {}
    container = body.get("container") or {}
    message = {} if container.get("is_ephemeral") else body.get("message") or {}
    return Asked(
        user=str(body.get("user_id") or user.get("id") or ""),
        name=str(body.get("user_name") or user.get("name") or user.get("username") or user.get("id") or ""),
        channel=str(body.get("channel_id") or channel.get("id") or container.get("channel_id") or ""),
        response_url=str(body.get("response_url") or ""),
        request=str(body.get("trigger_id") or ""),
        room=str(body.get("channel_name") or channel.get("name") or ""),
        message=str(message.get("thread_ts") or message.get("ts") or ""),
    )

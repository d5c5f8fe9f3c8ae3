"""What every listener needs, and how an answer gets back to the person who asked."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import structlog

from zofbot.clock import Clock
from zofbot.concurrency import BackgroundTasks
from zofbot.domain.errors import SlackError, SlackRefused, ZofbotError
from zofbot.domain.permissions import Roles
from zofbot.listeners import error_replies
from zofbot.observability import tracing
from zofbot.observability.metrics import Metrics
from zofbot.services.catalog import Catalog
from zofbot.services.failures import TriageService
from zofbot.services.run_commands import RunCommands
from zofbot.slack.client import SlackClient
from zofbot.slack.directory import Directory
from zofbot.slack.errors import RefusalHandling, handling_for
from zofbot.slack.fallback import plain_modal, send_or_simplify, show_or_simplify
from zofbot.slack.links import ZofLinks
from zofbot.slack.views import replies
from zofbot.slack.views.blocks import Block, Message
from zofbot.store import Store
from zofbot.store.audit import AuditLog
from zofbot.store.outbox import Outbox
from zofbot.store.subscriptions import Subscriptions
from zofbot.store.traces import TraceWriter
from zofbot.zof.client import TimeBudget, ZofClient

log = structlog.get_logger()


@dataclass(frozen=True)
class Requester:
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
    thread: str = ""
    """Time stamp of the root of the thread in which it was done, for the answer to go there, too."""


class ListenerReply(NamedTuple):
    """What the person is told, and whether it is bad news."""

    message: Message
    failed: bool = False


@dataclass(frozen=True)
class ListenerContext:
    """The rooms that listeners send people to."""

    zof: ZofClient
    store: Store
    subscriptions: Subscriptions
    outbox: Outbox
    notifier: SlackClient
    errands: BackgroundTasks
    metrics: Metrics
    links: ZofLinks
    list_order: Literal["auto", "newest", "oldest"]
    clock: Clock
    failures: TriageService
    people: Directory
    roles: Roles
    audit: AuditLog
    orders: RunCommands
    traces: TraceWriter
    catalog: Catalog
    note: bool = False
    """Whether a failure is resolved only with a note."""
    details: bool = False
    """Whether people of other organizations see what failures say."""
    default_channel: str = ""
    """The channel for what no subscription takes."""
    poll_interval: float = 60.0
    """Seconds between two looks at Zof of whoever polls."""

    async def hides_details(self, channel: str) -> bool:
        """Whether a channel is to see only names and outcomes, for others read along."""
        return not self.details and await self.people.is_shared(channel)

    async def run_safely(self, work: Coroutine[Any, Any, Message]) -> ListenerReply:
        """Do the work; whatever goes wrong becomes words for the person."""
        try:
            return ListenerReply(await work)
        except ZofbotError as error:
            return ListenerReply(error_replies.error_reply(error), failed=True)
        except Exception as error:
            return ListenerReply(error_replies.unexpected_error_reply(error), failed=True)

    async def acknowledge_with_reply(
        self, ack: Any, asked: Requester, work: Coroutine[Any, Any, Message], arrived: float
    ) -> None:
        """Acknowledge with the answer itself if it is there in time, else say so, and answer in a second message.

        The wait ends 2.2 s after the request came in, because Slack gives up after three.
        """
        task = self.errands.start(self.run_safely(work))
        left = TimeBudget.ACK.seconds - (self.clock.monotonic() - arrived)
        done, _ = await asyncio.wait({task}, timeout=max(left, 0))
        message = task.result().message if done else replies.still_working_reply(tracing.current_reference())
        # As one dict: given apart, Bolt leaves the blocks out where there are attachments.
        await ack(message.message_fields() | {"response_type": "ephemeral"})
        if not done:
            self.errands.start(self._send_follow_up(task, asked))

    async def _send_follow_up(self, task: asyncio.Task[ListenerReply], asked: Requester) -> None:
        await self.send_reply(asked, (await task).message)

    def reply_in_background(
        self, asked: Requester, work: Coroutine[Any, Any, Message], *, replace: bool = False
    ) -> None:
        """Answer a press that was acknowledged; ``replace`` puts a good answer where the pressed message stood."""
        self.errands.start(self._run_and_reply(asked, work, replace))

    async def _run_and_reply(self, asked: Requester, work: Coroutine[Any, Any, Message], replace: bool) -> None:
        told = await self.run_safely(work)
        await self.send_reply(asked, told.message, replace=replace and not told.failed)

    async def send_reply(self, asked: Requester, message: Message, *, replace: bool = False) -> None:
        """Answer privately, in plain words where Slack refuses the card, and another way where it refuses the first.

        That Slack takes no answer at all is logged, for nobody can be told.
        """
        try:
            await send_or_simplify(
                lambda shown: self._send_private_reply(asked, shown, replace), message, tracing.current_reference()
            )
        except SlackError as error:
            log.error("answer not delivered", reason=error.reason, user=asked.user, channel=asked.channel)

    async def _send_private_reply(self, asked: Requester, message: Message, replace: bool) -> None:
        """Use the response URL, where there is one and it still works, or post; inside a thread the other way round.

        The URL's answer to a click inside a thread goes to the channel, unless it replaces what was clicked on.
        """

        async def send_by_url() -> None:
            await self.notifier.respond_by_url(asked.response_url, message, replace=replace, thread=asked.thread)

        async def send_by_post() -> None:
            await self.notifier.post_ephemeral(asked.channel, asked.user, message, thread=asked.thread)

        if not asked.response_url:
            await send_by_post()
            return
        first, second = (send_by_post, send_by_url) if asked.thread and not replace else (send_by_url, send_by_post)
        try:
            await first()
        except SlackRefused as error:
            if handling_for(error.reason) is RefusalHandling.PLAIN:
                raise
            log.info("answered another way", reason=error.reason)
            await second()

    async def open_modal(self, asked: Requester, form: Block) -> None:
        """Open a modal, without its newer kinds of blocks where Slack refuses those. Raises SlackError."""
        await show_or_simplify(lambda view: self.notifier.open_view(asked.request, view), form, plain_modal(form))


def requester_of(body: Mapping[str, Any]) -> Requester:
    """Read who asked from a slash command's or an interaction's body; Slack spells the two differently."""
    user = body.get("user") or {}
    channel = body.get("channel") or {}
    container = body.get("container") or {}
    pressed = body.get("message") or {}
    message = {} if container.get("is_ephemeral") else pressed
    own = str(container.get("message_ts") or pressed.get("ts") or "")
    thread = str(container.get("thread_ts") or pressed.get("thread_ts") or "")
    return Requester(
        user=str(body.get("user_id") or user.get("id") or ""),
        name=str(body.get("user_name") or user.get("name") or user.get("username") or user.get("id") or ""),
        channel=str(body.get("channel_id") or channel.get("id") or container.get("channel_id") or ""),
        response_url=str(body.get("response_url") or ""),
        request=str(body.get("trigger_id") or ""),
        room=str(body.get("channel_name") or channel.get("name") or ""),
        message=str(message.get("thread_ts") or message.get("ts") or ""),
        thread=thread if thread != own else "",
    )

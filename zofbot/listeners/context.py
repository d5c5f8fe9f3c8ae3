"""Context shared by all listeners, and delivery of private replies."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog

from zofbot.clock import Clock, timeout
from zofbot.concurrency import BackgroundTasks
from zofbot.config.settings import Settings
from zofbot.domain.errors import NotAllowed, SlackError, SlackRefused, ZofbotError
from zofbot.domain.permissions import Roles
from zofbot.listeners import error_handling
from zofbot.observability import trace_recorder
from zofbot.observability.emitter import EventEmitter
from zofbot.services.catalog import Catalog
from zofbot.services.run_commands import RunCommands
from zofbot.services.triage import TriageService
from zofbot.slack.client import SlackClient
from zofbot.slack.directory import Directory
from zofbot.slack.errors import RefusalHandling, handling_for
from zofbot.slack.fallback import plain_modal, send_or_simplify, show_or_simplify
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.blocks import Block, Message
from zofbot.slack.views.replies import request_replies
from zofbot.store import Store
from zofbot.store.audit import AuditLog
from zofbot.store.outbox import Outbox
from zofbot.store.subscriptions import Subscriptions
from zofbot.store.traces import TraceWriter
from zofbot.zof.client import TimeBudget, ZofClient

log = structlog.get_logger()

PEOPLE_NAMES_TIMEOUT_SECONDS = 1.0
"""Seconds that the answer to a form waits for people's names; Slack allows three seconds in all."""


@dataclass(frozen=True)
class Requester:
    """The person behind a request, the channel, and the ``response_url``, which is valid for 30 minutes."""

    user: str
    name: str
    channel: str
    response_url: str
    request: str
    """Name of the request, the same for retries (``request_name``)."""
    room: str = ""
    """The channel's name as Slack gives it; ``directmessage`` and ``privategroup`` are generic names."""
    message: str = ""
    """Timestamp of the message that was clicked, or of its thread's first message; empty for ephemeral messages."""
    thread: str = ""
    """Timestamp of the first message of the request's thread, so that the reply goes there."""
    trigger: str = ""
    """Trigger id, which can open a modal within 3 s."""
    is_ephemeral: bool = False
    """Whether the message that was clicked is shown to this person alone."""


class ListenerReply(NamedTuple):
    """The reply to a person, and whether it reports an error."""

    message: Message
    failed: bool = False


@dataclass(frozen=True)
class ListenerContext:
    """Services and settings that listeners use."""

    zof: ZofClient
    store: Store
    subscriptions: Subscriptions
    outbox: Outbox
    notifier: SlackClient
    background_tasks: BackgroundTasks
    events: EventEmitter
    links: ZofLinks
    clock: Clock
    failures: TriageService
    people: Directory
    roles: Roles
    audit: AuditLog
    run_commands: RunCommands
    traces: TraceWriter
    catalog: Catalog
    settings: Settings

    async def hides_details(self, channel: str) -> bool:
        """Return whether a channel may see only names and outcomes, because other organizations read it."""
        return not self.settings.zofbot_shared_details and await self.people.is_shared(channel)

    async def run_safely(self, work: Coroutine[Any, Any, Message]) -> ListenerReply:
        """Run ``work`` and convert any error to a reply, also that the bot stops."""
        try:
            return ListenerReply(await self.background_tasks.run_until_stopped(work))
        except ZofbotError as error:
            return ListenerReply(error_handling.error_reply(error), failed=True)
        except Exception as error:
            return ListenerReply(error_handling.unexpected_error_reply(error), failed=True)

    async def acknowledge_with_reply(
        self, ack: Any, requester: Requester, work: Coroutine[Any, Any, Message], arrived: float
    ) -> None:
        """Acknowledge with the reply itself if it is ready in time, else with a notice, and reply in a second message.

        The wait ends 2.2 s after the request arrived, because Slack gives up after three, or when the bot is asked to
        stop. A reply with a newer block is always a second message: Slack does not say whether it rejects an
        acknowledgement.
        """
        task = self.background_tasks.start(self.run_safely(work))
        left = TimeBudget.ACK.seconds - (self.clock.monotonic() - arrived)
        done = await self.background_tasks.wait_until_done(task, max(left, 0))
        message = (
            task.result().message if done else request_replies.still_working_reply(trace_recorder.current_reference())
        )
        # One dict: with separate arguments, Bolt drops the blocks if there are attachments.
        await ack(*(() if message.instead else (message.message_fields() | {"response_type": "ephemeral"},)))
        if not done or message.instead:
            self.background_tasks.start(self._send_follow_up(task, requester))

    async def _send_follow_up(self, task: asyncio.Task[ListenerReply], requester: Requester) -> None:
        await self.send_reply(requester, (await task).message)

    def reply_in_background(
        self, requester: Requester, work: Coroutine[Any, Any, Message], *, replace: bool = False
    ) -> None:
        """Reply to an acknowledged click; ``replace`` replaces the clicked message unless the reply is an error."""
        self.background_tasks.start(self._run_and_reply(requester, work, replace))

    async def _run_and_reply(self, requester: Requester, work: Coroutine[Any, Any, Message], replace: bool) -> None:
        reply = await self.run_safely(work)
        await self.send_reply(requester, reply.message, replace=replace and not reply.failed)

    async def send_reply(self, requester: Requester, message: Message, *, replace: bool = False) -> None:
        """Reply privately, as plain text if Slack rejects the card, and by another method if the first is refused.

        An empty message is not sent. If Slack accepts no reply at all, that is only logged.
        """
        if not message.text:
            return
        try:
            await send_or_simplify(
                lambda shown: self._send_private_reply(requester, shown, replace),
                message,
                trace_recorder.current_reference(),
            )
        except SlackError as error:
            log.error("answer not delivered", reason=error.reason, user=requester.user, channel=requester.channel)

    async def delete_reply(self, requester: Requester) -> None:
        """Delete the private reply that was clicked; if Slack does not, that is only logged."""
        try:
            await self.notifier.delete_by_url(requester.response_url)
        except SlackError as error:
            log.info("private reply not deleted", reason=error.reason, user=requester.user)

    async def _send_private_reply(self, requester: Requester, message: Message, replace: bool) -> None:
        """Reply through the response URL, and else by posting; in a thread in the opposite order.

        In a thread, a reply through the URL appears in the channel, unless it replaces the clicked message.
        """

        async def send_by_url() -> None:
            await self.notifier.respond_by_url(
                requester.response_url, message, replace=replace, thread=requester.thread
            )

        async def send_by_post() -> None:
            await self.notifier.post_ephemeral(requester.channel, requester.user, message, thread=requester.thread)

        if not requester.response_url:
            await send_by_post()
            return
        first, second = (send_by_post, send_by_url) if requester.thread and not replace else (send_by_url, send_by_post)
        try:
            await first()
        except SlackRefused as error:
            if handling_for(error.reason) is RefusalHandling.PLAIN:
                raise
            log.info("answered another way", reason=error.reason)
            await second()

    async def field_error(self, error: ZofbotError) -> str:
        """Return the text of an error below a form's field, where Slack shows no mentions: it names people instead.

        Names that Slack does not tell in time are left out.
        """
        if isinstance(error, NotAllowed):
            with suppress(TimeoutError):
                async with timeout(PEOPLE_NAMES_TIMEOUT_SECONDS):
                    error = NotAllowed(await self.people.names.with_names(error.sentence), error.next_step)
        return error_handling.field_error(error)

    async def open_modal(self, requester: Requester, form: Block) -> None:
        """Open a modal, without newer block types if Slack rejects those. Raises SlackError."""
        await show_or_simplify(
            lambda view: self.notifier.views.open_view(requester.trigger, view), form, plain_modal(form)
        )


def request_name(body: Mapping[str, Any]) -> str:
    """Return a name for the request that is the same for Slack's retries, over HTTP and Socket Mode.

    An event has an id. Everything else is named by all of its fields, since emulators of Slack give the same
    ``trigger_id`` to every command and click, or none; a click has its own ``action_ts``. That Slack repeats a request
    with the same fields is believed.
    """
    name = body.get("event_id")
    if isinstance(name, str) and name:
        return name[:256]
    text = json.dumps(body, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def user_and_channel(body: Mapping[str, Any]) -> tuple[str, str]:
    """Parse the ids of the person and the channel from a slash command or an interaction; empty if there is none."""
    user, channel, container = body.get("user") or {}, body.get("channel") or {}, body.get("container") or {}
    return (
        str(body.get("user_id") or user.get("id") or ""),
        str(body.get("channel_id") or channel.get("id") or container.get("channel_id") or ""),
    )


def requester_of(body: Mapping[str, Any]) -> Requester:
    """Parse the requester from a slash command or an interaction, whose payloads have different fields."""
    identifier, channel = user_and_channel(body)
    user = body.get("user") or {}
    container = body.get("container") or {}
    pressed = body.get("message") or {}
    is_ephemeral = container.get("is_ephemeral") is True
    own = str(container.get("message_ts") or pressed.get("ts") or "")
    thread = str(container.get("thread_ts") or pressed.get("thread_ts") or "")
    return Requester(
        user=identifier,
        name=str(body.get("user_name") or user.get("name") or user.get("username") or user.get("id") or ""),
        channel=channel,
        response_url=str(body.get("response_url") or ""),
        request=request_name(body),
        room=str(body.get("channel_name") or (body.get("channel") or {}).get("name") or ""),
        message="" if is_ephemeral else thread or own,
        thread=thread if thread != own else "",
        trigger=str(body.get("trigger_id") or ""),
        is_ephemeral=is_ephemeral,
    )

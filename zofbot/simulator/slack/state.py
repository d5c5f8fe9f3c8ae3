"""What the pretend Slack keeps of its one workspace, and how it refuses."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, Protocol

from zofbot.simulator.faults import SLACK_FAULTS, FaultInjector
from zofbot.simulator.quota import BurstLimit, MinuteQuota
from zofbot.simulator.slack.model import (
    BOT_USER_ID,
    Channel,
    PostedMessage,
    ResponseUrl,
    SharedLinks,
    SlackCall,
    Trigger,
    User,
    UserGroup,
    View,
)

DEFAULT_SCOPES = frozenset(
    {
        *("app_mentions:read", "chat:write", "chat:write.public", "commands"),
        *("channels:history", "channels:join", "channels:read"),
        *("groups:history", "groups:read", "im:history", "im:read", "im:write", "links:read", "links:write"),
        *("mpim:history", "mpim:read", "reactions:write", "usergroups:read", "users:read"),
    }
)


class SlackRefusal(Exception):
    """Slack says no: ``error`` is its word, ``more`` goes into the body beside it."""

    def __init__(self, error: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(error)
        self.error, self.status, self.headers, self.more = error, status, headers or {}, more


class EnvelopeConnection(Protocol):
    """An open Socket Mode connection to the bot."""

    async def send_envelope(self, envelope: dict[str, Any], within: float) -> dict[str, Any] | None:
        """Deliver one envelope; returns its acknowledgement, ``None`` if none came within so many seconds."""


def _default_commands() -> list[dict[str, Any]]:
    return [{"command": "/zof", "description": "Runs and results", "usage_hint": "result <id>", "verbs": []}]


@dataclass
class Workspace:
    """A Slack workspace with one app in it, the bot."""

    now: Callable[[], float]
    random: Random
    changed: Callable[[], None]
    inspect: Callable[[Mapping[str, Any], str], None] = lambda payload, surface: None
    """Sees each message and view that is taken, with the surface it is for; for whoever wants to judge them, too."""
    url: str = ""
    """Where this Slack is served; known once it is."""
    request_url: str = ""
    """Where the bot listens over HTTP; not needed while a Socket Mode connection is open."""
    team: str = "Acme"
    bot_token: str = "xoxb-simulated"  # noqa: S105 - opens nothing but this pretend Slack
    app_token: str = "xapp-simulated"  # noqa: S105 - likewise
    signing_secret: str = "simulated-signing-secret"  # noqa: S105 - likewise
    scopes: set[str] = field(default_factory=lambda: set(DEFAULT_SCOPES))
    app_scopes: set[str] = field(default_factory=lambda: {"connections:write"})
    """What the app's own token may do."""
    events: set[str] = field(default_factory=lambda: {"app_home_opened", "app_mention", "message.im"})
    """Event subscriptions of the app."""
    unfurl_domains: set[str] = field(default_factory=set)
    """Hosts whose links the app is told of, with all that is beneath them."""
    shortcuts: list[dict[str, Any]] = field(default_factory=list)
    """The app's message shortcuts, as its manifest has them."""
    commands: list[dict[str, Any]] = field(default_factory=_default_commands)
    should_escape: bool = True
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    groups: dict[str, UserGroup] = field(default_factory=dict)
    messages: dict[str, dict[str, PostedMessage]] = field(default_factory=dict)
    threads: dict[tuple[str, str], list[PostedMessage]] = field(default_factory=dict)
    """Replies by channel and parent."""
    ledger: list[PostedMessage] = field(default_factory=list)
    """Every message the bot ever posted, the hidden and deleted ones too."""
    modals: dict[str, list[View]] = field(default_factory=dict)
    homes: dict[str, View] = field(default_factory=dict)
    notices: dict[str, dict[str, Any]] = field(default_factory=dict)
    echoes: asyncio.Queue[tuple[PostedMessage, bool]] = field(default_factory=asyncio.Queue)
    """The bot's own direct messages that it has not been told of yet, and whether each was edited."""
    links: dict[str, SharedLinks] = field(default_factory=dict)
    """Links that the app was told of, by unfurl id."""
    triggers: dict[str, Trigger] = field(default_factory=dict)
    hooks: dict[str, ResponseUrl] = field(default_factory=dict)
    tickets: set[str] = field(default_factory=set)
    lines: list[EnvelopeConnection] = field(default_factory=list)
    calls: deque[SlackCall] = field(default_factory=lambda: deque(maxlen=2000))
    asked: int = 0
    faults: FaultInjector = field(default_factory=lambda: FaultInjector(SLACK_FAULTS, {"slow": 9.0}))
    paces: dict[str, BurstLimit] = field(default_factory=dict)
    paced: bool = True
    """Whether more than one message a second for a channel is refused."""
    hides_fast_posts: bool = False
    """Take what comes too fast, but show it to nobody."""
    takes_blocks: bool = True
    """Whether blocks are understood; else only text is taken, as where a newer block has not been rolled out."""
    keeps_everything: bool = False
    """Whether no message may be deleted, as where exports for compliance are on."""
    removes_alerts: bool = False
    """Whether an app for data loss prevention deletes what the bot posts to channels."""
    edit_window: float | None = None
    """Seconds for which messages may be edited; without it, for ever."""
    edit_refusal: str = "edit_window_closed"
    """The word for an edit that comes after the window; ``cant_update_message`` was seen, too."""
    draws_charts: bool = True
    """Whether ``data_visualization`` blocks are understood, whose roll-out is phased."""
    refuses_answers: Literal["text", "json", "json_200"] = "text"
    """How a refusal on a response_url comes: a plain word or JSON, with 4xx, or JSON with 200."""
    enforces_tiers: bool = False
    distributed: bool = False
    """Whether the app is sold outside of Slack's Marketplace: history comes once a minute, 15 messages at a time.

    https://docs.slack.dev/apis/web-api/rate-limits
    """
    tiers: dict[str, MinuteQuota] = field(default_factory=dict)
    _last_stamp: int = 0

    def next_timestamp(self) -> str:
        """A message time stamp: now, later than any before."""
        self._last_stamp = max(int(self.now() * 1_000_000), self._last_stamp + 1)
        return f"{self._last_stamp // 1_000_000}.{self._last_stamp % 1_000_000:06d}"

    def new_id(self, prefix: str) -> str:
        """An id that nobody has had."""
        return f"{prefix}{self.random.getrandbits(48):012X}"

    def find_dm(self, user_id: str) -> Channel | None:
        """Somebody's direct messages with the bot."""
        return next((channel for channel in self.channels.values() if channel.im_with == user_id), None)

    def find_message(self, channel_id: str, ts: str) -> PostedMessage | None:
        """A message that has not been deleted or hidden."""
        message = self.messages.get(channel_id, {}).get(ts)
        return message if message and not message.deleted and not message.hidden else None

    def add_message(self, message: PostedMessage) -> PostedMessage:
        """Put a message where people see it, and in the ledger when it is the bot's."""
        self.messages.setdefault(message.channel, {})[message.ts] = message
        if message.thread_ts:
            self.threads.setdefault((message.channel, message.thread_ts), []).append(message)
        if message.user == BOT_USER_ID and not message.only_to:
            self.ledger.append(message)
        self.changed()
        return message

    def queue_echo(self, message: PostedMessage, *, edited: bool = False) -> None:
        """Have the app told of its own direct message, if it asked to be told of such."""
        if self.channels[message.channel].im_with and "message.im" in self.events:
            self.echoes.put_nowait((message, edited))

    def thread_replies(self, parent: PostedMessage) -> list[PostedMessage]:
        """What stands in the thread of a message."""
        return [message for message in self.threads.get((parent.channel, parent.ts), []) if message.is_visible]

    def new_trigger(self, user: str) -> str:
        """A trigger_id for one modal."""
        trigger_id = f"{len(self.triggers) + 1}.{self.random.getrandbits(40)}"
        self.triggers[trigger_id] = Trigger(user, self.now())
        return trigger_id

    def extend_triggers(self, seconds: float) -> None:
        """Have triggers live so much longer, since the pretend world and who lives in it stood still so long."""
        for trigger in self.triggers.values():
            trigger.at += seconds

    def new_response_url(self, user: str, channel: str, message: PostedMessage | None = None) -> str:
        """The address of a new response_url."""
        token = self.new_id("R")
        self.hooks[token] = ResponseUrl(user, channel, self.now(), message)
        return f"{self.url}/respond/{token}"

    def top_modal(self, user: str) -> View | None:
        """The modal in front of somebody."""
        stack = self.modals.get(user)
        return stack[-1] if stack else None

    def find_view(self, view_id: str) -> View | None:
        """A modal or Home by its id."""
        every = [view for stack in self.modals.values() for view in stack] + list(self.homes.values())
        return next((view for view in every if view.id == view_id), None)

    def show_notice(self, user: str, text: str) -> None:
        """Let the Slack client itself tell somebody something."""
        self.notices[user] = {"text": text, "at": self.now()}
        self.changed()

    def mentionable_ids(self) -> set[str]:
        """What may be mentioned."""
        return {BOT_USER_ID, *self.users, *self.channels, *self.groups}

    def messages_with_key(self, key: str) -> list[PostedMessage]:
        """The bot's channel messages with this idempotency key."""
        return [message for message in self.ledger if message.idempotency_key == key]

    def duplicate_keys(self) -> list[str]:
        """Idempotency keys that were posted more than once."""
        times = Counter(message.idempotency_key for message in self.ledger if message.idempotency_key is not None)
        return sorted(key for key, count in times.items() if count > 1)

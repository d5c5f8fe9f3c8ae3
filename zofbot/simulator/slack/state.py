"""State of the simulated Slack, with one workspace."""

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
        *("mpim:history", "mpim:read", "reactions:write", "usergroups:read", "users:read", "users:read.email"),
    }
)


class SlackRefusal(Exception):
    """An error reply of Slack: ``error`` is its code, ``more`` are further fields of the body."""

    def __init__(self, error: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(error)
        self.error, self.status, self.headers, self.more = error, status, headers or {}, more


class EnvelopeConnection(Protocol):
    """An open Socket Mode connection to the bot."""

    async def send_envelope(self, envelope: dict[str, Any], within: float) -> dict[str, Any] | None:
        """Send one envelope; returns its acknowledgement, ``None`` if none came ``within`` that many seconds."""


def _default_commands() -> list[dict[str, Any]]:
    return [{"command": "/zof", "description": "Runs and results", "usage_hint": "result <id>", "verbs": []}]


@dataclass
class Workspace:
    """A Slack workspace with one app in it, the bot."""

    now: Callable[[], float]
    random: Random
    changed: Callable[[], None]
    inspect: Callable[[Mapping[str, Any], str], None] = lambda payload, surface: None
    """Called with each accepted message or view and its surface; tests use it for further checks."""
    url: str = ""
    """Base URL; set once it is served."""
    request_url: str = ""
    """The bot's URL for requests over HTTP; not needed with Socket Mode."""
    team: str = "Acme"
    bot_token: str = "xoxb-simulated"  # noqa: S105 - works only for this simulated Slack
    app_token: str = "xapp-simulated"  # noqa: S105 - likewise
    signing_secret: str = "simulated-signing-secret"  # noqa: S105 - likewise
    scopes: set[str] = field(default_factory=lambda: set(DEFAULT_SCOPES))
    app_scopes: set[str] = field(default_factory=lambda: {"connections:write"})
    """Scopes of the app-level token."""
    events: set[str] = field(default_factory=lambda: {"app_home_opened", "app_mention", "message.im"})
    """Event subscriptions of the app."""
    unfurl_domains: set[str] = field(default_factory=set)
    """Domains whose links, including subdomains, are reported to the app."""
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
    """Every message the bot posted, including hidden and deleted ones."""
    modals: dict[str, list[View]] = field(default_factory=dict)
    homes: dict[str, View] = field(default_factory=dict)
    notices: dict[str, dict[str, Any]] = field(default_factory=dict)
    echoes: asyncio.Queue[tuple[PostedMessage, bool]] = field(default_factory=asyncio.Queue)
    """The bot's own direct messages still to be reported to it, and whether each was edited."""
    links: dict[str, SharedLinks] = field(default_factory=dict)
    """Links reported to the app, by unfurl id."""
    triggers: dict[str, Trigger] = field(default_factory=dict)
    trigger_seconds: float = 3.0
    """How long a trigger_id is valid; longer in tests that run in real time."""
    hooks: dict[str, ResponseUrl] = field(default_factory=dict)
    tickets: set[str] = field(default_factory=set)
    lines: list[EnvelopeConnection] = field(default_factory=list)
    calls: deque[SlackCall] = field(default_factory=lambda: deque(maxlen=2000))
    asked: int = 0
    faults: FaultInjector = field(default_factory=lambda: FaultInjector(SLACK_FAULTS, {"slow": 9.0}))
    paces: dict[str, BurstLimit] = field(default_factory=dict)
    paced: bool = True
    """Whether more than one message per second to a channel is refused."""
    hides_fast_posts: bool = False
    """Whether messages over the rate limit are accepted but not shown."""
    takes_blocks: bool = True
    """Whether blocks are accepted; otherwise only text, as where a newer block is not rolled out yet."""
    unreachable_images: set[str] = field(default_factory=set)
    """URLs of images that Slack cannot fetch."""
    keeps_everything: bool = False
    """Whether deleting messages is refused, as with compliance exports."""
    removes_alerts: bool = False
    """Whether the bot's channel messages are deleted, as by an app for data loss prevention."""
    unthreads_replies: bool = True
    """Whether replies to a deleted message without replies are posted in the channel; otherwise they are refused.

    Both have been seen: https://github.com/slack-go/slack/issues/1571 , https://github.com/slackapi/bolt-js/issues/2307
    """
    edit_window: float | None = None
    """Seconds for which messages may be edited; ``None``: forever."""
    edit_refusal: str = "edit_window_closed"
    """Error code of an edit after the window; ``cant_update_message`` has been seen too."""
    unknown_blocks: set[str] = field(default_factory=set)
    """Newer types of blocks that this workspace does not have yet."""
    refuses_answers: Literal["text", "json", "json_200"] = "text"
    """Form of a refusal on a response_url: plain text or JSON with 4xx, or JSON with 200."""
    enforces_tiers: bool = False
    distributed: bool = False
    """Whether the app is distributed outside Slack's Marketplace: history once a minute, 15 messages per page.

    https://docs.slack.dev/apis/web-api/rate-limits
    """
    tiers: dict[str, MinuteQuota] = field(default_factory=dict)
    _last_stamp: int = 0

    def next_timestamp(self) -> str:
        """Return a message timestamp: now, and later than all before."""
        self._last_stamp = max(int(self.now() * 1_000_000), self._last_stamp + 1)
        return f"{self._last_stamp // 1_000_000}.{self._last_stamp % 1_000_000:06d}"

    def new_id(self, prefix: str) -> str:
        """Return a new id."""
        return f"{prefix}{self.random.getrandbits(48):012X}"

    def find_dm(self, user_id: str) -> Channel | None:
        """Find a person's direct message channel with the bot."""
        return next((channel for channel in self.channels.values() if channel.im_with == user_id), None)

    def find_message(self, channel_id: str, ts: str) -> PostedMessage | None:
        """Find a message that is not deleted or hidden."""
        message = self.messages.get(channel_id, {}).get(ts)
        return message if message and not message.deleted and not message.hidden else None

    def add_message(self, message: PostedMessage) -> PostedMessage:
        """Add a message to its channel, and to the ledger if it is the bot's."""
        self.messages.setdefault(message.channel, {})[message.ts] = message
        if message.thread_ts:
            self.threads.setdefault((message.channel, message.thread_ts), []).append(message)
        if message.user == BOT_USER_ID and not message.only_to:
            self.ledger.append(message)
        self.changed()
        return message

    def queue_echo(self, message: PostedMessage, *, edited: bool = False) -> None:
        """Queue the event of the app's own direct message, if it subscribed to that event."""
        if self.channels[message.channel].im_with and "message.im" in self.events:
            self.echoes.put_nowait((message, edited))

    def thread_replies(self, parent: PostedMessage) -> list[PostedMessage]:
        """Return the replies in a message's thread."""
        return [message for message in self.threads.get((parent.channel, parent.ts), []) if message.is_visible]

    def new_trigger(self, user: str) -> str:
        """Create a trigger_id for one modal."""
        trigger_id = f"{len(self.triggers) + 1}.{self.random.getrandbits(40)}"
        self.triggers[trigger_id] = Trigger(user, self.now())
        return trigger_id

    def extend_triggers(self, seconds: float) -> None:
        """Extend the lifetime of triggers by the time for which this process was suspended."""
        for trigger in self.triggers.values():
            trigger.at += seconds

    def new_response_url(self, user: str, channel: str, message: PostedMessage | None = None) -> str:
        """Create a response_url."""
        token = self.new_id("R")
        self.hooks[token] = ResponseUrl(user, channel, self.now(), message)
        return f"{self.url}/respond/{token}"

    def top_modal(self, user: str) -> View | None:
        """Return a person's topmost modal."""
        stack = self.modals.get(user)
        return stack[-1] if stack else None

    def find_view(self, view_id: str) -> View | None:
        """Find a modal or Home by its id."""
        every = [view for stack in self.modals.values() for view in stack] + list(self.homes.values())
        return next((view for view in every if view.id == view_id), None)

    def show_notice(self, user: str, text: str) -> None:
        """Show a person a notice of the Slack client."""
        self.notices[user] = {"text": text, "at": self.now()}
        self.changed()

    def mentionable_ids(self) -> set[str]:
        """Return the ids that may be mentioned."""
        return {BOT_USER_ID, *self.users, *self.channels, *self.groups}

    def messages_with_key(self, key: str) -> list[PostedMessage]:
        """Return the bot's channel messages with this idempotency key."""
        return [message for message in self.ledger if message.idempotency_key == key]

    def duplicate_keys(self) -> list[str]:
        """Return the idempotency keys that were posted more than once."""
        times = Counter(message.idempotency_key for message in self.ledger if message.idempotency_key is not None)
        return sorted(key for key, count in times.items() if count > 1)

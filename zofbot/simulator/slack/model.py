"""What a Slack workspace is made of: people, channels, messages, views, and the short-lived keys Slack hands out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

BOT_USER_ID = "U0ZOFBOT"
TEAM_ID = "T0ACME"
APP_ID = "A0ZOFBOT"
BOT_ID = "B0ZOFBOT"


@dataclass
class User:
    """Somebody in the workspace."""

    id: str
    name: str
    real_name: str
    tz: str = "Europe/London"
    kind: Literal["member", "guest", "external", "bot"] = "member"
    color: str = "#64748b"
    team: str = TEAM_ID
    admin: bool = False
    """Admin of the workspace."""
    deleted: bool = False
    """The account is switched off."""
    display_name: str = ""
    """What they are called where they have chosen another name than ``name``."""


@dataclass
class Channel:
    """A conversation. ``im_with`` names the person when it is somebody's direct messages with the bot.

    ``external`` says that people of another organization are in it, and that Slack says so.
    """

    id: str
    name: str
    members: set[str] = field(default_factory=set)
    topic: str = ""
    private: bool = False
    archived: bool = False
    external: bool = False
    pending: bool = False
    """Another organization was invited and has not come yet."""
    im_with: str = ""
    group_dm: bool = False
    """Direct messages of several people."""
    restricted: str = ""
    """The error posting is refused with, such as ``restricted_action``."""


@dataclass
class UserGroup:
    """A user group."""

    id: str
    handle: str
    name: str
    users: list[str]


@dataclass
class PostedMessage:
    """A message, or an ephemeral one when ``only_to`` names the person who sees it."""

    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    thread_ts: str | None = None
    metadata: dict[str, Any] | None = None
    only_to: str = ""
    broadcast: bool = False
    edited: bool = False
    deleted: bool = False
    hidden: bool = False
    """Taken but not shown, as Slack does with what comes too fast."""
    reactions: dict[str, set[str]] = field(default_factory=dict)

    @property
    def idempotency_key(self) -> str | None:
        """The bot's idempotency key, from the metadata."""
        key = (self.metadata or {}).get("event_payload", {}).get("key")
        return str(key) if key is not None else None

    @property
    def is_visible(self) -> bool:
        """Whether anybody can still see it in the channel."""
        return not (self.deleted or self.hidden or self.only_to)


@dataclass
class View:
    """A modal or a Home as somebody sees it; ``payload`` is what the bot sent."""

    id: str
    user: str
    payload: dict[str, Any]
    hash: str
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] | None = None
    root: str = ""
    previous: str | None = None


@dataclass
class SharedLinks:
    """Links of the app's domains in a message (``ts``), or in one that is still being written (source ``composer``)."""

    source: Literal["composer", "conversations_history"]
    channel: str
    ts: str
    links: list[str]
    acknowledged: bool = False
    """Whether the app has answered the event: only then may it unfurl them."""


@dataclass
class Trigger:
    """The right to open one modal within three seconds."""

    user: str
    at: float
    used: bool = False


@dataclass
class ResponseUrl:
    """A response_url: five uses within thirty minutes. ``message`` is what somebody clicked on: it can be replaced."""

    user: str
    channel: str
    at: float
    message: PostedMessage | None = None
    uses: int = 0


@dataclass
class SlackCall:
    """One Web API call as it was answered; ``ok`` is false when no reply left the house."""

    n: int
    at: float
    method: str
    arguments: dict[str, Any]
    ok: bool = False
    error: str | None = None
    channel: str | None = None
    fault: str | None = None
    status: int | None = None

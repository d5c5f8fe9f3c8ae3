"""Data model of a Slack workspace: people, channels, messages, views, triggers and response URLs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

BOT_USER_ID = "U0ZOFBOT"
TEAM_ID = "T0ACME"
APP_ID = "A0ZOFBOT"
BOT_ID = "B0ZOFBOT"

MAX_REPLACED_BLOCKS = 500
"""How many blocks of earlier versions of a message or view are kept."""


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
    """The account is deactivated."""
    display_name: str = ""
    """The chosen display name, if other than ``name``."""

    @property
    def email(self) -> str:
        """The e-mail address, by which the app may find the person."""
        return f"{self.name}@acme.example"


@dataclass
class Channel:
    """A conversation; ``im_with`` is the person in a direct message with the bot.

    ``external``: it is shared with another organization, and Slack reports that.
    """

    id: str
    name: str
    members: set[str] = field(default_factory=set)
    topic: str = ""
    private: bool = False
    archived: bool = False
    external: bool = False
    pending: bool = False
    """Another organization was invited and has not accepted yet."""
    im_with: str = ""
    group_dm: bool = False
    """A group direct message."""
    restricted: str = ""
    """Error code that posting is refused with, such as ``restricted_action``."""


@dataclass
class UserGroup:
    """A user group."""

    id: str
    handle: str
    name: str
    users: list[str]


@dataclass
class PostedMessage:
    """A message; ephemeral if ``only_to`` names the person who sees it."""

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
    """Accepted but not shown, as Slack does with messages that come too fast."""
    reactions: dict[str, set[str]] = field(default_factory=dict)
    replaced_blocks: list[dict[str, Any]] = field(default_factory=list)
    """Blocks of earlier versions, the newest first: a client may still show them when somebody clicks."""

    def replace_content(self, text: str, blocks: list[dict[str, Any]], attachments: list[dict[str, Any]]) -> None:
        """Replace what the message shows."""
        self.replaced_blocks = [*self.shown_blocks, *self.replaced_blocks][:MAX_REPLACED_BLOCKS]
        self.text, self.blocks, self.attachments = text, blocks, attachments

    @property
    def shown_blocks(self) -> list[dict[str, Any]]:
        """Its blocks and those of its attachments."""
        inside = [block for attachment in self.attachments for block in attachment.get("blocks", ())]
        return [*self.blocks, *inside]

    @property
    def idempotency_key(self) -> str | None:
        """Idempotency key from the bot's metadata."""
        key = (self.metadata or {}).get("event_payload", {}).get("key")
        return str(key) if key is not None else None

    @property
    def is_visible(self) -> bool:
        """True if people can see it in the channel."""
        return not (self.deleted or self.hidden or self.only_to)


@dataclass
class View:
    """A modal or App Home of one person; ``payload`` is what the bot sent."""

    id: str
    user: str
    payload: dict[str, Any]
    hash: str
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] | None = None
    root: str = ""
    previous: str | None = None
    replaced_blocks: list[dict[str, Any]] = field(default_factory=list)
    """Blocks of earlier versions, the newest first: a client may still show them when somebody clicks."""

    def replace_content(self, payload: dict[str, Any]) -> None:
        """Replace what the view shows."""
        self.replaced_blocks = [*self.payload["blocks"], *self.replaced_blocks][:MAX_REPLACED_BLOCKS]
        self.payload, self.errors = payload, None


@dataclass
class SharedLinks:
    """Links of the app's domains in a message (``ts``) or a draft (source ``composer``)."""

    source: Literal["composer", "conversations_history"]
    channel: str
    ts: str
    links: list[str]
    acknowledged: bool = False
    """Whether the app acknowledged the event; required before unfurling."""


@dataclass
class Trigger:
    """A trigger_id, valid for opening one modal within three seconds."""

    user: str
    at: float
    used: bool = False


@dataclass
class ResponseUrl:
    """A response_url: five uses within thirty minutes. ``message`` is the clicked message, which can be replaced."""

    user: str
    channel: str
    at: float
    message: PostedMessage | None = None
    uses: int = 0


@dataclass
class SlackCall:
    """One Web API call with its reply; ``ok`` is False if no reply was sent."""

    n: int
    at: float
    method: str
    arguments: dict[str, Any]
    ok: bool = False
    error: str | None = None
    channel: str | None = None
    fault: str | None = None
    status: int | None = None

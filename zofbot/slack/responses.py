"""What Slack's methods return, as models; a reply of an unexpected shape raises SlackUnknown (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import StringConstraints, ValidationError, model_validator

from zofbot.domain.errors import SlackUnknown
from zofbot.domain.frozen_model import FrozenModel
from zofbot.slack.errors import UNREADABLE_REASON_PREFIX

METADATA_EVENT_TYPE = "zofbot_notification"
"""``event_type`` of the metadata on every channel message."""

SlackTimestamp = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}\.[0-9]{1,9}$")]
SlackId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class SlackReply(FrozenModel):
    """Base of replies. Unknown fields are ignored; known fields must have the right type."""


class AuthTestReply(SlackReply):
    """``auth.test``."""

    user_id: SlackId
    team_id: SlackId | None = None
    bot_id: SlackId | None = None
    enterprise_id: SlackId | None = None


class PostMessageReply(SlackReply):
    """``chat.postMessage``."""

    class PostedMessage(SlackReply):
        """The message as posted, of which only its thread is read."""

        thread_ts: SlackTimestamp | None = None

    ts: SlackTimestamp
    channel: SlackId | None = None
    message: PostedMessage | None = None


class PermalinkReply(SlackReply):
    """``chat.getPermalink``."""

    permalink: Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>|]+$", max_length=2_000)]


class ResponseMetadata(SlackReply):
    """Cursor of the next page."""

    next_cursor: str | None = None


class ChannelId(SlackReply):
    """A channel, of which only the id is read."""

    id: SlackId


class PagedReply(SlackReply):
    """A page of a list."""

    response_metadata: ResponseMetadata | None = None
    has_more: bool = False

    @property
    def page_cursor(self) -> str:
        """Cursor of the next page; empty on the last."""
        return (self.response_metadata.next_cursor if self.response_metadata else None) or ""

    @model_validator(mode="after")
    def _check_cursor(self) -> PagedReply:
        if self.has_more and not self.page_cursor:
            raise ValueError("there is more, and no way to it")
        return self


class HistoryMessage(SlackReply):
    """A message in a channel or thread."""

    ts: SlackTimestamp
    subtype: str | None = None
    key: str = ""
    """Idempotency key from the metadata; any app can write one, so check ``is_posted_by`` as well."""
    bot_id: str | None = None
    user: str | None = None
    thread_ts: str | None = None
    """Timestamp of the thread's root, which has its own; absent outside threads."""

    def is_posted_by(self, ids: frozenset[str]) -> bool:
        """Return whether one of these bots or users posted it (https://docs.slack.dev/reference/events/message)."""
        return bool(ids & {self.bot_id, self.user})

    @model_validator(mode="before")
    @classmethod
    def _extract_key(cls, found: object) -> object:
        if not isinstance(found, dict):
            raise ValueError("no message")
        meta = found.get("metadata")
        ours = isinstance(meta, dict) and meta.get("event_type") == METADATA_EVENT_TYPE
        payload = meta.get("event_payload") if ours and isinstance(meta, dict) else None
        key = payload.get("key") if isinstance(payload, dict) else None
        about = {name: found.get(name) for name in ("ts", "subtype", "bot_id", "user", "thread_ts")}
        return about | {"key": key if isinstance(key, str) else ""}


class HistoryReply(PagedReply):
    """``conversations.history`` and ``conversations.replies``."""

    messages: tuple[HistoryMessage, ...]


class OpenConversationReply(SlackReply):
    """``conversations.open``."""

    channel: ChannelId


class SocketUrlReply(SlackReply):
    """``apps.connections.open``."""

    url: Annotated[str, StringConstraints(pattern=r"^(wss?|https?)://[^\s<>|]+$", max_length=4_000)]


class ViewReply(SlackReply):
    """``views.publish`` and ``views.update``."""

    class ViewHash(SlackReply):
        """The view's hash."""

        hash: str | None = None

    view: ViewHash


ReplyT = TypeVar("ReplyT", bound=SlackReply)


def parse_reply(kind: type[ReplyT], data: Mapping[str, Any]) -> ReplyT:
    """Parse a method's reply as ``kind``. Raises SlackUnknown if it does not match."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
    raise unreadable_error(place)


def unreadable_error(place: str) -> SlackUnknown:
    """Return the error for a reply that is malformed at ``place``."""
    return SlackUnknown(
        f"{UNREADABLE_REASON_PREFIX}: {place}"[:80],
        "Slack didn't confirm the message: its response couldn't be read.",
        "Check whether it was posted before trying again.",
    )

"""Parsing of Slack's replies; one of an unexpected shape raises SlackUnknown (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, field_validator, model_validator

from zofbot.domain.errors import SlackError, SlackUnknown
from zofbot.slack.errors import UNREADABLE_REASON_PREFIX, classify_error, is_known_reason

MAX_REPLY_BYTES = 8 * 1024 * 1024
"""Maximum size of a reply; a page of 200 long messages is smaller."""

MAX_JSON_CONTAINERS = 300_000
"""Maximum objects and lists in one reply: each takes much more memory than its two characters."""

METADATA_EVENT_TYPE = "zofbot_notification"
"""``event_type`` of the metadata on every channel message."""

_REASON_PATTERN = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_SCOPES_PATTERN = re.compile(r"[a-z_:.,-]{1,200}")


@dataclass(frozen=True)
class SlackHttpReply:
    """A raw HTTP reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def parse_json_object(body: bytes) -> dict[str, Any] | None:
    """Parse a JSON object; None if it is invalid, not an object, or has too many containers."""
    if body.count(b"{") + body.count(b"[") > MAX_JSON_CONTAINERS:
        return None
    try:
        found = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def parse_http_reply(reply: SlackHttpReply) -> dict[str, Any]:
    """Return the reply of a Web API method, ``ok`` or not. Raises SlackDeferred and SlackUnknown.

    Only a JSON object with ``ok``, and with ``error`` if that is false, counts as Slack's reply.
    """
    data = parse_json_object(reply.body) or {}
    reason = data.get("error") if data.get("ok") is False else None
    if not (isinstance(reason, str) and _REASON_PATTERN.fullmatch(reason)):
        reason = None
    accepted = reply.status == 200 and data.get("ok") is True
    refused = reason is not None and (reply.status == 200 or 400 <= reply.status < 500)
    if accepted or refused:
        return data
    raise unconfirmed_error(reply, reason or "")


def check_response_url_reply(reply: SlackHttpReply) -> None:
    """Return normally if a ``response_url`` accepted the message. Raises SlackError.

    Refusals come as plain text or JSON, with 4xx or 200 (seen in getsentry/sentry 7955).
    """
    data = parse_json_object(reply.body)
    text = reply.body[:200].decode(errors="replace").strip()
    if reply.status == 200 and (text == "ok" if data is None else data.get("ok") is True):
        return
    given = text if data is None else data.get("error")
    reason = given.lower().replace(" ", "_") if isinstance(given, str) and len(given) <= 80 else ""
    if reason and (reply.status == 200 or 400 <= reply.status < 500) and (data or is_known_reason(reason)):
        raise classify_error(
            reply.status, reason if _REASON_PATTERN.fullmatch(reason) else UNREADABLE_REASON_PREFIX, reply.headers
        )
    raise unconfirmed_error(reply, "")


def unconfirmed_error(reply: SlackHttpReply, word: str) -> SlackError:
    """Return the error for a reply that neither confirms nor refuses."""
    return classify_error(
        reply.status,
        word or (f"http_{reply.status}" if reply.status != 200 else UNREADABLE_REASON_PREFIX),
        reply.headers,
    )


def parse_scope(value: object) -> str:
    """Parse the scopes that Slack asks for; empty if missing or invalid."""
    return value if isinstance(value, str) and _SCOPES_PATTERN.fullmatch(value) else ""


def parse_details(data: Mapping[str, Any]) -> list[str]:
    """Parse the messages that Slack adds to an error or a warning, truncated."""
    meta = data.get("response_metadata")
    found = meta.get("messages") if isinstance(meta, dict) else None
    return [printable_text(line, 300) for line in found[:10]] if isinstance(found, list) else []


def printable_text(value: object, most: int) -> str:
    """Return text for the log, truncated to ``most`` characters, with lone surrogates escaped."""
    return str(value)[:most].encode(errors="backslashreplace").decode()


SlackTimestamp = Annotated[str, StringConstraints(pattern=r"^\d{1,12}\.\d{1,9}$")]
SlackId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class SlackReply(BaseModel):
    """Base of replies. Unknown fields are ignored; known fields must have the right type."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AuthTestReply(SlackReply):
    """``auth.test``."""

    user_id: SlackId
    team_id: SlackId | None = None
    bot_id: SlackId | None = None
    enterprise_id: SlackId | None = None


class PostMessageReply(SlackReply):
    """``chat.postMessage``."""

    ts: SlackTimestamp
    channel: SlackId | None = None


class PermalinkReply(SlackReply):
    """``chat.getPermalink``."""

    permalink: Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>|]{1,2000}$")]


class ResponseMetadata(SlackReply):
    """Cursor of the next page."""

    next_cursor: str | None = None


class _PagedReply(SlackReply):
    response_metadata: ResponseMetadata | None = None
    has_more: bool = False

    @property
    def page_cursor(self) -> str:
        """Cursor of the next page; empty on the last."""
        return (self.response_metadata.next_cursor if self.response_metadata else None) or ""

    @model_validator(mode="after")
    def _check_cursor(self) -> _PagedReply:
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
        about = {name: found.get(name) for name in ("ts", "subtype", "bot_id", "user")}
        return about | {"key": key or ""}


class HistoryReply(_PagedReply):
    """``conversations.history`` and ``conversations.replies``."""

    messages: tuple[HistoryMessage, ...]


class _ChannelId(SlackReply):
    id: SlackId


class UserChannelsReply(_PagedReply):
    """``users.conversations``."""

    channels: tuple[_ChannelId, ...]


class ChannelMembersReply(SlackReply):
    """``conversations.members``."""

    members: frozenset[SlackId]


class GroupMembersReply(SlackReply):
    """``usergroups.users.list``."""

    users: frozenset[SlackId]


class OpenConversationReply(SlackReply):
    """``conversations.open``."""

    channel: _ChannelId


class SocketUrlReply(SlackReply):
    """``apps.connections.open``."""

    url: Annotated[str, StringConstraints(pattern=r"^(wss?|https?)://[^\s<>|]{1,4000}$")]


class _GroupHandle(SlackReply):
    id: SlackId
    handle: str | None = None


class GroupListReply(SlackReply):
    """``usergroups.list``."""

    usergroups: tuple[_GroupHandle, ...]


class ViewReply(SlackReply):
    """``views.publish`` and ``views.update``."""

    class ViewHash(SlackReply):
        """The view's hash."""

        hash: str | None = None

    view: ViewHash


class _SlackObject(BaseModel):
    """Base of Slack's objects: declared fields are validated, others are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class UserProfile(_SlackObject):
    """A person's names."""

    display_name: str | None = None
    real_name: str | None = None


class EnterpriseUser(_SlackObject):
    """A person's organization, on Enterprise Grid."""

    enterprise_id: str | None = None
    teams: tuple[str, ...] | None = None


class SlackUser(_SlackObject):
    """https://docs.slack.dev/reference/objects/user-object ."""

    id: SlackId | None = None
    name: str | None = None
    real_name: str | None = None
    team_id: str | None = None
    tz: str | None = None
    tz_offset: int | None = None
    deleted: bool | None = None
    is_admin: bool | None = None
    is_owner: bool | None = None
    is_primary_owner: bool | None = None
    is_bot: bool | None = None
    is_workflow_bot: bool | None = None
    is_stranger: bool | None = None
    is_restricted: bool | None = None
    is_ultra_restricted: bool | None = None
    profile: UserProfile | None = None
    enterprise_user: EnterpriseUser | None = None

    @field_validator("tz_offset", mode="before")
    @classmethod
    def _coerce_offset(cls, value: object) -> object:
        return int(value) if isinstance(value, float) and value.is_integer() else value


class UserInfoReply(SlackReply):
    """``users.info``."""

    user: SlackUser


class UserListReply(_PagedReply):
    """``users.list``."""

    members: tuple[SlackUser, ...]


class Conversation(_SlackObject):
    """https://docs.slack.dev/reference/objects/conversation-object ."""

    id: SlackId | None = None
    name: str | None = None
    user: str | None = None
    is_im: bool | None = None
    is_mpim: bool | None = None
    is_private: bool | None = None
    is_archived: bool | None = None
    is_member: bool | None = None
    is_shared: bool | None = None
    is_ext_shared: bool | None = None
    is_org_shared: bool | None = None
    is_pending_ext_shared: bool | None = None


class ConversationInfoReply(SlackReply):
    """``conversations.info``."""

    channel: Conversation


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
        "Slack did not confirm it: its answer could not be read.",
        "Look whether it is there before trying again.",
    )

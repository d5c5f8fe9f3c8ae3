"""Models of the parts of Slack's payloads that zofbot reads, to reject malformed payloads.

Other parts are ignored, and most are optional: which ones are present depends on the interaction.
https://docs.slack.dev/reference/interaction-payloads , https://docs.slack.dev/apis/events-api
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator


def _check_encodable(text: str) -> str:
    text.encode()  # raises UnicodeEncodeError, a ValueError, for a lone surrogate
    return text


_Text = Annotated[str, AfterValidator(_check_encodable)]

_Scalar = _Text | int | float | bool | None
"""A value that can be converted to text, or None; lone surrogates are rejected because they cannot be stored."""

_NAME_PATTERN = re.compile(r"\w+", re.ASCII)

_Url = Annotated[str, Field(pattern=r"^(https?://\S+)?$")] | None

_Id = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")] | None
"""Slack's own ids and time stamps are ASCII."""


class _InboundModel(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="ignore", strict=True)


class _UserRef(_InboundModel):
    id: _Id = None
    name: _Scalar = None
    username: _Scalar = None
    team_id: _Id = None


class _ChannelRef(_InboundModel):
    id: _Id = None
    name: _Scalar = None


class _Container(_InboundModel):
    channel_id: _Id = None
    message_ts: _Id = None
    thread_ts: _Id = None


class _Option(_InboundModel):
    value: _Scalar = None


class _Field(_InboundModel):
    """Value of a form field."""

    value: _Scalar = None
    selected_option: _Option | None = None
    selected_options: list[_Option] | None = None
    selected_user: _Scalar = None
    selected_users: list[_Text] | None = None


class _Action(_InboundModel):
    action_id: _Text
    block_id: _Text | None = None
    value: _Text | None = None
    selected_option: _Option | None = None


class _Block(_InboundModel):
    block_id: _Text | None = None


class _Attachment(_InboundModel):
    blocks: list[_Block] | None = None


class _Message(_InboundModel):
    ts: _Id = None
    thread_ts: _Id = None
    blocks: list[_Block] | None = None
    attachments: list[_Attachment] | None = None


def _read_empty_list(value: Any) -> Any:
    """Read an empty list as None: Slack sent one as a view without values (https://github.com/slack-go/slack/issues/943)."""
    return None if value == [] else value


class _State(_InboundModel):
    values: Annotated[dict[str, dict[str, _Field | None] | None] | None, BeforeValidator(_read_empty_list)] = None


class _View(_InboundModel):
    id: _Id = None
    hash: _Id = None
    callback_id: _Text | None = None
    private_metadata: _Text | None = None
    state: _State | None = None
    blocks: list[_Block] | None = None


class _SubmittedView(_View):
    type: str  # Bolt's view listeners read it


class _Event(_InboundModel):
    type: _Text | None = None
    text: _Scalar = None
    user: _Id | dict[str, Any] = None
    channel: _Id | dict[str, Any] = None
    old_channel_id: _Id = None
    new_channel_id: _Id = None
    ts: _Id = None
    thread_ts: _Id = None
    view: _View | None = None


class _Authorization(_InboundModel):
    user_id: _Id = None


_REQUIRED_PARTS = {
    "block_actions": "actions",
    "block_suggestion": "action_id",
    "view_submission": "view",
    "view_closed": "view",
    "event_callback": "event",
}
"""Part that each payload type must have."""


class _InboundPayload(_InboundModel):
    type: _Text | None = None
    command: _Text | None = None
    text: _Scalar = None
    event_id: _Id = None
    trigger_id: _Id = None
    callback_id: _Text | None = None
    response_url: _Url = None
    user_id: _Id = None
    channel_id: _Id = None
    user: _UserRef | None = None
    channel: _ChannelRef | None = None
    container: _Container | None = None
    message: _Message | None = None
    view: _SubmittedView | None = None
    event: _Event | None = None
    response_urls: list[dict[str, Any]] = []  # Bolt reads the first
    team: str | dict[str, Any] | None = None
    enterprise: str | dict[str, Any] | None = None
    actions: list[_Action] | None = None
    authorizations: list[_Authorization] | None = None
    action_id: _Text | None = None
    value: _Scalar = None

    @model_validator(mode="after")
    def _check_complete(self) -> _InboundPayload:
        """Require the part that the payload's type is about."""
        part = _REQUIRED_PARTS.get(self.type or "")
        if part and not getattr(self, part):
            raise ValueError(part)
        return self


def find_malformed(payload: Mapping[str, Any]) -> str:
    """Return the path of the first malformed part of a payload; empty if it is valid."""
    try:
        _InboundPayload.model_validate(payload)
    except ValidationError as error:
        first = error.errors()[0]
        return ".".join(str(part) for part in first["loc"] if _NAME_PATTERN.fullmatch(str(part)))[:200] or "the whole"
    return ""

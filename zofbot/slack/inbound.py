"""The parts of Slack's payloads that are read here, by name, and the shape that each must have to be read at all.

Nothing else of a payload is looked at, and nothing needs to be there: which parts come depends on what somebody did.
https://docs.slack.dev/reference/interaction-payloads , https://docs.slack.dev/apis/events-api
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from zofbot.domain.errors import BadInput

T = TypeVar("T")


def _check_encodable(text: str) -> str:
    text.encode()  # raises UnicodeEncodeError, a ValueError, for half of a character
    return text


_Text = Annotated[str, AfterValidator(_check_encodable)]

_Scalar = _Text | int | float | bool | None
"""What can be read as a word, and is nothing when it is not there; half of a character is none that could be kept."""

_NAME_PATTERN = re.compile(r"\w+", re.ASCII)

_Url = Annotated[str, Field(pattern=r"^(https?://\S+)?$")] | None

_Id = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")] | None
"""Slack's own ids and time stamps are ASCII."""


class _InboundModel(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


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
    """What stands in a field of a form."""

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


class _State(_InboundModel):
    values: dict[str, dict[str, _Field | None] | None] | None = None


class _View(_InboundModel):
    id: _Id = None
    hash: _Id = None
    callback_id: _Text | None = None
    private_metadata: _Text | None = None
    state: _State | None = None
    blocks: list[_Block] | None = None


class _SubmittedView(_View):
    type: str  # Bolt's listeners of forms ask for it


class _Event(_InboundModel):
    type: _Text | None = None
    text: _Scalar = None
    user: _Id | dict[str, Any] = None
    channel: _Id | dict[str, Any] = None
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
"""Types of payloads, and the part that each is about."""


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
    response_urls: list[dict[str, Any]] = []
    team: str | dict[str, Any] | None = None
    enterprise: str | dict[str, Any] | None = None
    actions: list[_Action] | None = None
    authorizations: list[_Authorization] | None = None
    action_id: _Text | None = None
    value: _Scalar = None

    @model_validator(mode="after")
    def _check_complete(self) -> _InboundPayload:
        """Have a payload hold what it is about."""
        part = _REQUIRED_PARTS.get(self.type or "")
        if part and not getattr(self, part):
            raise ValueError(part)
        return self


def find_malformed(payload: Mapping[str, Any]) -> str:
    """Where a payload has not the shape that Slack gives it; empty for one that can be read."""
    try:
        _InboundPayload.model_validate(payload)
    except ValidationError as error:
        first = error.errors()[0]
        return ".".join(str(part) for part in first["loc"] if _NAME_PATTERN.fullmatch(str(part)))[:200] or "the whole"
    return ""


def form_values(view: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """What stands in the fields of a form, by block and action."""
    values: Mapping[str, Mapping[str, Any]] = (view.get("state") or {}).get("values") or {}
    return values


def with_blocks(view: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The same form with other blocks; what people filled in stays where the fields stay."""
    kept = ("type", "callback_id", "title", "submit", "close", "private_metadata")
    return {**{name: view[name] for name in kept if view.get(name)}, "blocks": list(blocks)}


def parse_private_metadata(kind: type[T], view: Mapping[str, Any]) -> T:
    """Read back what a form carried along unseen, as JSON. Raises BadInput where that is not of this kind."""
    try:
        return TypeAdapter(kind).validate_json(str(view.get("private_metadata") or ""))
    except ValidationError:
        raise BadInput("This form is from another version of zofbot.", "Close it, and open it again.") from None

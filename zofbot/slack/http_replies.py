"""Read Slack's raw HTTP replies: whether it is Slack that answers, and what it says about an error (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zofbot.domain.errors import SlackError
from zofbot.slack.errors import HTTP_REASON_PREFIX, UNREADABLE_REASON_PREFIX, classify_error, is_known_reason

MAX_REPLY_BYTES = 8 * 1024 * 1024
"""Maximum size of a reply; a page of 200 long messages is smaller."""

MAX_JSON_CONTAINERS = 300_000
"""Maximum objects and lists in one reply: each takes much more memory than its two characters."""

_REASON_PATTERN = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_SCOPES_PATTERN = re.compile(r"[a-z_:.,-]{1,200}")


@dataclass(frozen=True)
class SlackHttpReply:
    """A raw HTTP reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def parse_json_object(body: bytes) -> dict[str, Any] | None:
    """Parse a JSON object; None if it is invalid, not an object, or has too many containers.

    Lone surrogates are replaced: JSON allows them, but UTF-8, in which everything is stored and sent, does not.
    """
    if body.count(b"{") + body.count(b"[") > MAX_JSON_CONTAINERS:
        return None
    try:
        found = json.loads(body.decode(), parse_constant=_refuse_constant)
        if b"\\ud" in body.lower():
            found = _replace_lone_surrogates(found)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _replace_lone_surrogates(data: Any) -> Any:
    """Return parsed JSON with a question mark in place of each lone surrogate."""
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()
    if isinstance(data, list):
        return [_replace_lone_surrogates(item) for item in data]
    if isinstance(data, dict):
        return {_replace_lone_surrogates(name): _replace_lone_surrogates(value) for name, value in data.items()}
    return data


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
        word or (f"{HTTP_REASON_PREFIX}{reply.status}" if reply.status != 200 else UNREADABLE_REASON_PREFIX),
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

"""Notifications as the outbox's scripts take them, and claims as they return them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from zofbot.domain.json_encoding import encode_json
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.store.attempt_results import Unreadable
from zofbot.store.decoding import decode_text, decode_texts
from zofbot.store.records import UNREADABLE_ERRORS, parse_object, parse_receipt

log = structlog.get_logger()


def flatten_notification(notification: Notification) -> list[str | int]:
    """Return the ten values that ``commit.lua`` takes for a notification."""
    return [
        notification.key,
        notification.kind.value,
        notification.channel,
        notification.root,
        int(notification.edits_reply),
        repr(notification.happened),
        int(notification.critical),
        repr(notification.not_before),
        notification.schema_,
        encode_json(notification.body),
    ]


def read_claim(fields: Sequence[bytes]) -> Claim | Unreadable:
    """Parse one claim returned by ``claim.lua``; if that is not possible, return the result to settle it with."""
    try:
        return _parse_claim(fields)
    except UNREADABLE_ERRORS as error:
        problem = f"cannot be read: {type(error).__name__}"
        advice = "retry it with the version of zofbot that wrote it, or drop it"
        return Unreadable(decode_text(fields[0]), int(fields[10]), f"{problem}; {advice}")


def _parse_claim(fields: Sequence[bytes]) -> Claim:
    (key, kind, channel, root, edits_reply, happened, critical, not_before, schema, body, attempt, committed, since,
     place, failure, triage, rerun, storm, storm_triage, tries) = decode_texts(fields)  # fmt: skip
    if not channel:
        raise ValueError("no channel")
    return Claim(
        Notification.model_construct(  # validated when it was committed
            key=key,
            kind=NotificationKind(kind),
            channel=channel,
            root=root,
            edits_reply=edits_reply == "1",
            happened=float(happened),
            critical=critical == "1",
            not_before=float(not_before),
            schema_=int(schema),
            body=parse_object(body),
        ),
        int(attempt),
        int(committed) / 1000,
        int(since) / 1000 if since else None,
        parse_receipt(place) if place else None,
        _read_context(root or key, failure),
        triage,
        rerun,
        _read_context(root or key, storm),
        storm_triage,
        tries=int(tries),
    )


def _read_context(key: str, text: str) -> dict[str, Any] | None:
    """Parse the latest payload of the failure ``key`` or of its storm; None without one, or if it cannot be read."""
    try:
        return parse_object(text) if text else None
    except UNREADABLE_ERRORS:
        log.error("unreadable failure", key=key, fix="run the version of zofbot that wrote it")
        return None

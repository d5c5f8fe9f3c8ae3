"""Redaction for channels shared with other organizations: without failure texts and people's notes.

Cards in a shared channel show only names, outcomes and counts, because failure texts may contain anything that a test
printed. This is decided whenever a message is rendered, so an updated card follows the channel's current status. While
Slack does not say who reads a channel, a message waits a few seconds; then it is sent redacted, with a note that
details follow, and an edit adds them once Slack has answered.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from zofbot.clock import Clock, timeout
from zofbot.domain.extra_fields import FieldType
from zofbot.domain.model import Result, Run
from zofbot.notifications.digest_payload import DigestPayload
from zofbot.notifications.notification import (
    Claim,
    Notification,
    NotificationKind,
    Obsolete,
    Postponed,
)
from zofbot.notifications.other_payloads import AlertTestPayload, PlatformEventPayload
from zofbot.notifications.payloads import holds_payload
from zofbot.notifications.storm_payloads import StormMembersPayload
from zofbot.slack.directory import Readers

_INTERNAL_FIELDS = {"why", "note", "extras"}
"""Fields of payloads and records that other organizations must not see."""

_HIDDEN_TROUBLE = "Zof returned an error."
"""What digests and notes say in place of Zof's own words about an error."""

READERS_WAIT_SECONDS = 5.0
"""Seconds that a message waits for Slack to say who reads its channel."""

DETAILS_KEY_PREFIX = "details:"
"""Key prefix of edits that add details left out earlier."""

DETAILS_WAIT_SECONDS = 86400.0
"""Seconds that such an edit waits for Slack's answer before it is dropped."""

MAX_WAITING_MESSAGES = 1000
"""Maximum messages whose waiting time is tracked."""


class SharedChannelFilter:
    """Filter that redacts each notification for its channel, right before rendering.

    ``readers`` returns who reads a channel (id), ``promise`` commits a notification, ``redact`` removes what other
    organizations must not see, by default all details.
    """

    def __init__(
        self,
        readers: Callable[[str], Awaitable[Readers]],
        promise: Callable[[Notification], Awaitable[object]],
        clock: Clock,
        redact: Callable[[Claim], Claim] | None = None,
    ) -> None:
        self._readers, self._promise, self._clock = readers, promise, clock
        self._redact = redact or redact_for_shared_channels
        self._waiting: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, claim: Claim) -> Claim | Postponed | Obsolete:
        """Return the notification as its channel may see it, or Obsolete for an edit that waited too long.

        Raises StoreUnavailable.
        """
        redacted = self._redact(claim)
        if redacted == claim or holds_payload(claim.notification.body, AlertTestPayload):
            return claim
        key = claim.notification.key
        adds_details = key.startswith(DETAILS_KEY_PREFIX)
        readers = await (self._readers if adds_details else self._find_readers)(claim.notification.channel)
        if readers in (Readers.OURS, Readers.SHARED):
            self._waiting.pop(key, None)
            return claim if readers is Readers.OURS else redacted
        if adds_details:
            return self._postpone_details(claim)
        if readers is Readers.UNKNOWN and self._seconds_waited(key) < READERS_WAIT_SECONDS:
            return Postponed(1.0)
        self._waiting.pop(key, None)
        await self._promise(details_edit(claim, self._clock.time() + READERS_WAIT_SECONDS))
        return replace(redacted, details_follow=True)

    async def _find_readers(self, channel: str) -> Readers:
        """Return who reads a channel; unknown after a while, because it takes several calls and the lease goes on."""
        try:
            async with timeout(READERS_WAIT_SECONDS):
                return await self._readers(channel)
        except TimeoutError:
            return Readers.UNKNOWN

    def _seconds_waited(self, key: str) -> float:
        """Return the seconds since this process first delayed a message."""
        now = self._clock.monotonic()
        since = self._waiting.setdefault(key, now)
        if len(self._waiting) > MAX_WAITING_MESSAGES:
            self._waiting.popitem(last=False)
        return now - since

    def _postpone_details(self, claim: Claim) -> Postponed | Obsolete:
        """Postpone an edit, for longer as it ages, and in the end drop it."""
        age = self._clock.time() - claim.committed
        return Obsolete() if age > DETAILS_WAIT_SECONDS else Postponed(min(300.0, max(READERS_WAIT_SECONDS, age / 4)))


def details_edit(claim: Claim, at: float) -> Notification:
    """Build the edit that adds a message's details, due at ``at`` (Unix seconds)."""
    notification = claim.notification
    is_reply = notification.kind is NotificationKind.REPLY
    message = notification.key if is_reply or not notification.root else notification.root
    return Notification(
        key=f"{DETAILS_KEY_PREFIX}{message}",
        kind=NotificationKind.EDIT,
        channel=notification.channel,
        body=notification.body,
        root=message,
        edits_reply=is_reply or notification.edits_reply,
        happened=notification.happened,
        not_before=at,
    )


def redact_for_shared_channels(claim: Claim) -> Claim:
    """Return the claim without internal fields; equal to the input if there are none."""
    notification = claim.notification
    shows_failure = notification.kind is not NotificationKind.REPLY  # a reply only names it
    return replace(
        claim,
        notification=notification.model_copy(update={"body": _remove_details(notification.body)}),
        failure=_remove_details(claim.failure) if claim.failure and shows_failure else claim.failure,
        triage=_remove_note(claim.triage) if shows_failure else claim.triage,
        storm_triage=_remove_note(claim.storm_triage) if shows_failure else claim.storm_triage,
    )


def remove_images(claim: Claim) -> Claim:
    """Return the claim without images, for shared channels that may show all other details."""
    body = _without_images(claim.notification.body)
    return replace(claim, notification=claim.notification.model_copy(update={"body": body}))


def _without_images(kept: Any) -> Any:
    if isinstance(kept, dict):
        return {name: _without_images(value) for name, value in kept.items()}
    if isinstance(kept, list):
        return [_without_images(item) for item in kept if not _is_image(item)]
    return kept


def _is_image(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == FieldType.IMAGE and "label" in item


def redact_result(result: Result) -> Result:
    """Return the result without failure text, logs and extra fields."""
    return result.model_copy(update={"failure": None, "logs": None, "extras": ()})


def redact_run(run: Run) -> Run:
    """Return the run without extra fields and without its results, which have texts of their own."""
    return run.model_copy(update={"results": None, "extras": ()})


def _remove_details(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload without internal fields, and without texts that are internal in its type only."""
    kept: dict[str, Any] = _remove_internal_fields(body)
    if holds_payload(kept, PlatformEventPayload):
        kept.pop("said", None)
    elif holds_payload(kept, StormMembersPayload):
        for member in kept.get("members", ()):
            if not member.get("followed", True):  # a platform event: its title is what Zof says about it
                member["title"] = member["id"]
    elif holds_payload(kept, DigestPayload):
        for cause, stored in zip(kept.get("causes", ()), body.get("causes", ()), strict=True):
            if "why" not in stored:  # by an earlier version, whose title was the failure text
                cause.pop("title", None)
    if kept.get("trouble"):
        kept["trouble"] = _HIDDEN_TROUBLE
    return kept


def _remove_note(triage: str) -> str:
    kept = json.loads(triage) if triage else {}
    return json.dumps(_remove_internal_fields(kept)) if _remove_internal_fields(kept) != kept else triage


def _remove_internal_fields(kept: Any) -> Any:
    if isinstance(kept, dict):
        return {name: _remove_internal_fields(value) for name, value in kept.items() if name not in _INTERNAL_FIELDS}
    return [_remove_internal_fields(item) for item in kept] if isinstance(kept, list) else kept

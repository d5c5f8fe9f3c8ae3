"""Turn Zof's error replies into errors for people: one sentence, and what to do next."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from zofbot.domain.errors import ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.redaction import redact
from zofbot.zof.coerce import as_identifier, as_text
from zofbot.zof.protocol import TRY_AGAIN_HINT, parse_retry_after

MAX_MESSAGE_CHARACTERS = 300
_PERMISSION_PATTERN = re.compile(r"\b[a-z_]{2,40}:(?:read|list|create|write|update|manage|approve|cancel)\b")
"""A permission as Zof writes it (https://zof.ai/docs/security/authorization)."""
_MARKUP_PATTERN = re.compile(r"\A\s*<|<(?:!doctype|html|head|body)\b|</[a-z]", re.IGNORECASE)

# https://zof.ai/docs/api/errors lists 400 to 409, 429 and 500; other statuses are treated like these.
_REJECTED_BY_STATUS = {
    400: ("Zof didn't accept the request for {what}{says}{param}.", "Change it and try again."),
    401: (
        "zofbot's Zof API key is missing, expired or revoked.",
        "An operator must renew ZOF_API_KEY.",
    ),
    403: (
        "zofbot's Zof API key may not {verb} {what}{lacks}.",
        "An operator must give the key a higher role in Zof.",
    ),
    404: (
        "Zof has no {what}.",
        "Check the ID. It may have expired, or belong to another organization.",
    ),
    409: ("The state of {what} doesn't allow this{says}.", "Check it before trying again."),
}
_OTHER_REJECTION = (
    "Zof rejected the request for {what} (HTTP {status}){says}{param}.",
    "Change it and try again, or ask an operator.",
)
_BUSY_SENTENCE = "Zof is rate-limiting requests from your organization."
_FAULT_SENTENCE = "Zof returned an internal error (HTTP {status})."
_UNAVAILABLE_SENTENCE = "Zof is unavailable (HTTP {status})."
_UNAVAILABLE_STATUSES = (408, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """Zof's own error details, cleaned but not escaped."""

    code: str | None = None
    message: str | None = None
    param: str | None = None


def build_error(  # noqa: PLR0913  # each is part of the sentence
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    what: str,
    *,
    now: datetime,
    verb: str = "read",
    permission: str = "",
    secrets: tuple[str, ...] = (),
) -> ZofError:
    """Build the error to raise for a reply that is not a success.

    ``headers`` is case-insensitive, ``what`` a noun such as "result `res_1`", ``verb`` the verb for it, ``permission``
    the one that Zof's documentation requires; ``secrets`` are redacted. ``retry_at`` is set if Zof named a time.
    """
    details = parse_error_body(body, secrets)
    error: ZofError
    if status in {408, 429} or 500 <= status <= 599:
        error = _unavailable_error(status, parse_retry_after(headers.get("retry-after"), now), now)
    elif 400 <= status <= 499:
        error = _rejected_error(status, details, what, verb, permission)
    else:
        error = ZofUnreadable(f"Zof returned an unexpected status (HTTP {status}).", TRY_AGAIN_HINT)
    error.status, error.code, error.message, error.param = status, details.code, details.message, details.param
    return error


def _rejected_error(status: int, details: ErrorDetails, what: str, verb: str, permission: str) -> ZofRejected:
    sentence, next_step = _REJECTED_BY_STATUS.get(status, _OTHER_REJECTION)
    says = f": {details.message.rstrip('.')}" if details.message else ""
    param = f" (parameter `{details.param}`)" if details.param else ""
    lacking = _missing_permission(details, permission) if status == 403 else ""
    lacks = f": it lacks the permission `{lacking}`" if lacking else ""
    error = ZofRejected(
        sentence.format(what=what, verb=verb, status=status, says=says, param=param, lacks=lacks), next_step
    )
    error.permission = lacking
    return error


def _missing_permission(details: ErrorDetails, documented: str) -> str:
    """Return the permission that the key lacks: named in Zof's reply, else the documented one, else empty."""
    named = _PERMISSION_PATTERN.search(" ".join(filter(None, (details.message, details.param))))
    return named[0] if named else documented


def _unavailable_error(status: int, at: datetime | None, now: datetime) -> ZofUnavailable:
    sentence = (
        _BUSY_SENTENCE
        if status == 429
        else _UNAVAILABLE_SENTENCE
        if status in _UNAVAILABLE_STATUSES
        else _FAULT_SENTENCE
    )
    next_step = describe_retry(at, now) + ("" if status == 429 else " Zof's status: https://status.zof.ai.")
    error = ZofUnavailable(sentence.format(status=status), next_step)
    error.retry_at = at
    return error


def describe_retry(at: datetime | None, now: datetime) -> str:
    """Say when to try again, as exactly as it is known."""
    if at is None:
        return "Try again in a minute."
    seconds = max(1, math.ceil((at - now).total_seconds()))
    return f"Try again in {seconds} s." if seconds <= 120 else f"Try again in {math.ceil(seconds / 60)} minutes."


def parse_error_body(body: bytes, secrets: tuple[str, ...] = ()) -> ErrorDetails:
    """Read what an error body says: ``{"error": {…}}``, flat, ``{"error": "text"}`` or plain text; never markup."""
    raw = body.decode("utf-8", "replace").strip()
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return (
            ErrorDetails()
            if raw[:1] in ("{", "[", '"')
            else ErrorDetails(message=_clean_text(raw, MAX_MESSAGE_CHARACTERS, secrets))
        )
    if not isinstance(found, dict):
        return ErrorDetails(message=_clean_text(found, MAX_MESSAGE_CHARACTERS, secrets))
    inner = found.get("error")
    fields = inner if isinstance(inner, dict) else found
    message = as_text(fields.get("message")) or as_text(inner)
    return ErrorDetails(
        _clean_text(as_identifier(fields.get("code")), 100, secrets),
        _clean_text(message, MAX_MESSAGE_CHARACTERS, secrets),
        _clean_text(fields.get("param"), 100, secrets),
    )


def _clean_text(value: object, most: int, secrets: tuple[str, ...]) -> str | None:
    known = as_text(value)
    if known is None or _MARKUP_PATTERN.search(known):
        return None
    # isprintable() is false for control characters and for those that change the text direction.
    shown = "".join(" " if char.isspace() else char for char in known if char.isspace() or char.isprintable())
    shown = redact(" ".join(shown.split()), *secrets)
    return (shown if len(shown) <= most else shown[: most - 1] + "…") or None

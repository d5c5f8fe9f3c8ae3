"""What Zof's API means on the wire, but for field names and refusals: ids, headers, waits, JSON and pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

from zofbot.domain.errors import BadInput, ZofRejected, ZofUnreadable
from zofbot.domain.model import Quota

T = TypeVar("T")

MAX_ATTEMPTS = 4
MAX_WAIT_SECONDS = 30.0
"""Seconds; a longer wait is not slept through but reported."""
PAGE_SIZE = 100
"""The most Zof gives at a time (https://zof.ai/docs/api/pagination)."""
MAX_DIGITS = 40
"""Digits of a whole number that can mean something; Python itself refuses more than 4300."""
TRY_AGAIN_HINT = "Try again in a minute. If it stays like this, an operator should check ZOF_BASE_URL."

PERMISSION_BY_ENDPOINT = {
    ("GET", "/projects"): "projects:read",
    ("GET", "/webhooks"): "webhooks:manage",
    ("POST", "/webhooks"): "webhooks:manage",
    ("POST", "/webhooks/{id}/test"): "webhooks:manage",
    ("POST", "/runs"): "runs:create",
}
"""The permissions that Zof names (https://zof.ai/docs/security/authorization, https://zof.ai/docs/api/webhooks)."""

_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_NUMBER_PATTERN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,9})?")
_MIN_BACKOFF_SECONDS = 0.5
_MAX_RETRY_AFTER = timedelta(days=1)
# Zof's quota is counted by the minute. A reset far away is another unit or a wrong clock: look again soon.
_MAX_RESET_DELAY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; iterating it gives its items.

    ``more`` is Zof's ``has_more``; ``next_cursor`` continues the listing, in another process or on another day too;
    ``skipped`` counts entries that were no objects, had no id, or were more than was asked for.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None
    request_id: str | None = None
    more: bool = False
    skipped: int = 0

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)


def check_id(given: str, noun: Literal["run", "result"]) -> str:
    """Give back an id that may stand in a path. Raises BadInput, with an example to copy, before anything is sent."""
    if _ID_PATTERN.fullmatch(given):
        return given
    raise BadInput(
        f"That is not a {noun} id.",
        "An id is made of letters, digits, `_` and `-`, at most 128 of them.",
        example=f"/zof {noun} {'run_1001' if noun == 'run' else 'res_1001'}",
        verb=noun,
    )


def fill_path(template: str, item: str | None) -> str:
    """Fill ``{id}`` of a path template with one percent-encoded segment."""
    return template if item is None else template.replace("{id}", quote(item, safe=""))


def clean_header(raw: str | None, most: int = 128) -> str | None:
    """Clean a header for people and logs: printable ASCII, at most ``most`` characters, None when nothing is left."""
    kept = "".join(char for char in raw or "" if " " <= char <= "~").strip()[:most].strip()
    return kept or None


def parse_retry_after(raw: str | None, now: datetime) -> datetime | None:
    """Read ``Retry-Threshold``: seconds, whole or not, or an HTTP date; None when it is neither or lies in the past.

    The unit is not documented (https://zof.ai/docs/api/rate-limits); a day is the most that is believed.
    """
    raw = (raw or "").strip()
    if _NUMBER_PATTERN.fullmatch(raw):
        return now + min(timedelta(seconds=min(float(raw), 1e6)), _MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(raw)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(at, now + _MAX_RETRY_AFTER) if at >= now else None


def retry_delay(tries: int, roll: float, retry_at: datetime | None, now: datetime) -> float:
    """Seconds to wait after try number ``tries`` failed: until ``retry_at`` when Zof named it, else a backoff.

    The backoff doubles from half a second and is fully jittered: ``roll``, from 0 to 1, says how much of it is kept.
    """
    if retry_at is not None:
        return max((retry_at - now).total_seconds(), 0.0)
    return roll * min(MAX_WAIT_SECONDS, _MIN_BACKOFF_SECONDS * 2.0 ** (tries - 1))


def parse_quota(headers: Mapping[str, str], now: datetime) -> Quota | None:
    """Read ``X-RateLimit-*`` from case-blind ``headers``; None unless all three make sense.

    The reset is a Unix time in seconds, or in milliseconds above 10^12 (https://zof.ai/docs/api/rate-limits).
    """
    raw = [headers.get(f"x-ratelimit-{name}", "").strip() for name in ("limit", "remaining", "reset")]
    if not all(_NUMBER_PATTERN.fullmatch(value) for value in raw):
        return None
    limit, remaining, reset = map(float, raw)
    if limit < 1:
        return None
    farthest = now + _MAX_RESET_DELAY
    seconds = min(reset / 1000 if reset > 1e12 else reset, farthest.timestamp())
    return Quota(limit=int(limit), remaining=int(remaining), reset=datetime.fromtimestamp(seconds, UTC))


def parse_json(body: bytes, content_type: str) -> object:
    """Parse a reply's JSON. Raises ZofUnreadable: a web page, another type, broken JSON.

    What spoils one value spoils no other: a number that is none (NaN) or absurd counts as missing, so does what an
    object names twice with different values, and text may hold control characters and bytes that are no UTF-8.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind and "json" not in kind.partition("/")[2]:
        raise ZofUnreadable(
            "Zof answered with a web page instead of data." if "html" in kind else "Zof answered with something else "
            "than JSON.", TRY_AGAIN_HINT,
        )  # fmt: skip
    if not body.strip():
        raise ZofUnreadable("Zof answered with nothing at all.", TRY_AGAIN_HINT)
    try:
        parsed: object = _DECODER.decode(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        raise ZofUnreadable("Zof's answer is broken: it is not complete, valid JSON.", TRY_AGAIN_HINT) from None
    return parsed


def _ignore_constant(constant: str) -> None:
    """NaN and the infinities, which Zof cannot mean and JSON does not have."""


def _parse_whole_number(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_DIGITS else None


def _without_contradictions(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of what it names; which of two different values is meant nobody can know."""
    found = dict(pairs)
    if len(found) != len(pairs):
        for name, value in pairs:
            if name in found and found[name] != value:
                del found[name]
    return found


_DECODER = json.JSONDecoder(
    strict=False,
    parse_constant=_ignore_constant,
    parse_int=_parse_whole_number,
    object_pairs_hook=_without_contradictions,
)


def refused_filter(error: ZofRejected, sent: Iterable[str]) -> str | None:
    """Which of the query names ``sent`` a 400 is about, as ``param`` or as a word of the message."""
    if error.status != 400:
        return None
    for name in sent:
        if error.param == name or (not error.param and re.search(rf"\b{re.escape(name)}\b", error.message or "")):
            return name
    return None


def detect_order(times: Iterable[datetime | None]) -> Literal["newest", "oldest"] | None:
    """Tell whether a listing came newest or oldest first; None when its times do not show it."""
    pairs = list(pairwise(time for time in times if time is not None))
    if all(a == b for a, b in pairs):
        return None
    if all(a >= b for a, b in pairs):
        return "newest"
    return "oldest" if all(a <= b for a, b in pairs) else None

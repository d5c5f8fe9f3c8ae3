"""Wire format of Zof's API: ids, headers, retry delays, JSON and pages."""

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
TimeT = TypeVar("TimeT", datetime, float)

MAX_ATTEMPTS = 4
MAX_WAIT_SECONDS = 30.0
"""Longest wait between attempts; a longer one ends the call with an error."""
PAGE_SIZE = 100
"""Maximum page size (https://zof.ai/docs/api/pagination)."""
MAX_DIGITS = 40
"""Longer integers count as missing; Python itself refuses more than 4300 digits."""
TRY_AGAIN_HINT = "Try again in a minute. If it persists, an operator should check ZOF_BASE_URL."

PERMISSION_BY_ENDPOINT = {
    ("GET", "/projects"): "projects:read",
    ("GET", "/webhooks"): "webhooks:manage",
    ("POST", "/webhooks"): "webhooks:manage",
    ("POST", "/webhooks/{id}/test"): "webhooks:manage",
    ("POST", "/runs"): "runs:create",
}
"""Documented permissions (https://zof.ai/docs/security/authorization, https://zof.ai/docs/api/webhooks)."""

_ID_PATTERN = re.compile(r"[A-Za-z0-9_.~:-]+")
_MAX_ENCODED_ID_CHARACTERS = 128
_WORD_PATTERN = re.compile(r"[\w-]+")
_NUMBER_PATTERN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,9})?")
_MIN_BACKOFF_SECONDS = 0.5
_MAX_RETRY_AFTER = timedelta(days=1)
# Zof's quota is per minute. A reset far away means another unit or a wrong clock, so it is capped.
_MAX_RESET_DELAY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; iterating it gives its items.

    ``more`` is Zof's ``has_more``; ``next_cursor`` continues the listing, also later or in another process;
    ``skipped`` counts entries that were not objects, had no id, or exceeded the limit of items; ``listed`` counts all
    entries, also those that filters have removed here. ``unfiltered`` has these, too, if Zof ignores a filter.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None
    request_id: str | None = None
    more: bool = False
    skipped: int = 0
    listed: int = 0
    unfiltered: tuple[T, ...] = ()

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)


def is_askable_id(given: str) -> bool:
    """Whether Zof can be asked for this id, which it may list although people cannot type it (``is_valid_id``).

    Left out is what a proxy may decode to another path, and what would make idempotency keys too long for the ids of
    Slack's blocks.
    """
    is_segment = _ID_PATTERN.fullmatch(given) is not None and given not in (".", "..")
    return is_segment and len(quote(given, safe="")) <= _MAX_ENCODED_ID_CHARACTERS


def check_id(given: str, noun: Literal["run", "result"]) -> str:
    """Return the id if Zof can be asked for it. Raises BadInput, with an example, before anything is sent."""
    if is_askable_id(given):
        return given
    raise BadInput(
        f"That isn't a {noun} ID.",
        "IDs have only letters, digits, `_` and `-`, at most 128 characters.",
        example=f"/zof {noun} {'run_1001' if noun == 'run' else 'res_1001'}",
        verb=noun,
    )


def fill_path(template: str, item: str | None) -> str:
    """Replace ``{id}`` in a path template by one percent-encoded segment."""
    return template if item is None else template.replace("{id}", quote(item, safe=""))


def clean_header(raw: str | None, most: int = 128) -> str | None:
    """Return a header as printable ASCII of at most ``most`` characters, None if nothing is left."""
    kept = "".join(char for char in raw or "" if " " <= char <= "~").strip()[:most].strip()
    return kept or None


def parse_retry_after(raw: str | None, now: datetime) -> datetime | None:
    """Parse ``Retry-After``: seconds, possibly fractional, or an HTTP date; None if invalid or in the past.

    The unit is not documented (https://zof.ai/docs/api/rate-limits); the result is capped at one day.
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
    """Return the seconds to wait after attempt ``tries`` failed: until ``retry_at`` if Zof named it, else a backoff.

    The backoff doubles from half a second and is multiplied by ``roll``, a random number from 0 to 1.
    """
    if retry_at is not None:
        return max((retry_at - now).total_seconds(), 0.0)
    return roll * min(MAX_WAIT_SECONDS, _MIN_BACKOFF_SECONDS * 2.0 ** (tries - 1))


def parse_quota(headers: Mapping[str, str], now: datetime) -> Quota | None:
    """Parse ``X-RateLimit-*`` from case-insensitive ``headers``; None unless all three are valid.

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
    """Parse a reply's JSON, whatever its type is said to be. Raises ZofUnreadable if it is none.

    One bad value does not spoil the others: NaN, integers of too many digits, and names repeated in an object with
    different values count as missing; text may contain control characters and bytes that are not UTF-8.
    """
    try:
        parsed: object = _DECODER.decode(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        raise ZofUnreadable(_describe_other_body(body, content_type), TRY_AGAIN_HINT) from None
    return parsed


def _describe_other_body(body: bytes, content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    if kind and "json" not in kind.partition("/")[2]:
        return (
            "Zof returned a web page instead of data." if "html" in kind else "Zof returned something other than JSON."
        )
    return "Zof returned incomplete or invalid JSON." if body.strip() else "Zof returned an empty response."


def _ignore_constant(constant: str) -> None:
    """Return None for NaN and infinities, which JSON does not have."""


def _parse_whole_number(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_DIGITS else None


def _without_contradictions(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object without the names that occur twice with different values."""
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


def is_input_refusal(error: ZofRejected) -> bool:
    """Whether Zof rejected the request's input; 422 is not documented, but what many services use for that."""
    return error.status in (400, 422)


def refused_filter(error: ZofRejected, sent: Iterable[str]) -> str | None:
    """Return the query name in ``sent`` that Zof refuses, by the error's ``param`` or message; None if none is.

    ``param`` may be a path to the name, such as ``query.status``.
    """
    if not is_input_refusal(error):
        return None
    param = error.param or ""
    named = {param, *_WORD_PATTERN.findall(param)[-1:]}
    for name in sent:
        if name in named or (not param and re.search(rf"\b{re.escape(name)}\b", error.message or "")):
            return name
    return None


def detect_order(times: Iterable[TimeT | None]) -> Literal["newest", "oldest"] | None:
    """Return whether a listing is sorted newest or oldest first; None if its times do not show it."""
    pairs = list(pairwise(time for time in times if time is not None))
    if all(a == b for a, b in pairs):
        return None
    if all(a >= b for a, b in pairs):
        return "newest"
    return "oldest" if all(a <= b for a, b in pairs) else None

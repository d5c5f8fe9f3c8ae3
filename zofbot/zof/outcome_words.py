"""What Zof's status words mean."""

from __future__ import annotations

import re
from functools import lru_cache

from zofbot.domain.model import Outcome
from zofbot.zof.coerce import as_text, value_at
from zofbot.zof.field_names import FIELD_PATHS, JsonObject

_OUTCOME_BY_WORD = {outcome.value: outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN} | {
    "cancelled": Outcome.CANCELED,
    "pending": Outcome.QUEUED,
    "in_progress": Outcome.RUNNING,
    **dict.fromkeys(
        ("errored", "errors", "blocked", "broken", "crashed", "timed_out", "timedout", "timeout", "internal_error",
         "infrastructure_error", "platform_error", "setup_error", "system_error"),
        Outcome.ERROR,
    ),
    **dict.fromkeys(("failure", "failures"), Outcome.FAILED),
}  # fmt: skip
"""Only the values of ``Outcome`` and ``cancelled`` are documented by Zof; the others are believed possible."""

_LIFECYCLE_PREFIX = re.compile(r"(?:completed|complete|finished|ended|done|terminated)_(?:with_|as_)?(?=.)")
"""A prefix that says only that something ended, before the word that says how."""


@lru_cache(maxsize=256)
def classify_outcome(word: str | None) -> Outcome:
    """Map one of Zof's status words, in any case, with spaces or hyphens; UNKNOWN if new or missing.

    A word such as ``completed_failed`` counts by its ending.
    """
    plain = _LIFECYCLE_PREFIX.sub("", re.sub(r"[\s_-]+", "_", (word or "").strip().casefold()), count=1)
    return _OUTCOME_BY_WORD.get(plain, Outcome.UNKNOWN)


def status_word(data: JsonObject) -> str | None:
    """Return the first known status word, else the first word: one field may only say that the run ended."""
    first = None
    for path in FIELD_PATHS["status"]:
        word = as_text(value_at(data, path))
        if classify_outcome(word) is not Outcome.UNKNOWN:
            return word
        first = word if first is None else first
    return first

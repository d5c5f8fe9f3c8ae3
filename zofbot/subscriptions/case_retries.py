"""Retries: of several attempts at one case in a run, only the last counts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zofbot.domain.model import Outcome, Result

_RETRY = re.compile(r"[\s(\[#-]*\b(?:retry|attempt|try|rerun)\s*#?\d+[)\]]*$", re.IGNORECASE)
"""A suffix of a title that numbers an attempt."""

_CONCLUSIVE_OUTCOMES = (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR)


def last_attempts(results: Iterable[Result]) -> tuple[Result, ...]:
    """Return the last attempt at each case, with the number of attempts; unfinished and other results are kept as is.

    Results are attempts at the same case if their case id and title are equal (with parameters, titles differ). Without
    a case id, equal titles count only if Zof numbers the attempts.
    """
    attempts: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        attempts.setdefault(_attempt_key(result), []).append(result)
    return tuple(_pick_last(tries) for tries in attempts.values())


def is_retried(results: Iterable[Result]) -> bool:
    """Whether the results show retries, so that there may be further attempts not among them."""
    known = list(results)
    return any(result.attempt for result in known) or len(last_attempts(known)) < len(known)


def _attempt_key(result: Result) -> tuple[str, str]:
    title = _RETRY.sub("", " ".join((result.title or "").split()))
    if result.outcome not in _CONCLUSIVE_OUTCOMES or not (result.case_id or (result.attempt and title)):
        return "", result.id
    return result.case_id or "", title


def _pick_last(tries: list[Result]) -> Result:
    last = max(tries, key=_attempt_order)
    count = max(len(tries), last.attempt or 1)
    return last.model_copy(update={"attempt": count}) if count > 1 else last


def _attempt_order(result: Result) -> tuple[int, float, bool, str]:
    """Sort by number, then time; if both are equal, a passed attempt is last because it is not retried."""
    return result.attempt or 0, result.happened_at or 0.0, result.outcome is Outcome.PASSED, result.id

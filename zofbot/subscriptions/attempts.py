"""Attempts: of several results of one case in one run the last counts, for the others were tried again."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zofbot.domain.model import Outcome, Result

_RETRY = re.compile(r"[\s(\[#-]*\b(?:retry|attempt|try|rerun)\s*#?\d+[)\]]*$", re.IGNORECASE)
"""What a title may end with that names an attempt."""

_CONCLUSIVE_OUTCOMES = (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR)


def last_attempts(results: Iterable[Result]) -> tuple[Result, ...]:
    """Each case's last attempt that passed, failed or errored, knowing how many there were; and all else as it is.

    Results are attempts at one case when they have its id and title: a case of several titles has parameters. Without
    an id that holds only where Zof numbers them.
    """
    attempts: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        attempts.setdefault(_attempt_key(result), []).append(result)
    return tuple(_pick_last(tries) for tries in attempts.values())


def is_retried(results: Iterable[Result]) -> bool:
    """Whether a case may have more attempts than these, to judge by what is known of them."""
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
    """By number, then by time; where neither tells, one that passed comes last, for it is not tried again."""
    return result.attempt or 0, result.happened_at or 0.0, result.outcome is Outcome.PASSED, result.id

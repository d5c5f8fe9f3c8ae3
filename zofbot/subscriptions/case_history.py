"""History of a case in one project and environment: its latest outcomes, and what a failure of it is.

zofbot keeps the outcomes that it reads. Zof documents no listing of one case's results
(https://zof.ai/docs/api/results), so nothing is requested for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from pydantic import field_validator

from zofbot.domain.frozen_model import FrozenModel

MAX_OUTCOMES = 30
"""Outcomes kept for each case."""

MIN_TURNS = 2
"""Passes after a failure, in the next run or in a retry, from which on a case is flaky: one is a repair."""

MIN_ROW = 3
"""Failures in a row from which on a case is no longer taken for flaky, but for broken."""


class CaseStanding(StrEnum):
    """What a failure of a case is, by its earlier outcomes; typed as in ``on:new``."""

    NEW = "new"
    """It passed before, or no earlier failure is known."""
    KNOWN = "known"
    """It has failed since an earlier run."""
    FLAKY = "flaky"
    """It fails and passes in turn."""


_STANDING_WORDS = frozenset(CaseStanding)


class CaseOutcome(NamedTuple):
    """The outcome of a case in one run, which ended ``at`` (Unix seconds)."""

    at: int
    run_id: str
    letter: str
    """``f`` for failed, ``p`` for passed, ``r`` for passed in a retry."""

    @property
    def has_failed(self) -> bool:
        return self.letter == "f"


class CasePast(FrozenModel):
    """A case's earlier outcomes, for a failure of it. Times are Unix seconds.

    It last passed in ``passed_run`` at ``passed_at``; this failure is number ``row`` in a row, which began at
    ``since``. Of the latest ``seen`` outcomes, this one included, ``failed`` failed and ``retried`` passed in a retry.
    """

    standing: CaseStanding = CaseStanding.NEW
    passed_run: str = ""
    passed_at: float = 0.0
    row: int = 1
    since: float = 0.0
    failed: int = 1
    retried: int = 0
    seen: int = 1

    @field_validator("standing", mode="before")
    @classmethod
    def _read_later_word(cls, stored: object) -> object:
        """Read a word that only a later version knows as *new*, so that the alert stays readable."""
        return stored if isinstance(stored, str) and stored in _STANDING_WORDS else CaseStanding.NEW


@dataclass(frozen=True)
class CaseHistory:
    """The latest outcomes of a case, oldest first, one for each run.

    ``row`` failures came directly before the first of them, without a pass in between, the first one at ``row_since``
    (Unix seconds).
    """

    outcomes: tuple[CaseOutcome, ...] = ()
    row: int = 0
    row_since: int = 0

    @classmethod
    def load(cls, text: str) -> CaseHistory:
        """Parse a stored history; leave out what a later version wrote and this one cannot read."""
        words = text.split()
        row = _ROW.fullmatch(words[0]) if words else None
        outcomes = tuple(outcome for word in words if (outcome := _parse_outcome(word)))
        return cls(outcomes, int(row[1]), int(row[2])) if row else cls(outcomes)

    def dump(self) -> str:
        row = [f"+{self.row}@{self.row_since}"] if self.row else []
        return " ".join([*row, *(f"{letter}{at}:{run_id}" for at, run_id, letter in self.outcomes)])

    @property
    def first_at(self) -> int:
        """The time of the earliest outcome, 0 if there is none."""
        return self.outcomes[0].at if self.outcomes else 0

    @property
    def last_at(self) -> int:
        """The time of the latest outcome, 0 if there is none."""
        return self.outcomes[-1].at if self.outcomes else 0

    @property
    def has_failed_last(self) -> bool:
        return bool(self.outcomes) and self.outcomes[-1].has_failed

    def with_outcome(self, outcome: CaseOutcome) -> CaseHistory:
        """Return the history with an outcome added. Of two for one run a failure counts, then a retry.

        An outcome older than all that are kept changes nothing: it may have been counted before.
        """
        before = next((item for item in self.outcomes if item.run_id == outcome.run_id), None)
        if before is not None and "frp".index(before.letter) <= "frp".index(outcome.letter):
            return self
        if before is None and len(self.outcomes) >= MAX_OUTCOMES and outcome < self.outcomes[0]:
            return self
        ordered = sorted([*(item for item in self.outcomes if item is not before), outcome])
        row, since = self.row, self.row_since
        for dropped in ordered[:-MAX_OUTCOMES]:
            row, since = (row + 1, since if row else dropped.at) if dropped.has_failed else (0, 0)
        return CaseHistory(tuple(ordered[-MAX_OUTCOMES:]), row, since)

    def past_of(self, run_id: str, at: int) -> CasePast:
        """Describe a failure in the run with that id, which ended ``at``, by the outcomes before it."""
        here = CaseOutcome(at, run_id, "f")
        known = [*(item for item in self.outcomes if item.run_id != run_id and item < here), here]
        row, since = self._row_of(known)
        seen = known[-MAX_OUTCOMES:]
        passed = max((item for item in known if not item.has_failed), default=None)
        retried = sum(item.letter == "r" for item in seen)
        repaired = sum(item.letter == "p" and last.has_failed for last, item in pairwise(seen))
        return CasePast(
            standing=_classify_failure(row, repaired + retried),
            passed_run=passed.run_id if passed and not passed.run_id.startswith("#") else "",
            passed_at=passed.at if passed else 0.0,
            row=row,
            since=since,
            failed=sum(item.has_failed for item in seen),
            retried=retried,
            seen=len(seen),
        )

    def _row_of(self, known: list[CaseOutcome]) -> tuple[int, int]:
        """Return how many failures in a row the outcomes end with, and when the first of them was."""
        own = _failures_in_row(known)
        goes_on = len(own) == len(known) and self.row > 0
        return (len(own) + self.row, self.row_since) if goes_on else (len(own), own[0].at)


_ROW = re.compile(r"\+([0-9]{1,9})@([0-9]{1,12})")
"""A stored row of failures before the outcomes that are kept."""


def _failures_in_row(outcomes: list[CaseOutcome]) -> list[CaseOutcome]:
    """Return the failures after the last pass."""
    passes = (index for index in range(len(outcomes) - 1, -1, -1) if not outcomes[index].has_failed)
    return outcomes[next(passes, -1) + 1 :]


def _classify_failure(row: int, turns: int) -> CaseStanding:
    if turns >= MIN_TURNS and row < MIN_ROW:
        return CaseStanding.FLAKY
    return CaseStanding.KNOWN if row > 1 else CaseStanding.NEW


def _parse_outcome(word: str) -> CaseOutcome | None:
    at, _, run_id = word[1:].partition(":")
    return CaseOutcome(int(at), run_id, word[0]) if word[0] in "frp" and at.isdecimal() and run_id else None

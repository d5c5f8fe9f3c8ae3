"""History of a case in one project and environment: its latest outcomes, and what a failure of it is.

zofbot keeps the outcomes that it reads. Zof documents no listing of one case's results
(https://zof.ai/docs/api/results), so nothing is requested for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, field_validator

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


class CaseOutcome(NamedTuple):
    """The outcome of a case in one run, which ended ``at`` (Unix seconds)."""

    at: int
    run_id: str
    letter: str
    """``f`` for failed, ``p`` for passed, ``r`` for passed in a retry."""

    @property
    def has_failed(self) -> bool:
        return self.letter == "f"


class CasePast(BaseModel):
    """A case's earlier outcomes, for a failure of it. Times are Unix seconds.

    It last passed in ``passed_run`` at ``passed_at``; this failure is number ``row`` in a row, which began at
    ``since``. Of the latest ``seen`` outcomes, this one included, ``failed`` failed and ``retried`` passed in a retry.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

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
        return stored if stored in list(CaseStanding) else CaseStanding.NEW


@dataclass(frozen=True)
class CaseHistory:
    """The latest outcomes of a case, oldest first, one for each run."""

    outcomes: tuple[CaseOutcome, ...] = ()

    @classmethod
    def load(cls, text: str) -> CaseHistory:
        """Parse a stored history; leave out what a later version wrote and this one cannot read."""
        return cls(tuple(outcome for word in text.split() if (outcome := _parse_outcome(word))))

    def dump(self) -> str:
        return " ".join(f"{letter}{at}:{run_id}" for at, run_id, letter in self.outcomes)

    @property
    def last_at(self) -> int:
        """The time of the latest outcome, 0 if there is none."""
        return self.outcomes[-1].at if self.outcomes else 0

    @property
    def has_failed_last(self) -> bool:
        return bool(self.outcomes) and self.outcomes[-1].has_failed

    def with_outcome(self, outcome: CaseOutcome) -> CaseHistory:
        """Return the history with an outcome added. Of two for one run a failure counts, then a retry."""
        known = {item.run_id: item for item in self.outcomes}
        before = known.get(outcome.run_id)
        if before is not None and "frp".index(before.letter) <= "frp".index(outcome.letter):
            return self
        known[outcome.run_id] = outcome
        return CaseHistory(tuple(sorted(known.values())[-MAX_OUTCOMES:]))

    def past_of(self, run_id: str, at: int) -> CasePast:
        """Describe a failure in the run with that id, which ended ``at``, by the outcomes before it."""
        here = CaseOutcome(at, run_id, "f")
        earlier = [item for item in self.outcomes if item.run_id != run_id and item < here]
        seen = [*earlier[1 - MAX_OUTCOMES :], here]
        row = _failures_in_row(seen)
        passed = max((item for item in seen if not item.has_failed), default=None)
        retried = sum(item.letter == "r" for item in seen)
        repaired = sum(item.letter == "p" and last.has_failed for last, item in pairwise(seen))
        return CasePast(
            standing=_classify_failure(len(row), repaired + retried),
            passed_run=passed.run_id if passed and not passed.run_id.startswith("#") else "",
            passed_at=passed.at if passed else 0.0,
            row=len(row),
            since=row[0].at,
            failed=sum(item.has_failed for item in seen),
            retried=retried,
            seen=len(seen),
        )


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

"""What several payloads contain: summaries of runs and cases, owners; and how texts are stored in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zofbot.domain.frozen_model import FrozenModel
from zofbot.domain.model import CaseCounts, Outcome, Result, Run
from zofbot.domain.redaction import redact
from zofbot.notifications import text
from zofbot.notifications.extra_summaries import ExtraSummary
from zofbot.notifications.past_causes import Resolution as Resolution  # noqa: PLC0414  (exported for mypy)
from zofbot.subscriptions.case_history import CasePast


class PayloadModel(FrozenModel):
    """What is stored as JSON; fields added by newer versions are ignored."""


class RunSummary(PayloadModel):
    """A run in short. Times are Unix seconds, ``duration`` is in seconds."""

    id: str
    title: str = ""
    outcome: Outcome = Outcome.UNKNOWN
    project: str = ""
    project_id: str = ""
    environment: str = ""
    total: int | None = None
    passed: int | None = None
    failed: int | None = None
    error: int | None = None
    skipped: int | None = None
    started: float | None = None
    ended: float | None = None
    duration: float | None = None
    url: str = ""

    @classmethod
    def from_run(cls, run: Run, outcome: Outcome) -> RunSummary:
        return cls(
            id=run.id[:128],
            title=clean_text(run.title, 150),
            outcome=outcome,
            project=clean_text(run.project, 100),
            project_id=clean_text(run.project_id, 100) if run.project_id != run.project else "",
            environment=clean_text(run.environment, 100),
            **run.counts.model_dump(),
            started=run.started.timestamp() if run.started else None,
            ended=run.latest_time.timestamp() if run.latest_time else None,
            duration=run.duration,
            url=storable_link(run.url),
        )

    @property
    def case_counts(self) -> CaseCounts:
        return CaseCounts(
            total=self.total, passed=self.passed, failed=self.failed, error=self.error, skipped=self.skipped
        )


class CaseSummary(PayloadModel):
    """A failed or errored result in short."""

    id: str
    title: str = ""
    outcome: Outcome = Outcome.UNKNOWN
    why: str = ""
    url: str = ""
    attempts: int = 1
    """Number of attempts in its run; this is the last one."""
    past: CasePast | None = None
    """What its failure is by the case's earlier outcomes."""
    quarantined: bool = False
    """Whether Zof marks the case as quarantined."""
    signature: str = ""
    """The id of its failure text's signature, which begins with the version of the rules; empty if not known."""
    extras: tuple[ExtraSummary, ...] = ()

    @classmethod
    def from_result(cls, result: Result, most: int = 200, signature: str = "") -> CaseSummary:
        """Summarize a result with at most ``most`` characters of its failure text."""
        return cls(
            id=result.id[:128],
            title=clean_text(result.title or result.case_id, 150),
            outcome=result.outcome,
            why=text.clean_literal(result.failure or "", most),
            url=storable_link(result.url),
            attempts=result.attempt or 1,
            quarantined=result.quarantined,
            signature=signature,
        )


class CauseSummary(PayloadModel):
    """``count`` failures with the same signature; ``example`` is one of them. Those without a text have none."""

    signature: str = ""
    count: int = 1
    example: CaseSummary


class Owner(PayloadModel):
    """Whom a subscription with the filters ``wish`` mentions, for which cases (titles), and how many ``more`` cases."""

    mention: tuple[str, ...]
    wish: str = ""
    cases: tuple[str, ...] = ()
    more: int = 0


MAX_LINK_LENGTH = 500
"""Maximum length of a link in a storm's list, because one message has many."""


def clean_text(words: str | None, most: int) -> str:
    """Clean external text for storage: one line, at most ``most`` characters."""
    return text.clean_literal(" ".join((words or "").split()), most)


def storable_link(url: str | None) -> str:
    """Return a URL if it may be stored; empty if it is over 2,000 characters or contains a secret."""
    return url if url and len(url) <= 2000 and redact(url) == url else ""


MAX_TITLES_CHARS = 9000
"""Characters of titles in one list: about what one message can show, see ``MAX_MESSAGE_TEXT_CHARS``."""


def collect_titles(results: Sequence[Result]) -> tuple[tuple[str, ...], int]:
    """Return unique titles, with their counts, up to ``MAX_TITLES_CHARS``; and how many results they cover."""
    often = Counter(clean_text(result.title or result.case_id or result.id, 100) for result in results)
    fitting, listed, left = [], 0, MAX_TITLES_CHARS
    for title, times in often.items():
        line = f"{title} (×{times})" if times > 1 else title
        left -= len(line) + 3
        if left < 0:
            break
        fitting.append(line)
        listed += times
    return tuple(fitting), listed

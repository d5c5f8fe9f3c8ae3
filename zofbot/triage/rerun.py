"""Re-run of a failure's failed cases: who requested it, and whether it is still in progress."""

from __future__ import annotations

from pydantic import ValidationError

from zofbot.domain.frozen_model import FrozenModel
from zofbot.triage.record import Actor

RERUN_SECONDS = 25 * 3600.0
"""Seconds after which a re-run without a known end counts as over: an hour longer than the poller watches a run."""


class Rerun(FrozenModel):
    """A re-run of the failed cases that was requested ``at`` (Unix seconds) and has not ended.

    ``order`` is the name of the run command; ``run`` is the run's id in Zof, empty until it has started.
    """

    order: str
    run: str = ""
    by: Actor = Actor()
    at: float = 0.0


def parse_active_rerun(stored: str | None, now: float) -> Rerun | None:
    """Parse a failure's stored re-run; return None if none is in progress at ``now`` (Unix seconds)."""
    try:
        rerun = Rerun.model_validate_json(stored) if stored else None
    except ValidationError:  # from a newer version, or corrupt: offer a re-run and let Zof decide
        return None
    return rerun if rerun and now - rerun.at < RERUN_SECONDS else None

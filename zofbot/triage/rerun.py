"""The failed cases of a failure, run again: who asked for it, and whether that is still under way."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from zofbot.triage.state_machine import Actor

RERUN_SECONDS = 25 * 3600.0
"""Seconds after which a run that nothing was heard of counts as over: an hour longer than the poller watches one."""


class Rerun(BaseModel):
    """A run of the failed cases, from when somebody asked for it (``at``, Unix seconds) until it has ended.

    ``order`` names what was asked for; ``run`` is Zof's id of it, empty until Zof has started it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    order: str
    run: str = ""
    by: Actor = Actor()
    at: float = 0.0


def parse_active_rerun(kept: str | None, now: float) -> Rerun | None:
    """Read what is kept beside a failure; None where no run of its cases is under way at ``now`` (Unix seconds)."""
    try:
        rerun = Rerun.model_validate_json(kept) if kept else None
    except ValidationError:  # of a newer version, or spoilt: then it is offered, and Zof decides
        return None
    return rerun if rerun and now - rerun.at < RERUN_SECONDS else None

"""A mute: for some time, a channel is not notified about failures that match its filters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import structlog
from pydantic import ValidationError

from zofbot.domain.frozen_model import FrozenModel
from zofbot.subscriptions.filters import format_filters
from zofbot.subscriptions.model import Subscription
from zofbot.subscriptions.patterns import matches_patterns

log = structlog.get_logger()

FILTERS = ("project", "env", "case")
"""Filters that a mute may have."""


class Mute(FrozenModel):
    """A mute of ``channel`` ``until`` some time, who set it and why; times are Unix seconds.

    Patterns are as for a subscription.
    """

    id: str
    channel: str
    until: float
    project: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    case: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""
    by_name: str = ""
    created: float = 0.0

    def matches(self, projects: Collection[str], environment: str, cases: Sequence[Collection[str]]) -> bool:
        """Whether the mute matches a failure; ``cases`` has the names of each case, and all must match.

        A mute with ``case:`` filters never matches a failure without known cases.
        """
        placed = matches_patterns(self.project, projects) and matches_patterns(
            self.env, [environment] if environment else []
        )
        return placed and (
            not self.case or (bool(cases) and all(matches_patterns(self.case, names) for names in cases))
        )

    @property
    def filters(self) -> str:
        """The filters as typed."""
        return format_filters(Subscription(**{name: getattr(self, name) for name in FILTERS}))


def read_mutes(records: Mapping[str, str]) -> list[Mute]:
    """Parse stored mutes, oldest first; records that cannot be read are skipped and logged."""
    found = []
    for identifier, record in records.items():
        try:
            found.append(Mute.model_validate_json(record))
        except ValidationError as error:
            log.error("unreadable mute", id=identifier, problems=error.error_count())
    return sorted(found, key=lambda mute: (mute.created, mute.id))


def active_mutes(mutes: Iterable[Mute], channel: str, now: float) -> list[Mute]:
    """Return a channel's mutes that have not ended at ``now`` (Unix seconds), in the given order."""
    return [mute for mute in mutes if mute.channel == channel and mute.until > now]

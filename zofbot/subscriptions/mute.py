"""A mute: for a while, a channel is not told of what matches some filters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from zofbot.subscriptions.filters import format_filters
from zofbot.subscriptions.model import Subscription
from zofbot.subscriptions.patterns import matches_patterns

log = structlog.get_logger()

FILTERS = ("project", "env", "case")
"""The filters that a mute may have."""


class Mute(BaseModel):
    """Until when ``channel`` is not told of what matches, who asked for that and why; times are Unix seconds.

    Patterns are those of a subscription.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

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
        """Whether it means what failed there; ``cases`` has the names of each case, and all have to be meant.

        A mute of cases means nothing of which no case is known.
        """
        placed = matches_patterns(self.project, projects) and matches_patterns(
            self.env, [environment] if environment else []
        )
        return placed and (
            not self.case or (bool(cases) and all(matches_patterns(self.case, names) for names in cases))
        )

    @property
    def filters(self) -> str:
        """As they are typed."""
        return format_filters(Subscription(**{name: getattr(self, name) for name in FILTERS}))


def read_mutes(records: Mapping[str, str]) -> list[Mute]:
    """The mutes among stored records, oldest first; what cannot be read is left where it is, and said in the log."""
    found = []
    for identifier, record in records.items():
        try:
            found.append(Mute.model_validate_json(record))
        except ValidationError as error:
            log.error("unreadable mute", id=identifier, problems=error.error_count())
    return sorted(found, key=lambda mute: (mute.created, mute.id))


def active(mutes: Iterable[Mute], channel: str, now: float) -> list[Mute]:
    """Those of a channel that have not ended at ``now`` (Unix seconds), in the order in which they are numbered."""
    return [mute for mute in mutes if mute.channel == channel and mute.until > now]

"""Index of subscriptions by project and channel, so that a finding is matched against few of many."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from zofbot.domain.text import fold_name
from zofbot.subscriptions.model import Subscription
from zofbot.subscriptions.patterns import including_patterns, is_glob
from zofbot.subscriptions.tokenizer import LITERAL_DASH


class SubscriptionIndex:
    """An index of ``subscriptions``, made again when they change."""

    def __init__(self, subscriptions: Sequence[Subscription]) -> None:
        self._subscriptions = subscriptions
        self._of_any_project: list[int] = []
        self._by_project: dict[str, list[int]] = {}
        self._by_channel: dict[str, list[int]] = {}
        for number, subscription in enumerate(subscriptions):
            self._by_channel.setdefault(subscription.channel, []).append(number)
            names = _project_names(subscription)
            if not names:
                self._of_any_project.append(number)
            for name in names:
                self._by_project.setdefault(name, []).append(number)

    def find_candidates(self, projects: Collection[str], channels: Collection[str] = ()) -> list[Subscription]:
        """Return the subscriptions that may match these project ids and names, and all of ``channels``, in order."""
        numbers = set(self._of_any_project)
        for project in projects:
            numbers.update(self._by_project.get(fold_name(project), ()))
        for channel in channels:
            numbers.update(self._by_channel.get(channel, ()))
        return [self._subscriptions[number] for number in sorted(numbers)]


def _project_names(subscription: Subscription) -> set[str]:
    """Return the only projects that a subscription can match, by folded name; empty if there may be others."""
    wanted = including_patterns(subscription.project)
    if any(is_glob(pattern) for pattern in wanted):
        return set()
    return {fold_name(pattern[1:] if pattern.startswith(LITERAL_DASH) else pattern) for pattern in wanted}

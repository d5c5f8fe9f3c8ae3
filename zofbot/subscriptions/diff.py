"""Compare stored subscriptions with a subscription file: what to add, change and remove."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from zofbot.subscriptions.filters import filters_text, format_filters
from zofbot.subscriptions.model import Subscription
from zofbot.subscriptions.yaml_entries import FileEntry

ADD, CHANGE, REMOVE = "add", "change", "remove"
_SIGNS = {ADD: "+", CHANGE: "~", REMOVE: "-"}


@dataclass(frozen=True)
class SubscriptionChange:
    """A change of one subscription; ``before`` is None if it is added, ``after`` if it is removed."""

    before: Subscription | None
    after: Subscription | None

    @property
    def verb(self) -> str:
        return ADD if self.before is None else REMOVE if self.after is None else CHANGE

    @property
    def id(self) -> str:
        return (self.after or self.before or Subscription()).id

    @property
    def channel(self) -> str:
        return (self.after or self.before or Subscription()).channel

    def channel_messages(self) -> Iterator[tuple[str, str]]:
        """Yield channels and the sentences to post there; nothing if only the record's details change."""
        before, after = self.before, self.after
        moved = before is None or after is None or before.channel != after.channel
        if before and moved:
            yield before.channel, f"ended its subscription to {filters_text(before)}"
        if after and moved:
            yield after.channel, f"subscribed it to {filters_text(after)}"
        if before and after and not moved and filters_text(before) != filters_text(after):
            yield after.channel, f"changed its subscription from {filters_text(before)} to {filters_text(after)}"

    def __str__(self) -> str:
        if self.before and self.after:
            return f"~ {_describe_change(self.before, self.after)}  [{self.id}]"
        one = self.after or self.before or Subscription()
        return f"{_SIGNS[self.verb]} {filters_text(one)}" + (f"  [{one.id}]" if self.before else "")


@dataclass(frozen=True)
class SubscriptionDiff:
    """All changes, sorted by channel, and the unchanged subscriptions."""

    changes: Sequence[SubscriptionChange] = ()
    same: Sequence[Subscription] = field(default=())

    def __str__(self) -> str:
        counts = {verb: sum(change.verb == verb for change in self.changes) for verb in _SIGNS}
        return ", ".join(f"{count} to {verb}" for verb, count in counts.items()) + f", {len(self.same)} unchanged."


def diff_subscriptions(
    stored: Sequence[Subscription], entries: Sequence[FileEntry], *, now: float, new_id: Callable[[], str], by_name: str
) -> SubscriptionDiff:
    """Compare the stored subscriptions with the file's entries.

    An entry without an id matches the channel's subscription with the same filters, if there is one. A new one without
    author and time is by ``by_name``, created ``now`` (Unix seconds).
    """
    left = {item.id: item for item in stored}
    named = {entry.id for entry in entries}
    changes, same = [], []
    for entry in entries:
        before = left.pop(entry.id, None) if entry.id is not None else _take_same(entry, left, named)
        after = _merge_entry(entry, before, now, new_id, by_name)
        if before == after:
            same.append(after)
        else:
            changes.append(SubscriptionChange(before, after))
    changes += [SubscriptionChange(item, None) for item in left.values()]
    return SubscriptionDiff(sorted(changes, key=lambda change: change.channel), same)


def _take_same(entry: FileEntry, left: dict[str, Subscription], named: set[str | None]) -> Subscription | None:
    for item in left.values():
        if (
            item.channel == entry.channel
            and item.id not in named
            and format_filters(item) == format_filters(entry.subscription)
        ):
            return left.pop(item.id)
    return None


def _merge_entry(
    entry: FileEntry, before: Subscription | None, now: float, new_id: Callable[[], str], by_name: str
) -> Subscription:
    given = {"id": entry.id, "by": entry.by, "by_name": entry.by_name, "created": entry.created}
    own = (before or Subscription(created=now, by_name=by_name)).model_dump(include=set(given))
    own |= {name: value for name, value in given.items() if value is not None}
    own["id"] = own["id"] or new_id()
    return entry.subscription.model_copy(update=own | {"channel": entry.channel})


def _describe_change(before: Subscription, after: Subscription) -> str:
    filters = (
        filters_text(before)
        if filters_text(before) == filters_text(after)
        else f"{filters_text(before)}  →  {filters_text(after)}"
    )
    facts = [
        f"{name} {getattr(before, name) or 'nobody'} → {getattr(after, name) or 'nobody'}"
        for name in ("channel", "by", "by_name", "created")
        if getattr(before, name) != getattr(after, name)
    ]
    return f"{filters} ({', '.join(facts)})" if facts else filters

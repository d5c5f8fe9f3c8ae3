"""A plan: what to add, change and remove so that the channels are told what a rule book says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from zofbot.routing.rulebook import Rule
from zofbot.routing.spelling import spelled
from zofbot.routing.subscription import Subscription

ADD, CHANGE, REMOVE = "add", "change", "remove"
_SIGNS = {ADD: "+", CHANGE: "~", REMOVE: "-"}


@dataclass(frozen=True)
class Change:
    """One subscription's way from what it is to what it shall be; None where it is not there."""

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

    def told(self) -> Iterator[tuple[str, str]]:
        """What which channel is to know of it, in words; nothing of what only concerns the record."""
        before, after = self.before, self.after
        moved = before is None or after is None or before.channel != after.channel
        if before and moved:
            yield before.channel, f"ended its subscription to {wish(before)}"
        if after and moved:
            yield after.channel, f"subscribed it to {wish(after)}"
        if before and after and not moved and wish(before) != wish(after):
            yield after.channel, f"changed its subscription from {wish(before)} to {wish(after)}"

    def __str__(self) -> str:
        if self.before and self.after:
            return f"~ {_difference(self.before, self.after)}  [{self.id}]"
        one = self.after or self.before or Subscription()
        return f"{_SIGNS[self.verb]} {wish(one)}" + (f"  [{one.id}]" if self.before else "")


@dataclass(frozen=True)
class Plan:
    """All changes, by channel, and the subscriptions that stay as they are."""

    changes: Sequence[Change] = ()
    same: Sequence[Subscription] = field(default=())

    def __str__(self) -> str:
        counts = {verb: sum(one.verb == verb for one in self.changes) for verb in _SIGNS}
        return ", ".join(f"{count} to {verb}" for verb, count in counts.items()) + f", {len(self.same)} unchanged."


def plan(
    standing: Sequence[Subscription], rules: Sequence[Rule], *, now: float, new_id: Callable[[], str], by_name: str
) -> Plan:
    """Compare what stands with what is wanted; entries that say not who and since when are ``by_name``'s, from now on.

    An entry without an id means the subscription of its channel that says the same, if there is one.
    """
    left = {one.id: one for one in standing}
    named = {rule.id for rule in rules}
    changes, same = [], []
    for rule in rules:
        before = left.pop(rule.id, None) if rule.id is not None else _alike(rule, left, named)
        after = _after(rule, before, now, new_id, by_name)
        if before == after:
            same.append(after)
        else:
            changes.append(Change(before, after))
    changes += [Change(one, None) for one in left.values()]
    return Plan(sorted(changes, key=lambda change: change.channel), same)


def _alike(rule: Rule, left: dict[str, Subscription], named: set[str | None]) -> Subscription | None:
    for one in left.values():
        if one.channel == rule.channel and one.id not in named and spelled(one) == spelled(rule.wish):
            return left.pop(one.id)
    return None


def _after(
    rule: Rule, before: Subscription | None, now: float, new_id: Callable[[], str], by_name: str
) -> Subscription:
    given = {"id": rule.id, "by": rule.by, "by_name": rule.by_name, "created": rule.created}
    own = (before or Subscription(created=now, by_name=by_name)).model_dump(include=set(given))
    own |= {name: value for name, value in given.items() if value is not None}
    own["id"] = own["id"] or new_id()
    return rule.wish.model_copy(update=own | {"channel": rule.channel})


def wish(subscription: Subscription) -> str:
    """Its filters, or that it has none."""
    return spelled(subscription) or "all failures"


def _difference(before: Subscription, after: Subscription) -> str:
    said = wish(before) if wish(before) == wish(after) else f"{wish(before)}  →  {wish(after)}"
    facts = [
        f"{name} {getattr(before, name) or 'nobody'} → {getattr(after, name) or 'nobody'}"
        for name in ("channel", "by", "by_name", "created")
        if getattr(before, name) != getattr(after, name)
    ]
    return f"{said} ({', '.join(facts)})" if facts else said

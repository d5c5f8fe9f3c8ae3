"""Who takes which failures of a run: the channels' shares, and for each subscription the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zofbot.model import Result
from zofbot.pipeline.counting import Count, count_case, count_run
from zofbot.pipeline.memory import Draft
from zofbot.routing import (
    Broadcast,
    Finding,
    Group,
    Layout,
    Notice,
    Subscription,
    Verdict,
    match,
    quiet_until,
    spelled,
)
from zofbot.routing.finding import case_of
from zofbot.slack import bodies
from zofbot.slack.bodies import Owner
from zofbot.triage import Policy

MAX_OWNERS = 10
"""Subscriptions whose mentions are told apart on one card."""

MAX_OWN_CASES = 5
"""Cases that are named for each of them."""

WHOLE_RUN = ""
"""Stands for the run among cases."""

DEFAULT = "default"
"""The id of the subscription that the default channel has to what no other took."""


@dataclass(frozen=True)
class Share:
    """What one channel gets of a run in one grouping; no ``results`` when the run failed and no case is known."""

    channel: str
    group: Group
    results: tuple[Result, ...]
    takers: tuple[Subscription, ...]
    taken: tuple[frozenset[str], ...] = ()
    """The ids of the results that each taker means; empty where they mean the run."""
    counted: Mapping[str, Count] = field(default_factory=dict)
    """What an ``after:`` of theirs counted, by case, or of the whole run."""

    def of(self, results: Sequence[Result]) -> Share:
        """The same of only some of its results, for those who mean them."""
        ids = {result.id for result in results}
        meant = [(taker, taken) for taker, taken in zip(self.takers, self.taken, strict=True) if taken & ids]
        takers, taken = tuple(taker for taker, _ in meant), tuple(each for _, each in meant)
        return replace(self, results=tuple(results), takers=takers, taken=taken)

    @property
    def owners(self) -> tuple[Owner, ...]:
        """Whom each subscription mentions and for which cases; nobody where one mention is for everything."""
        mentions = {taker.mention for taker in self.takers}
        if len(mentions) < 2 or not self.taken:
            return ()
        meant = zip(self.takers, self.taken, strict=True)
        return tuple(self._owner(taker, taken) for taker, taken in meant if taker.mention)[:MAX_OWNERS]

    def _owner(self, taker: Subscription, taken: frozenset[str]) -> Owner:
        wish = spelled(Subscription(project=taker.project, env=taker.env, case=taker.case)) or "all failures"
        titles = [result.title or result.id for result in self.results if result.id in taken]
        named = tuple(bodies.said(title, 100) for title in titles[:MAX_OWN_CASES])
        return Owner(mention=taker.mention, wish=bodies.said(wish, 150), cases=named, more=len(titles) - len(named))

    @property
    def threaded(self) -> bool:
        return any(taker.layout is Layout.THREAD for taker in self.takers)

    def broadcasts(self, news: Broadcast) -> bool:
        """Whether the channel sees a reply of that kind."""
        return any(news in taker.broadcast for taker in self.takers)

    @property
    def mention(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(identifier for taker in self.takers for identifier in taker.mention))

    @property
    def policy(self) -> Policy:
        """The first escalation that a taker has, and the shortest time after which one wants to be answered."""
        steps = next((taker.escalate for taker in self.takers if taker.escalate), ())
        return Policy(escalate=steps, reack=min((taker.reack for taker in self.takers if taker.reack), default=0))

    def held(self, now: float, *, critical: bool) -> float:
        """When the quiet hours of all takers are over; 0 when one of them is awake."""
        return min(quiet_until(taker, now, critical=critical) for taker in self.takers)


@dataclass(frozen=True)
class Taking:
    """A subscription that means a finding; ``through`` are the results its ``after:`` lets pass, ``alone`` the run."""

    subscription: Subscription
    verdict: Verdict
    through: tuple[Result, ...]
    alone: bool
    counted: Mapping[str, Count] = field(default_factory=dict)
    """What its ``after:`` counted, by case, or of the whole run."""

    @property
    def below(self) -> bool:
        return not self.through and not self.alone


def verdicts(finding: Finding | Notice, subscriptions: Iterable[Subscription]) -> list[tuple[Subscription, Verdict]]:
    """Every subscription's own, in the order in which they were made."""
    made = sorted(subscriptions, key=lambda subscription: (subscription.created, subscription.id))
    return [(subscription, match(subscription, finding)) for subscription in made]


def leftover(
    finding: Finding, answers: Sequence[tuple[Subscription, Verdict]], channel: str
) -> tuple[Subscription, Verdict] | None:
    """What no subscription means, for the default channel, if there is one."""
    matched = [verdict for _, verdict in answers if verdict.matched]
    meant = {result.id for verdict in matched for result in verdict.results}
    rest = tuple(result for result in finding.bad if result.id not in meant)
    if not channel or not finding.outcome.bad or (matched and not rest):
        return None
    return Subscription(id=DEFAULT, channel=channel), Verdict(True, results=rest)


def taking(draft: Draft, finding: Finding, subscription: Subscription, verdict: Verdict) -> Taking:
    """What a subscription takes once its ``after:`` has counted; counting the same run twice counts it once."""
    after = subscription.after
    if after is None:
        return Taking(subscription, verdict, verdict.results, not verdict.results)
    if subscription.group is Group.RUN or not verdict.results:
        count = count_run(draft, finding, subscription, after)
        enough = count.failures >= after.count
        through = verdict.results if enough else ()
        return Taking(subscription, verdict, through, enough and not verdict.results, {WHOLE_RUN: count})
    cases = sorted({case_of(result) for result in verdict.results})
    counted = {case: count_case(draft, finding, subscription, after, case) for case in cases}
    through = tuple(one for one in verdict.results if counted[case_of(one)].failures >= after.count)
    return Taking(subscription, verdict, through, False, counted)


def shares(channel: str, takings: Sequence[Taking]) -> list[Share]:
    """A channel's shares: each failure is told there once, grouped as its first taker wants it."""
    through = [taking for taking in takings if not taking.below]
    firsts: dict[str, tuple[Result, Group]] = {}
    for one in through:
        for result in one.through:
            firsts.setdefault(result.id, (result, one.subscription.group))
    made = [_share(channel, group, [r for r, its in firsts.values() if its is group], through) for group in Group]
    found = [share for share in made if share.results]
    alone = [taking for taking in through if taking.alone]
    if found or not alone:
        return found
    return [Share(channel, Group.RUN, (), tuple(one.subscription for one in alone), counted=_counted(alone))]


def _share(channel: str, group: Group, results: Sequence[Result], takings: Sequence[Taking]) -> Share:
    ids = {result.id for result in results}
    meaning = [one for one in takings if ids & {result.id for result in one.through}]
    ordered = tuple(sorted(results, key=lambda result: (result.title or "", result.id)))
    taken = tuple(frozenset(result.id for result in one.through) & ids for one in meaning)
    return Share(channel, group, ordered, tuple(one.subscription for one in meaning), taken, _counted(meaning))


def _counted(takings: Iterable[Taking]) -> Mapping[str, Count]:
    """The longest of their counts of each thing."""
    longest: dict[str, Count] = {}
    for case, count in (item for one in takings for item in one.counted.items()):
        longest[case] = max(longest.get(case, count), count)
    return longest

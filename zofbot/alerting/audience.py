"""Match a run's failures to subscriptions and group them by channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

from zofbot.alerting.causes import signature_of
from zofbot.alerting.counting import Count, count_case, count_run
from zofbot.alerting.state import DecisionBuilder
from zofbot.domain.model import Result
from zofbot.notifications import payload_parts
from zofbot.notifications.payload_parts import Owner
from zofbot.subscriptions import (
    Broadcast,
    Grouping,
    Layout,
    MatchResult,
    PlatformEvent,
    RunFinding,
    Subscription,
    format_filters,
    match_subscription,
)
from zofbot.subscriptions.case_history import CaseStanding
from zofbot.subscriptions.events import case_key
from zofbot.subscriptions.model import MentionRole
from zofbot.triage import EscalationPolicy

MAX_OWNERS = 10
"""Subscriptions whose mentions are listed separately on one card."""

MAX_ROLE_MENTIONS = 5
"""Authors or owners mentioned for one subscription."""

MAX_OWN_CASES = 5
"""Cases named for each such subscription."""

WHOLE_RUN = ""
"""Key in ``counted`` for the whole run instead of a case."""

DEFAULT_SUBSCRIPTION = "default"
"""Id of the default channel's implicit subscription, which gets failures that match no other subscription."""


@dataclass(frozen=True)
class ChannelAudience:
    """The failures of a run that one channel gets in one grouping, and the subscriptions that match them.

    ``results`` is empty if the run failed and no failed case is known.
    """

    channel: str
    group: Grouping
    results: tuple[Result, ...]
    takers: tuple[Subscription, ...]
    taken: tuple[frozenset[str], ...] = ()
    """For each of ``takers``, the ids of the results it matches; empty if they match the run as a whole."""
    counted: Mapping[str, Count] = field(default_factory=dict)
    """What the ``after:`` thresholds counted, by case or under ``WHOLE_RUN``."""
    silent: tuple[frozenset[str], ...] = ()
    """For each of ``takers``, the ids of results for which it mentions and escalates to nobody."""

    def for_results(self, results: Sequence[Result]) -> ChannelAudience:
        """Return a copy limited to some of the results and to the subscriptions that match them."""
        ids = {result.id for result in results}
        wanted = [bool(taken & ids) for taken in self.taken]
        takers, taken = tuple(compress(self.takers, wanted)), tuple(compress(self.taken, wanted))
        silent = tuple(compress(self.silent, wanted))
        return replace(self, results=tuple(results), takers=takers, taken=taken, silent=silent)

    @property
    def paging(self) -> tuple[Subscription, ...]:
        """The subscriptions that mention and escalate: at least one of their results is neither flaky nor quarantined.

        A subscription that selects flaky failures is mentioned for those, too.
        """
        ids = {result.id for result in self.results}
        triples = zip(self.takers, self.taken, self.silent, strict=True) if self.silent else ()
        quiet = {taker.id for taker, taken, silent in triples if taken & ids <= silent}
        return tuple(taker for taker in self.takers if taker.id not in quiet)

    @property
    def card_owners(self) -> tuple[Owner, ...]:
        """Return whom each subscription mentions for which cases; empty if all share one mention."""
        mentions = {self._mentions_of(taker) for taker in self.takers}
        if len(mentions) < 2 or not self.taken:
            return ()
        pairs = ((taker, taken) for taker, taken in zip(self.takers, self.taken, strict=True) if taker in self.paging)
        return tuple(self._build_owner(taker, taken) for taker, taken in pairs if self._mentions_of(taker))[:MAX_OWNERS]

    def _build_owner(self, taker: Subscription, taken: frozenset[str]) -> Owner:
        names = ("project", "env", "case", "branch", "tag", "owner")
        filters = format_filters(Subscription(**{name: getattr(taker, name) for name in names})) or "all failures"
        titles = [result.title or result.id for result in self.results if result.id in taken]
        named = tuple(payload_parts.clean_text(title, 100) for title in titles[:MAX_OWN_CASES])
        return Owner(
            mention=self._mentions_of(taker),
            wish=payload_parts.clean_text(filters, 150),
            cases=named,
            more=len(titles) - len(named),
        )

    @property
    def is_threaded(self) -> bool:
        return any(taker.layout is Layout.THREAD for taker in self.takers)

    def wants_broadcast(self, news: Broadcast) -> bool:
        """Whether a reply of that kind is also posted to the channel."""
        return any(news in taker.broadcast for taker in self.takers)

    @property
    def mention_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(identifier for taker in self.paging for identifier in self._mentions_of(taker)))

    def _mentions_of(self, taker: Subscription) -> tuple[str, ...]:
        """Return the ids that a subscription mentions, with the authors and owners of the failures that it matches."""
        if not taker.mention_roles:
            return taker.mention
        taken = dict(zip((each.id for each in self.takers), self.taken, strict=False)).get(taker.id, frozenset())
        results = [result for result in self.results if result.id in taken]
        found = [identifier for identifier in taker.mention if identifier not in taker.mention_roles]
        for role in taker.mention_roles:
            people = (each for result in results for each in _people_of(result, role))
            found += list(dict.fromkeys(people))[:MAX_ROLE_MENTIONS]
        return tuple(dict.fromkeys(found))

    @property
    def escalation_policy(self) -> EscalationPolicy:
        """The first escalation among the subscriptions, and the shortest time until acknowledging is due again."""
        steps = next((taker.escalate for taker in self.paging if taker.escalate), ())
        return EscalationPolicy(
            escalate=steps, reack=min((taker.reack for taker in self.takers if taker.reack), default=0)
        )


def _people_of(result: Result, role: MentionRole) -> tuple[str, ...]:
    return result.author_ids if role is MentionRole.AUTHOR else result.owner_ids


@dataclass(frozen=True)
class MatchedSubscription:
    """A subscription that matches a finding, after its ``after:`` threshold was applied.

    ``through`` are the results that reached the threshold; ``alone``: the run did, and no result is known.
    """

    subscription: Subscription
    verdict: MatchResult
    through: tuple[Result, ...]
    alone: bool
    counted: Mapping[str, Count] = field(default_factory=dict)
    """What its ``after:`` threshold counted, by case or under ``WHOLE_RUN``."""
    silent: frozenset[str] = frozenset()
    """Ids of results for which it mentions and escalates to nobody."""

    @property
    def is_below_threshold(self) -> bool:
        return not self.through and not self.alone


def match_subscriptions(
    finding: RunFinding | PlatformEvent, subscriptions: Iterable[Subscription]
) -> list[tuple[Subscription, MatchResult]]:
    """Match each subscription, in order of creation."""
    made = sorted(subscriptions, key=lambda subscription: (subscription.created, subscription.id))
    return [(subscription, match_subscription(subscription, finding)) for subscription in made]


def unclaimed_failures(
    finding: RunFinding, answers: Sequence[tuple[Subscription, MatchResult]], channel: str
) -> tuple[Subscription, MatchResult] | None:
    """Return the failures that match no subscription, for the default channel; None without such or without channel."""
    matched = [verdict for _, verdict in answers if verdict.matched]
    matched_ids = {result.id for verdict in matched for result in verdict.results}
    rest = tuple(result for result in finding.failures if result.id not in matched_ids)
    if not channel or not finding.outcome.is_bad or (matched and not rest):
        return None
    return Subscription(id=DEFAULT_SUBSCRIPTION, channel=channel), MatchResult(True, results=rest)


def apply_threshold(
    draft: DecisionBuilder, finding: RunFinding, subscription: Subscription, verdict: MatchResult
) -> MatchedSubscription:
    """Apply a subscription's ``after:`` threshold. Counting the same run again changes nothing."""
    silent = frozenset(result.id for result in verdict.results if _is_silent(finding, subscription, result))
    return replace(_count_failures(draft, finding, subscription, verdict), silent=silent)


def _is_silent(finding: RunFinding, subscription: Subscription, result: Result) -> bool:
    """Whether a failure mentions nobody: it is quarantined, or flaky and the subscription does not select that."""
    flaky = finding.standing_of(result) is CaseStanding.FLAKY
    return result.quarantined or (flaky and CaseStanding.FLAKY not in subscription.standings)


def _count_failures(
    draft: DecisionBuilder, finding: RunFinding, subscription: Subscription, verdict: MatchResult
) -> MatchedSubscription:
    after = subscription.after
    if after is None:
        return MatchedSubscription(subscription, verdict, verdict.results, not verdict.results)
    if subscription.group is Grouping.RUN or not verdict.results:
        count = count_run(draft, finding, subscription, after)
        enough = count.failures >= after.count
        through = verdict.results if enough else ()
        return MatchedSubscription(subscription, verdict, through, enough and not verdict.results, {WHOLE_RUN: count})
    cases = sorted({case_key(result) for result in verdict.results})
    counted = {case: count_case(draft, finding, subscription, after, case) for case in cases}
    through = tuple(result for result in verdict.results if counted[case_key(result)].failures >= after.count)
    return MatchedSubscription(subscription, verdict, through, False, counted)


def build_audiences(channel: str, matches: Sequence[MatchedSubscription]) -> list[ChannelAudience]:
    """Group a channel's failures; each is posted once, in the grouping of the first subscription that matches it."""
    through = [match for match in matches if not match.is_below_threshold]
    firsts: dict[str, tuple[Result, Grouping]] = {}
    for item in through:
        for result in item.through:
            firsts.setdefault(result.id, (result, _grouping_of(result, item.subscription)))
    made = [
        _build_audience(channel, group, [r for r, its in firsts.values() if its is group], through)
        for group in Grouping
    ]
    found = [audience for audience in made if audience.results]
    alone = [match for match in through if match.alone]
    if found or not alone:
        return found
    return [
        ChannelAudience(
            channel, Grouping.RUN, (), tuple(item.subscription for item in alone), counted=_longest_counts(alone)
        )
    ]


def _grouping_of(result: Result, subscription: Subscription) -> Grouping:
    """Return how a subscription groups a failure; one without a text has no known cause, and is posted with its run."""
    if subscription.group is Grouping.CAUSE and not signature_of(result):
        return Grouping.RUN
    return subscription.group


def _build_audience(
    channel: str, group: Grouping, results: Sequence[Result], matches: Sequence[MatchedSubscription]
) -> ChannelAudience:
    ids = {result.id for result in results}
    relevant = [match for match in matches if ids & {result.id for result in match.through}]
    ordered = tuple(sorted(results, key=lambda result: (result.title or "", result.id)))
    taken = tuple(frozenset(result.id for result in item.through) & ids for item in relevant)
    silent = tuple(item.silent & ids for item in relevant)
    return ChannelAudience(
        channel, group, ordered, tuple(item.subscription for item in relevant), taken, _longest_counts(relevant), silent
    )


def _longest_counts(matches: Iterable[MatchedSubscription]) -> Mapping[str, Count]:
    """Return the highest count of each case."""
    longest: dict[str, Count] = {}
    for case, count in (item for match in matches for item in match.counted.items()):
        longest[case] = max(longest.get(case, count), count)
    return longest

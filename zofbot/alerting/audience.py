"""Match a run's failures to subscriptions and group them by channel."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, compress, islice

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
    match_subscription,
)
from zofbot.subscriptions.case_history import CaseStanding
from zofbot.subscriptions.events import case_key
from zofbot.subscriptions.filters import filters_text
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
    subscriptions: tuple[Subscription, ...]
    matched_ids: tuple[frozenset[str], ...] = ()
    """For each of ``subscriptions``, the ids of the results it matches; empty if they match the run as a whole."""
    counted: Mapping[str, Count] = field(default_factory=dict)
    """What the ``after:`` thresholds counted, by case or under ``WHOLE_RUN``."""
    silent: tuple[frozenset[str], ...] = ()
    """For each of ``subscriptions``, the ids of results for which it mentions and escalates to nobody."""

    def for_results(self, results: Sequence[Result]) -> ChannelAudience:
        """Return a copy limited to some of the results and to the subscriptions that match them."""
        ids = {result.id for result in results}
        return replace(self, results=tuple(results))._select([bool(matched & ids) for matched in self.matched_ids])

    def for_subscriptions(self, ids: Collection[str]) -> ChannelAudience:
        """Return a copy limited to the subscriptions with these ids."""
        return self._select([each.id in ids for each in self.subscriptions])

    def _select(self, wanted: Sequence[bool]) -> ChannelAudience:
        return replace(
            self,
            subscriptions=tuple(compress(self.subscriptions, wanted)),
            matched_ids=tuple(compress(self.matched_ids, wanted)),
            silent=tuple(compress(self.silent, wanted)),
        )

    @property
    def subscription_ids(self) -> tuple[str, ...]:
        return tuple(each.id for each in self.subscriptions)

    @property
    def mentioning_subscriptions(self) -> tuple[Subscription, ...]:
        """The subscriptions that mention and escalate: at least one of their results is neither flaky nor quarantined.

        A subscription that selects flaky failures is mentioned for those, too.
        """
        ids = {result.id for result in self.results}
        triples = zip(self.subscriptions, self.matched_ids, self.silent, strict=True) if self.silent else ()
        quiet = {subscription.id for subscription, matched, silent in triples if matched & ids <= silent}
        return tuple(each for each in self.subscriptions if each.id not in quiet)

    @property
    def silent_ids(self) -> tuple[str, ...]:
        """Return the ids of the other subscriptions."""
        loud = {each.id for each in self.mentioning_subscriptions}
        return tuple(each for each in self.subscription_ids if each not in loud)

    @property
    def card_owners(self) -> tuple[Owner, ...]:
        """Return whom each subscription mentions for which cases; empty if all share one mention."""
        mentions = {self._mentions_of(each) for each in self.subscriptions}
        if len(mentions) < 2 or not self.matched_ids:
            return ()
        owners = (
            self._build_owner(subscription, matched)
            for subscription, matched in zip(self.subscriptions, self.matched_ids, strict=True)
            if subscription in self.mentioning_subscriptions and self._mentions_of(subscription)
        )
        return tuple(islice(owners, MAX_OWNERS))

    def _build_owner(self, subscription: Subscription, matched_ids: frozenset[str]) -> Owner:
        names = ("project", "env", "case", "branch", "tag", "owner")
        filters = filters_text(Subscription(**{name: getattr(subscription, name) for name in names}))
        titles = [result.title or result.id for result in self.results if result.id in matched_ids]
        named = tuple(payload_parts.clean_text(title, 100) for title in titles[:MAX_OWN_CASES])
        return Owner(
            mention=self._mentions_of(subscription),
            wish=payload_parts.clean_text(filters, 150),
            cases=named,
            more=len(titles) - len(named),
        )

    @property
    def is_threaded(self) -> bool:
        return any(each.layout is Layout.THREAD for each in self.subscriptions)

    def wants_broadcast(self, news: Broadcast) -> bool:
        """Whether a reply of that kind is also posted to the channel."""
        return any(news in each.broadcast for each in self.subscriptions)

    @property
    def mention_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(chain.from_iterable(map(self._mentions_of, self.mentioning_subscriptions))))

    def _mentions_of(self, subscription: Subscription) -> tuple[str, ...]:
        """Return the ids that a subscription mentions, with the authors and owners of the failures that it matches."""
        if not subscription.mention_roles:
            return subscription.mention
        matched = dict(zip(self.subscription_ids, self.matched_ids, strict=False)).get(subscription.id, frozenset())
        results = [result for result in self.results if result.id in matched]
        found = [identifier for identifier in subscription.mention if identifier not in subscription.mention_roles]
        for role in subscription.mention_roles:
            people = (each for result in results for each in _people_of(result, role))
            found += list(dict.fromkeys(people))[:MAX_ROLE_MENTIONS]
        return tuple(dict.fromkeys(found))

    @property
    def escalation_policy(self) -> EscalationPolicy:
        """The first escalation among the subscriptions, and the shortest time until acknowledging is due again."""
        steps = next((each.escalate for each in self.mentioning_subscriptions if each.escalate), ())
        return EscalationPolicy(
            escalate=steps,
            reack=min((each.reack for each in self.subscriptions if each.reack), default=0),
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
    matched_ids = tuple(frozenset(result.id for result in item.through) & ids for item in relevant)
    silent = tuple(item.silent & ids for item in relevant)
    subscriptions = tuple(item.subscription for item in relevant)
    return ChannelAudience(channel, group, ordered, subscriptions, matched_ids, _longest_counts(relevant), silent)


def _longest_counts(matches: Iterable[MatchedSubscription]) -> Mapping[str, Count]:
    """Return the highest count of each case."""
    longest: dict[str, Count] = {}
    for case, count in (item for match in matches for item in match.counted.items()):
        longest[case] = max(longest.get(case, count), count)
    return longest

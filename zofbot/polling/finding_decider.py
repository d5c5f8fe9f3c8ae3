"""Decide what to post about a poll cycle's findings, from the rules' stored state and the subscriptions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from zofbot.alerting.alerts import parse_alerts
from zofbot.alerting.counting import first_row_time
from zofbot.alerting.history.case_outcomes import first_failing_time
from zofbot.alerting.state import RuleState, alerts_hash, scope_key, subscribed_channels, triage_hash
from zofbot.alerting.triage_records import triage_fields
from zofbot.polling.checkpoint import MAX_OPEN_FAILURE_SECONDS, PollCheckpoint
from zofbot.polling.contacts import add_contacts
from zofbot.polling.context import Committable, PollContext
from zofbot.polling.open_scope import OpenScope
from zofbot.polling.subscription_cache import SubscriptionCache
from zofbot.subscriptions import PlatformEvent, RunFinding, Subscription


class FindingDecider:
    """Applies the rules to findings, and has the checkpoint watch the scopes where failures are open."""

    def __init__(self, context: PollContext, checkpoint: PollCheckpoint, subscriptions: SubscriptionCache) -> None:
        self._context = context
        self._checkpoint = checkpoint
        self._subscriptions = subscriptions

    async def decide_findings(self, findings: Sequence[RunFinding | PlatformEvent]) -> Committable:
        """Return what to post and store. Raises StoreUnavailable; deciding again gives the same keys."""
        context, default = self._context, self._context.settings.default_channel
        memory, subscriptions = await self._load_rule_state(findings)
        findings = await add_contacts(findings, subscriptions, context.find_contacts)
        decision = context.decide(
            findings,
            subscriptions,
            memory,
            context.unix_time(),
            lookback=context.unix_time() - self._checkpoint.floor,  # so a failure during a pause is reported late
            default_channel=default,
        )
        self._update_open_scopes(findings, subscriptions, memory.with_changes(decision.changes))
        return decision

    async def _load_rule_state(
        self, findings: Sequence[RunFinding | PlatformEvent]
    ) -> tuple[RuleState, Sequence[Subscription]]:
        """Read the hashes for the rules, and choose the subscriptions that may concern the findings.

        Whether the subscriptions have changed is read with them, since reading Zof may have taken long.
        """
        default = self._context.settings.default_channel
        while True:
            subscriptions = self._concerned_subscriptions(findings)
            names = {
                name
                for found in findings
                for name in RuleState.hash_names(found, subscriptions, default, self._open_channels(found))
            }
            channels = subscribed_channels(subscriptions, default)
            read = await self._context.outbox.read_hashes(
                *self._subscriptions.hashes(),
                *sorted(names),
                unless_large=names.intersection(map(triage_hash, channels)),
            )
            if not self._subscriptions.update(read):
                large = [channel for channel in channels if triage_hash(channel) in names.difference(read)]
                return RuleState(read | await self._read_triage(large, read)), subscriptions

    async def _read_triage(
        self, channels: Collection[str], read: Mapping[str, Mapping[str, str]]
    ) -> dict[str, dict[str, str]]:
        """Read the triage records that a decision may need, of channels that have many."""
        fields = triage_fields(channels, read)
        records: dict[str, dict[str, str]] = {}
        values = await self._context.outbox.read_fields(*fields) if fields else ()
        for (name, key), value in zip(fields, values, strict=True):
            if value is not None:
                records.setdefault(name, {})[key] = value
        return records

    def _concerned_subscriptions(self, findings: Sequence[RunFinding | PlatformEvent]) -> Sequence[Subscription]:
        """Return the subscriptions that may match, and those of channels where failures of these scopes are open."""
        open_channels = [self._open_channels(found) for found in findings]
        if None in open_channels:
            return self._subscriptions.all
        projects = {name for found in findings for name in found.projects}
        channels = {channel for known in open_channels for channel in known or ()}
        return self._subscriptions.index.find_candidates(projects, channels)

    def _open_channels(self, found: RunFinding | PlatformEvent) -> tuple[str, ...] | None:
        """Return the channels with open failures in a finding's scope; None if that is not known."""
        open_scope = self._checkpoint.open_scopes.get(scope_key(found)) if isinstance(found, RunFinding) else None
        return open_scope.channels if open_scope else ()

    def _update_open_scopes(
        self,
        findings: Sequence[RunFinding | PlatformEvent],
        subscriptions: Sequence[Subscription],
        memory: RuleState,
    ) -> None:
        """Watch the scopes where failures are open, counted in a row, or may have recovered earlier than known."""
        channels = sorted(subscribed_channels(subscriptions, self._context.settings.default_channel))
        run_ids = {found.run.id for found in findings if isinstance(found, RunFinding)}
        oldest = self._context.unix_time() - MAX_OPEN_FAILURE_SECONDS
        for place in {scope_key(found) for found in findings if isinstance(found, RunFinding)}:
            kept = ((channel, memory.hashes.get(alerts_hash(channel, place), {})) for channel in channels)
            read = ((channel, alert) for channel, all_ in kept for alert in parse_alerts(all_).values())
            news = [
                (channel, alert)
                for channel, alert in read
                if alert.last > oldest and (alert.recovered is None or run_ids.intersection(alert.runs))
            ]
            rows = _followed_failures(memory, subscriptions, place, oldest)
            since = min((*(alert.last for _, alert in news), *rows), default=None)
            open_ = min((*(alert.last for _, alert in news if alert.recovered is None), *rows), default=None)
            open_scope = None if since is None else OpenScope(since, tuple(dict(news)), open_)
            self._checkpoint.watch_recoveries(place, open_scope, self._context.unix_time())


def _followed_failures(
    memory: RuleState, subscriptions: Sequence[Subscription], place: str, oldest: float
) -> list[float]:
    """Return since when failures of a scope are followed without an open alert, until what failed passes."""
    times = [first_row_time(memory, subscriptions, place, oldest)]
    if any(subscription.standings for subscription in subscriptions):
        times.append(first_failing_time(memory, place, oldest))
    return [at for at in times if at is not None]

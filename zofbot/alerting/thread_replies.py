"""Build replies about a run in an alert's thread, and edits of the alert itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zofbot.alerting.alerts import Alert
from zofbot.alerting.audience import ChannelAudience
from zofbot.alerting.state import DecisionBuilder
from zofbot.alerting.storm_record import build_storm_reply, load_storm
from zofbot.domain.model import Result
from zofbot.notifications import payloads
from zofbot.notifications.idempotency import edit_key, idempotency_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.payloads import (
    CaseSummary,
    FailingAgainPayload,
    FlappingPayload,
    Payload,
    ResultPayload,
    RunSummary,
)
from zofbot.subscriptions import Grouping, RunFinding

FIRST = 10
"""Failures of a run that get their own reply; one more reply lists the rest."""


@dataclass(frozen=True)
class ReplyStyle:
    """How replies are posted: ``again`` after a recovery; ``loud``: the first is also broadcast to the channel.

    ``mention`` is the id that the first one mentions, ``others`` how many more failures it stands for.
    """

    again: bool = False
    loud: bool = False
    mention: str = ""
    others: int = 0

    @property
    def posts_when_flat(self) -> bool:
        """Whether a reply is posted even in a layout without threads."""
        return self.loud or bool(self.mention)

    @property
    def mentioned(self) -> tuple[str, ...]:
        return (self.mention,) if self.mention else ()


@dataclass(frozen=True)
class ThreadReplies:
    """Builds the replies about one run for one channel.

    ``held`` is when quiet hours end, 0 outside of them; ``now`` is when the channel is notified. Both are Unix seconds.
    """

    draft: DecisionBuilder
    finding: RunFinding
    share: ChannelAudience
    held: float
    now: float
    critical: bool

    def add_run_replies(self, root: Alert, results: Sequence[Result], how: ReplyStyle) -> None:
        """Add a reply for each of the first failures and one for the rest; one for a relapse without known failures."""
        if root.storm:
            self._add_storm_reply(root, FailingAgainPayload(run=self.place, mention=how.mentioned), how)
            return
        if not results and how.again and (root.threaded or how.posts_when_flat):
            again = FailingAgainPayload(run=self.place, broadcast=how.loud, mention=how.mentioned)
            self._reply(root, idempotency_key("again", self.finding.run.id, root.category, self.share.channel), again)
        self.add_result_replies(root, results[:FIRST], how)
        rest = results[FIRST:]
        count = self.bad - min(FIRST, len(results))
        if results and count and root.threaded:
            titles, listed = payloads.collect_titles(rest)
            body = payloads.MoreFailuresPayload(run=self.place, titles=titles, count=count, unlisted=count - listed)
            name = idempotency_key("rest", self.finding.run.id, root.category, self.share.channel, turn=self.bad)
            self._reply(root, name, body)

    def add_result_replies(self, root: Alert, results: Sequence[Result], how: ReplyStyle) -> None:
        """Add a reply for each result, the first as ``how`` says. A layout without threads gets at most that one."""
        if root.storm:
            if results:
                case = CaseSummary.from_result(results[0], 1500)
                body = ResultPayload(case=case, run_id=self.finding.run.id, again=True, mention=how.mentioned)
                self._add_storm_reply(root, body, how)
            return
        for index, result in enumerate(results if root.threaded else results[: int(how.posts_when_flat)]):
            if root.group is Grouping.CASE and result.id == root.id:
                continue
            body = ResultPayload(
                case=CaseSummary.from_result(result, 1500), run_id=self.finding.run.id, again=how.again
            )
            if not index:
                first = {"broadcast": how.loud, "mention": how.mentioned, "others": how.others}
                body = body.model_copy(update=first)
            self._reply(root, idempotency_key("result", result.id, result.outcome.value, self.share.channel), body)

    @property
    def bad(self) -> int:
        """The number of failures for this channel, including unread ones unless a filter left some out."""
        everything = len(self.share.results) == len(self.finding.bad)
        return self.finding.total if everything else len(self.share.results)

    @property
    def place(self) -> RunSummary:
        """The run's summary."""
        return RunSummary.from_run(self.finding.run, self.finding.outcome)

    def add_flapping_reply(self, root: Alert, title: str, *, loud: bool) -> Alert:
        """Add or edit the one reply that reports flapping. Return the alert with that reply's key."""
        if root.storm:
            return root  # the storm's list shows its state
        name = root.line or idempotency_key("flapping", root.id, root.category, self.share.channel, turn=root.turns)
        body = FlappingPayload(title=title, run=self.place, times=root.relapses, broadcast=loud)
        if root.line:
            self.draft.add_notifications(
                self.notify(NotificationKind.EDIT, edit_key(name), payloads.dump_payload(body), name)
            )
        elif root.threaded or loud:
            self._reply(root, name, body)
        else:
            return root
        return root.model_copy(update={"line": name})

    def edit(self, root: Alert) -> None:
        """Edit the alert's own message, if it has one, to its latest state."""
        if not root.storm:
            self.draft.add_notifications(self.notify(NotificationKind.EDIT, edit_key(root.key), root.body, root.key))

    def notify(self, kind: NotificationKind, name: str, body: dict[str, Any], root: str = "") -> Notification:
        """Build a notification about the run, with the key ``name``."""
        return Notification(
            key=name,
            kind=kind,
            channel=self.share.channel,
            body=body,
            root=root,
            happened=self.draft.clamp_to_now(self.finding.happened),
            critical=self.critical,
            not_before=self.held,
            schema=NOTIFICATION_SCHEMA,
        )

    def _add_storm_reply(self, root: Alert, body: ResultPayload | FailingAgainPayload, how: ReplyStyle) -> None:
        """Add a relapse reply to the storm's thread, at most once a minute, as the storm's list shows every member."""
        storm = load_storm(self.draft, self.share.channel, root.storm) if how.again else None
        if storm:
            name = idempotency_key("again", storm.id, storm.category, storm.channel, turn=int(self.now // 60))
            loud = body.model_copy(update={"broadcast": how.loud})
            self.draft.add_notifications(
                build_storm_reply(storm, name, loud, self.draft.clamp_to_now(self.finding.happened), self.held)
            )

    def _reply(self, root: Alert, name: str, body: Payload) -> None:
        self.draft.add_notifications(
            self.notify(NotificationKind.REPLY, name, payloads.dump_payload(body), root.thread_key)
        )

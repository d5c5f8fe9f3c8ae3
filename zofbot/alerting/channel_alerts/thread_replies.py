"""Build replies about a run in an alert's thread, and edits of the alert itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zofbot.alerting.alerts import Alert
from zofbot.alerting.audience import ChannelAudience
from zofbot.alerting.causes import MAX_CAUSES, Cause, describe_case, group_by_cause
from zofbot.alerting.state import DecisionBuilder
from zofbot.alerting.storms.storm_messages import build_storm_reply
from zofbot.alerting.storms.storm_record import load_storm
from zofbot.domain.extra_fields import has_image
from zofbot.domain.model import Result
from zofbot.notifications import payload_parts, payloads, thread_payloads
from zofbot.notifications.idempotency import edit_key, idempotency_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.payload_parts import RunSummary
from zofbot.notifications.payloads import Payload
from zofbot.notifications.thread_payloads import CauseReplyPayload, FailingAgainPayload, FlappingPayload, ResultPayload
from zofbot.subscriptions import Grouping, RunFinding


@dataclass(frozen=True)
class ReplyStyle:
    """How replies are posted: ``again`` after a recovery; ``loud``: the first is also broadcast to the channel.

    ``mention`` has the ids that the first one mentions, ``others`` is how many more failures it stands for.
    """

    again: bool = False
    loud: bool = False
    mention: tuple[str, ...] = ()
    others: int = 0

    @property
    def posts_when_flat(self) -> bool:
        """Whether a reply is posted even in a layout without threads."""
        return self.loud or bool(self.mention)


@dataclass(frozen=True)
class ThreadReplies:
    """Builds the replies about one run for one channel.

    ``held`` is when quiet hours end, 0 outside of them; ``now`` is when the channel is notified. Both are Unix seconds.
    """

    draft: DecisionBuilder
    finding: RunFinding
    audience: ChannelAudience
    held: float
    now: float
    critical: bool

    def add_run_replies(self, alert: Alert, results: Sequence[Result], how: ReplyStyle) -> Alert:
        """Add a reply for each of the worst causes and one for the rest; one for a relapse without known failures.

        Return the alert with the keys of the replies. A cause that has a reply already has that edited.
        """
        if alert.storm:
            self.add_storm_reply(alert, FailingAgainPayload(run=self.place, mention=how.mention), how)
            return alert
        if not results and how.again and (alert.threaded or how.posts_when_flat):
            again = FailingAgainPayload(run=self.place, broadcast=how.loud, mention=how.mention)
            self._reply(
                alert, idempotency_key("again", self.finding.run.id, alert.category, self.audience.channel), again
            )
        causes = [part for cause in group_by_cause(results) for part in cause.split_unknown()]
        shown = causes[:MAX_CAUSES] if alert.threaded else causes[: int(how.posts_when_flat)]
        unknown = (n for n, cause in enumerate(shown) if not {*map(self._result_key, cause.results)} & {*alert.replies})
        first = next(unknown, 0)  # an edit mentions nobody
        keys = [
            self.add_cause_reply(alert, cause, how if index == first else ReplyStyle(again=how.again))
            for index, cause in enumerate(shown)
        ]
        self._add_rest_reply(alert, causes)
        return alert.model_copy(update={"replies": tuple(dict.fromkeys((*alert.replies, *keys)))[-2 * MAX_CAUSES :]})

    def add_cause_reply(self, alert: Alert, cause: Cause, how: ReplyStyle) -> str:
        """Add the reply for a cause, or edit the one that it has. Return its key: that of one of its results."""
        names = list(map(self._result_key, cause.results))
        known = next((name for name in names if name in alert.replies), "")
        if known and len(names) == 1:
            return known
        case = describe_case(cause.results[0])
        body: ResultPayload | CauseReplyPayload = ResultPayload(case=case, run_id=self.finding.run.id)
        if len(names) > 1:
            titles, listed = payload_parts.collect_titles(cause.results)
            body = CauseReplyPayload(
                case=case, run_id=self.finding.run.id, count=len(names), titles=titles, unlisted=len(names) - listed,
                project=self.place.project if alert.storm else "",
                environment=self.place.environment if alert.storm else "",
            )  # fmt: skip
        body = body.model_copy(update={"again": how.again, "broadcast": how.loud, "mention": how.mention})
        if known:
            self._edit_reply(known, body)
        else:
            self._reply(alert, names[0], body)
        return known or names[0]

    def _add_rest_reply(self, alert: Alert, causes: Sequence[Cause]) -> None:
        """Add a reply that lists the failures of further causes, and counts those that were not read."""
        rest = [result for cause in causes[MAX_CAUSES:] for result in cause.results]
        count = self.bad - sum(len(cause.results) for cause in causes[:MAX_CAUSES])
        if causes and count and alert.threaded:
            titles, listed = payload_parts.collect_titles(rest)
            body = thread_payloads.MoreFailuresPayload(
                run=self.place, titles=titles, count=count, unlisted=count - listed
            )
            name = idempotency_key("rest", self.finding.run.id, alert.category, self.audience.channel, turn=self.bad)
            self._reply(alert, name, body)

    def add_result_replies(self, alert: Alert, results: Sequence[Result], how: ReplyStyle) -> None:
        """Add a reply for each result, the first as ``how`` says. A layout without threads gets at most that one."""
        if alert.storm:
            if results:
                case = describe_case(results[0])
                body = ResultPayload(case=case, run_id=self.finding.run.id, again=True, mention=how.mention)
                self.add_storm_reply(alert, body, how)
            return
        for index, result in enumerate(results if alert.threaded else results[: int(how.posts_when_flat)]):
            if alert.group is Grouping.CASE and result.id == alert.id and not has_image(result.extras):
                continue  # the alert itself describes it, but shows no images
            body = ResultPayload(case=describe_case(result), run_id=self.finding.run.id, again=how.again)
            if not index:
                first = {"broadcast": how.loud, "mention": how.mention, "others": how.others}
                body = body.model_copy(update=first)
            self._reply(alert, self._result_key(result), body)

    def _result_key(self, result: Result) -> str:
        return idempotency_key("result", result.id, result.outcome.value, self.audience.channel)

    @property
    def bad(self) -> int:
        """The number of failures for this channel, including unread ones unless a filter left some out."""
        everything = len(self.audience.results) == len(self.finding.failures)
        return self.finding.total if everything else len(self.audience.results)

    @property
    def place(self) -> RunSummary:
        """The run's summary."""
        return RunSummary.from_run(self.finding.run, self.finding.outcome)

    def add_flapping_reply(self, alert: Alert, title: str, *, loud: bool) -> Alert:
        """Add or edit the one reply that reports flapping. Return the alert with that reply's key."""
        if alert.storm:
            return alert  # the storm's list shows its state
        name = alert.line or idempotency_key(
            "flapping", alert.id, alert.category, self.audience.channel, turn=alert.turns
        )
        body = FlappingPayload(title=title, run=self.place, times=alert.relapses, broadcast=loud)
        if alert.line:
            self._edit_reply(name, body)
        elif alert.threaded or loud:
            self._reply(alert, name, body)
        else:
            return alert
        return alert.model_copy(update={"line": name})

    def edit(self, alert: Alert) -> None:
        """Edit the alert's own message, if it has one, to its latest state."""
        if not alert.storm:
            self.draft.add_notifications(self.notify(NotificationKind.EDIT, edit_key(alert.key), alert.body, alert.key))

    def notify(self, kind: NotificationKind, name: str, body: dict[str, Any], root: str = "") -> Notification:
        """Build a notification about the run, with the key ``name``."""
        return Notification(
            key=name,
            kind=kind,
            channel=self.audience.channel,
            body=body,
            root=root,
            happened=self.draft.clamp_to_now(self.finding.happened),
            critical=self.critical,
            not_before=self.held,
            schema=NOTIFICATION_SCHEMA,
        )

    def add_storm_reply(self, alert: Alert, body: ResultPayload | FailingAgainPayload, how: ReplyStyle) -> None:
        """Add a relapse reply to the storm's thread, at most once a minute, as the storm's list shows every member."""
        storm = load_storm(self.draft, self.audience.channel, alert.storm) if how.again else None
        if storm:
            name = idempotency_key("again", storm.id, storm.category, storm.channel, turn=int(self.now // 60))
            loud = body.model_copy(update={"broadcast": how.loud})
            self.draft.add_notifications(
                build_storm_reply(storm, name, loud, self.draft.clamp_to_now(self.finding.happened), self.held)
            )

    def _edit_reply(self, name: str, body: Payload) -> None:
        edit = self.notify(NotificationKind.EDIT, edit_key(name), payloads.dump_payload(body), name)
        self.draft.add_notifications(edit.model_copy(update={"edits_reply": True}))

    def _reply(self, alert: Alert, name: str, body: Payload) -> None:
        self.draft.add_notifications(
            self.notify(NotificationKind.REPLY, name, payloads.dump_payload(body), alert.thread_key)
        )

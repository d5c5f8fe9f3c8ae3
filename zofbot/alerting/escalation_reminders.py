"""Schedule what follows an opening, acknowledgement or snooze, as notifications that are due later.

They are never cancelled: a payload names the state it applies to, and is dropped when due if that has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zofbot.notifications import payloads
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.thread_payloads import ReminderPayload
from zofbot.triage import EscalationPolicy, TriageRecord, TriageState


def schedule_reminders(
    root: str, channel: str, present: TriageRecord, policy: EscalationPolicy, *, notified_at: float = 0.0
) -> Iterator[Notification]:
    """Yield the reminders for a failure's state; ``root`` is its key, ``notified_at`` when its channel is notified.

    Times are Unix seconds.
    """
    about = _ReminderBuilder(root, channel, present.turn)
    if present.state is TriageState.OPEN:
        yield from about.escalation_reminders(present.opened, max(present.opened, notified_at), policy, present.steps)
    if present.asks is not None:
        yield about.thread_reminder("ask", present.asks, present.asks)
    if present.until is not None and present.state in (TriageState.SNOOZED, TriageState.ACKNOWLEDGED):
        asleep = present.state is TriageState.SNOOZED
        yield about.thread_reminder(
            "wake" if asleep else "lapse", present.until, present.until, present.moved_by.id if asleep else ""
        )
        yield from about.escalation_reminders(present.until, present.until, policy, 0)


def schedule_card_edits(cards: Iterable[str], channel: str, present: TriageRecord) -> Iterator[Notification]:
    """Yield an edit of each of the ``cards`` that show a failure, for when its snooze or acknowledgement ends."""
    if present.until is not None:
        yield from (_ReminderBuilder(card, channel, present.turn).card_edit(present.until) for card in cards)


def build_wake_up(root: str, channel: str, asleep: TriageRecord, at: float) -> Notification:
    """Build the reply that tells the person who snoozed a failure that the snooze ended early, ``at`` Unix seconds."""
    return _ReminderBuilder(root, channel, asleep.turn).thread_reminder("wake", at, at, asleep.moved_by.id)


class _ReminderBuilder:
    def __init__(self, root: str, channel: str, turn: int) -> None:
        self._root, self._channel, self._turn = root, channel, turn

    def escalation_reminders(
        self, opened: float, notified_at: float, policy: EscalationPolicy, taken: int
    ) -> Iterator[Notification]:
        for index, step in enumerate(policy.escalate):
            if index >= taken:
                body = ReminderPayload(sort="escalate", turn=self._turn, at=opened, step=index, mention=step.mention)
                yield self._build_notification(
                    NotificationKind.REPLY, f"escalate:{index}", opened, notified_at + step.after, body
                )

    def thread_reminder(self, sort: str, at: float, due: float, mention: str = "") -> Notification:
        mentioned = (mention,) if mention else ()
        body = ReminderPayload.model_validate({"sort": sort, "turn": self._turn, "at": at, "mention": mentioned})
        return self._build_notification(NotificationKind.REPLY, sort, at, due, body)

    def card_edit(self, at: float) -> Notification:
        """Build an edit that redraws the alert later; the usual edit key would replace one that is due at once."""
        return self._build_notification(NotificationKind.EDIT, "shown", at, at, None)

    def _build_notification(
        self, kind: NotificationKind, sort: str, at: float, due: float, body: ReminderPayload | None
    ) -> Notification:
        return Notification(
            key=f"{sort}:{self._turn}:{at * 1000:.0f}:{self._root}",
            kind=kind,
            channel=self._channel,
            root=self._root,
            body=payloads.dump_payload(body) if body else {},
            happened=due,
            not_before=due,
            schema=NOTIFICATION_SCHEMA,
        )

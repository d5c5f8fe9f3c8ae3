"""How many steps of a failure's escalation policy were taken, by people or by reminders."""

from __future__ import annotations

from itertools import takewhile

from zofbot.alerting.escalation_reminders import schedule_reminders
from zofbot.notifications.notification import NotificationState
from zofbot.services.failures import Failure
from zofbot.store.outbox_reader import OutboxReader
from zofbot.triage import TriageState


async def count_taken_steps(outbox: OutboxReader, failure: Failure) -> int:
    """Return the number of taken steps; reminders count once they are sent. Raises StoreUnavailable.

    A reminder's time does not tell, since mutes and quiet hours postpone it. If a failure is not open, only steps that
    people took count: a step can be repeated after an acknowledgement.
    """
    present = failure.present
    if present.state is not TriageState.OPEN:
        return present.steps
    reminders = schedule_reminders(failure.key, failure.channel, present, failure.body.policy)
    keys = [reminder.key for reminder in reminders]
    states = {record.key: record.state for record in await outbox.get_records(keys)}
    sent = takewhile(lambda key: states.get(key) in (NotificationState.SENDING, NotificationState.SENT), keys)
    return present.steps + sum(1 for _ in sent)

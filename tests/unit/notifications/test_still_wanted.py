"""Whether a notification is still wanted is asked of its payload and of how things stand when it is due."""

from __future__ import annotations

from typing import Any

import pytest

from zofbot.notifications import other_payloads
from zofbot.notifications.alert_payloads import RunAlertPayload
from zofbot.notifications.catch_up_payload import CatchUpLine, CatchUpPayload
from zofbot.notifications.digest_payload import DigestPayload
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.notifications.payload_parts import RunSummary
from zofbot.notifications.payloads import Payload, dump_payload
from zofbot.notifications.still_wanted import is_claim_wanted
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.notifications.thread_payloads import ReminderPayload
from zofbot.subscriptions.digest_schedule import DigestSchedule, DigestSetting, format_schedule
from zofbot.triage import TriageRecord, TriageState

NOW = 1_780_301_700.0
ALERT = RunAlertPayload(run=RunSummary(id="run_1"), bad=1, opened=NOW - 600)
ESCALATION = ReminderPayload(sort="escalate", at=NOW - 600)
STORM = StormPayload(since=NOW - 600, last=NOW, alerts=2, failures=2, members=2, open=2, opened=NOW - 600)
DAILY = DigestSchedule(every="daily", minute=540)


def is_wanted(body: Payload | dict[str, Any], kind: NotificationKind = NotificationKind.ROOT, **more: Any) -> bool:
    stored = body if isinstance(body, dict) else dump_payload(body)
    note = Notification(key="run:run_1:failed:C1", kind=kind, channel="C1", body=stored, happened=NOW)
    return is_claim_wanted(Claim(note, 1, NOW, **more), NOW)


def test_an_edit_of_an_expired_failure_is_not_wanted() -> None:
    assert not is_wanted({}, NotificationKind.EDIT)
    assert is_wanted({}, NotificationKind.EDIT, failure=dump_payload(ALERT))


@pytest.mark.parametrize("alert", [ALERT, STORM], ids=["alert", "storm"])
def test_an_alert_that_recovered_while_held_back_is_not_posted_but_can_be_edited(
    alert: RunAlertPayload | StormPayload,
) -> None:
    unposted = alert.model_copy(update={"unposted": True})
    assert is_wanted(alert)
    assert not is_wanted(unposted)
    assert is_wanted(unposted, NotificationKind.EDIT)


def test_a_reminder_is_wanted_while_its_failure_stands_as_it_did() -> None:
    reply, failure = NotificationKind.REPLY, dump_payload(ALERT)
    assert is_wanted(ESCALATION, reply, failure=failure)
    assert not is_wanted(ESCALATION, reply), "the failure has expired"
    assert not is_wanted(ESCALATION.model_copy(update={"at": NOW - 900}), reply, failure=failure)
    assert not is_wanted(ESCALATION.model_copy(update={"turn": 1}), reply, failure=failure), "of another relapse"


def test_a_step_that_a_person_took_early_is_not_taken_again_when_it_is_due() -> None:
    reply, failure = NotificationKind.REPLY, dump_payload(ALERT)
    escalated = TriageRecord(opened=NOW - 600, steps=1).model_dump_json()
    assert not is_wanted(ESCALATION, reply, failure=failure, triage=escalated)
    assert is_wanted(ESCALATION.model_copy(update={"step": 1}), reply, failure=failure, triage=escalated)


def test_that_failures_have_ended_a_snooze_is_told_though_there_are_more_by_now() -> None:
    reply, failure = NotificationKind.REPLY, dump_payload(STORM.model_copy(update={"failed": NOW}))
    asleep = TriageRecord(state=TriageState.SNOOZED, opened=NOW - 600, more=1)
    wake = ReminderPayload(sort="wake", at=NOW - 60)
    assert is_wanted(wake, reply, failure=failure, triage=asleep.model_dump_json())
    later = asleep.model_copy(update={"more": 0, "until": NOW - 90})
    assert not is_wanted(wake, reply, failure=failure, triage=later.model_dump_json()), "it ended before that"
    acknowledged = asleep.model_copy(update={"state": TriageState.ACKNOWLEDGED, "more": 0})
    assert not is_wanted(wake, reply, failure=failure, triage=acknowledged.model_dump_json())


def test_a_storm_is_escalated_instead_of_its_members() -> None:
    reply, failure, storm = NotificationKind.REPLY, dump_payload(ALERT), dump_payload(STORM)
    assert not is_wanted(ESCALATION, reply, failure=failure, storm=storm)
    own = TriageRecord(at=NOW - 10, opened=NOW - 600).model_dump_json()
    assert is_wanted(ESCALATION, reply, failure=failure, storm=storm, triage=own), "worked on by itself since"


def test_a_catch_up_without_failures_says_nothing() -> None:
    assert not is_wanted(CatchUpPayload(since=1.0))
    assert is_wanted(CatchUpPayload(since=1.0, failures=(CatchUpLine(title="Cart", at=2.0),)))


@pytest.mark.parametrize(
    ("setting", "until", "wanted"),
    [
        (DAILY, NOW, True),
        (None, NOW, False),
        (DAILY.model_copy(update={"minute": 600}), NOW, False),
        (DAILY.model_copy(update={"zone": "Europe/Berlin"}), NOW, False),
        (DAILY, NOW - 90_000, False),
    ],
)
def test_a_digest_is_wanted_as_long_as_the_channel_has_that_one(
    setting: DigestSchedule | None, until: float, wanted: bool
) -> None:
    body = DigestPayload(rhythm=format_schedule(DAILY), until=until)
    kept = DigestSetting(channel="C1", rhythm=setting) if setting else None
    assert is_wanted(body, digest=kept) is wanted


def test_of_an_unknown_version_it_is_wanted_and_so_is_everything_else() -> None:
    assert is_wanted({"card": "hologram"})
    assert is_wanted(other_payloads.NotePayload(said="hello"))


@pytest.mark.parametrize("kind", list(NotificationKind))
def test_an_alert_is_wanted_without_being_parsed_unless_it_recovered_unposted(kind: NotificationKind) -> None:
    unreadable = {"card": "run", "run": "not a run"}
    assert is_wanted(unreadable, kind)
    assert is_wanted({}, kind, failure=unreadable)
    unposted = dump_payload(ALERT.model_copy(update={"unposted": True}))
    assert is_wanted({}, kind, failure=unposted) is (kind is not NotificationKind.ROOT)


def test_what_this_version_cannot_read_or_does_not_judge_is_sent() -> None:
    assert is_wanted(dump_payload(ESCALATION) | {"at": "of a later version"}, NotificationKind.REPLY)
    assert is_wanted(dump_payload(other_payloads.NotePayload(said="hello")) | {"unposted": True})

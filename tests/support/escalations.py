"""Which escalations of the alerting rules are sent, given what people do meanwhile; without Redis."""

from __future__ import annotations

from tests.support.rules import NOON, RuleBench
from zofbot.alerting.state import failure_hash, triage_hash
from zofbot.notifications import payloads
from zofbot.notifications.notification import NotificationKind
from zofbot.notifications.payloads import FailurePayload
from zofbot.notifications.thread_payloads import ReminderPayload
from zofbot.subscriptions import RunFinding
from zofbot.triage import Action, ActionRequest, Actor, TriageRecord, apply_action, effective_record

MINUTE = 60.0
WHO = Actor(id="U9", name="ana")


def latest_message(bench: RuleBench) -> str:
    """Return the key of the last message: of the one alert or cause, or of the storm."""
    return bench.notifications_of(NotificationKind.ROOT)[-1].key


def shown(bench: RuleBench, key: str) -> FailurePayload:
    body = payloads.load_payload_json(bench.memory.hashes[failure_hash(key)]["body"])
    assert isinstance(body, FailurePayload)
    return body


def record_of(bench: RuleBench, key: str, at: float) -> TriageRecord:
    stored = TriageRecord.model_validate_json(bench.memory.hashes.get(triage_hash("C1"), {}).get(key, "{}"))
    return effective_record(stored, shown(bench, key).test_facts, at)


def act(bench: RuleBench, key: str, action: Action, at: float, more: int = 0) -> None:
    """Do what a person would do."""
    body = shown(bench, key)
    request = ActionRequest(act=action, who=WHO, at=at, more=more)
    done = apply_action(record_of(bench, key, at), request, body.test_facts, body.policy)
    bench.memory = bench.memory.with_changes({triage_hash("C1"): {key: done.model_dump_json()}})


def sent_escalations(bench: RuleBench, key: str, *findings: RunFinding, until: float) -> list[float]:
    """Return the minutes after noon at which somebody is escalated to while runs fail, each read as it ends."""
    done: set[str] = set()
    sent = []
    for at in sorted(
        {*(NOON + number * MINUTE for number in range(int(until))), *(each.happened for each in findings)}
    ):
        bench.process_findings(*(each for each in findings if each.happened == at))
        due = [note for note in bench.notifications.values() if note.root == key and note.not_before <= at]
        for note in due:
            if note.body.get("sort") == "escalate" and note.key not in done:
                done.add(note.key)
                if ReminderPayload.model_validate(note.body).is_still_wanted(record_of(bench, key, at)):
                    sent.append((at - NOON) / MINUTE)
    return sent


def reply_mentions(bench: RuleBench, key: str) -> list[tuple[str, list[str]]]:
    """Return the replies in a thread that mention somebody, other than escalations."""
    replies = [note for note in bench.notifications_of(NotificationKind.REPLY) if "sort" not in note.body]
    return [(note.key, note.body["mention"]) for note in replies if note.root == key and note.body.get("mention")]

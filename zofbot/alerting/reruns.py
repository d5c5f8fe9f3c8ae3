"""Report, once, in a failure's thread how a re-run started from there ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from zofbot.alerting.state import RERUN_FIELD, DecisionBuilder, failure_hash, rerun_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.domain.model import Outcome
from zofbot.notifications import payload_parts, payloads
from zofbot.notifications.idempotency import edit_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.payload_parts import RunSummary
from zofbot.notifications.thread_payloads import RecoveryPayload, RerunResultPayload
from zofbot.subscriptions import RunFinding
from zofbot.subscriptions.events import case_key

MAX_NAMED_CASES = 50
"""Passed and absent cases named, of each."""


def report_rerun(draft: DecisionBuilder, finding: RunFinding) -> None:
    """Add a reply that names the passed, failed and absent cases of a re-run, and offers to run them again.

    If this run recovers the failure, the recovery reply names the cases instead.
    """
    name = rerun_hash(finding.run.id)
    rerun = draft.read_hash(name)
    root = rerun.get("root")
    if not root or not finding.has_ended:
        return
    cases = parse_stored("re-run", rerun.get("cases", "[]"), _parse_cases, [])
    draft.delete_fields(name, ["root", "cases"])
    draft.delete_fields(failure_hash(root), [RERUN_FIELD])
    if edit_key(root) not in draft.notifications:
        draft.add_notifications(refresh_card(root, draft.clamp_to_now(finding.happened)))
    passed = _stored_titles(title for case, title in cases if case in finding.passed)
    recovered = [
        item
        for item in draft.notifications.values()
        if item.root == root and payloads.holds_payload(item.body, RecoveryPayload)
    ]
    if recovered:
        draft.add_notifications(
            *(item.model_copy(update={"body": item.body | {"cases": list(passed)}}) for item in recovered)
        )
        return
    draft.add_notifications(_build_result_reply(draft, finding, root, cases, passed))


def _parse_cases(stored: str) -> list[tuple[str, str]]:
    return [(str(case), str(title)) for case, title in json.loads(stored)]


def _build_result_reply(
    draft: DecisionBuilder,
    finding: RunFinding,
    root: str,
    cases: Sequence[tuple[str, str]],
    passed: tuple[str, ...],
) -> Notification:
    """Build the reply that names the cases that failed again, those that ``passed``, and those without an outcome."""
    outcome = finding.outcome if finding.outcome.is_final else Outcome.UNKNOWN
    failed, _ = payload_parts.collect_titles(finding.failures)
    known = {*map(case_key, finding.failures), *finding.passed}
    absent = _stored_titles(title for case, title in cases if case not in known)
    body = RerunResultPayload(
        run=RunSummary.from_run(finding.run, outcome), bad=finding.total, failed=failed, passed=passed, absent=absent
    )
    return Notification(
        key=f"rerun-ended:{finding.run.id}:{root}",
        kind=NotificationKind.REPLY,
        channel=root.rpartition(":")[2],
        body=payloads.dump_payload(body),
        root=root,
        happened=draft.clamp_to_now(finding.happened),
        schema=NOTIFICATION_SCHEMA,
    )


def refresh_card(root: str, at: float) -> Notification:
    """Build the edit that updates the buttons on the card with the key ``root``, as of ``at`` (Unix seconds)."""
    channel = root.rpartition(":")[2]
    return Notification(
        key=edit_key(root),
        kind=NotificationKind.EDIT,
        channel=channel,
        root=root,
        happened=at,
        schema=NOTIFICATION_SCHEMA,
    )


def _stored_titles(titles: Iterable[str]) -> tuple[str, ...]:
    """Clean titles for storage, at most ``MAX_NAMED_CASES``."""
    return tuple(payload_parts.clean_text(title, 100) for title in titles)[:MAX_NAMED_CASES]

"""Shift reports of a channel, from its stored failures and the audit log."""

from __future__ import annotations

from collections.abc import Iterable

from zofbot.services.failures import Failure
from zofbot.services.triage import without_storm_members
from zofbot.store.audit import REFUSED_ACTION, AuditRecord
from zofbot.triage.shift_report import ActionRecord, FailureSummary, ShiftReport, build_shift_report


def shift_report_for(
    failures: Iterable[Failure], acts: Iterable[AuditRecord], channel: str, since: float
) -> ShiftReport:
    """Summarize a channel's shift ``since`` (Unix seconds), given the failures and audit records of all channels.

    A storm counts as one failure.
    """
    summaries = [
        FailureSummary(member.key, member.title, member.body.opened or member.present.opened, member.present)
        for member in without_storm_members(failures)
        if member.channel == channel
    ]
    actions = [
        ActionRecord(act.key, act.act, act.name or act.user, act.at, act.user)
        for act in acts
        if act.channel == channel and act.act != REFUSED_ACTION
    ]
    return build_shift_report(summaries, actions, since)

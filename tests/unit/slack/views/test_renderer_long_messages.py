"""Messages with more text than Slack takes: as many rows as fit are shown, and the others are counted."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest

from zofbot.domain.extra_fields import FieldType
from zofbot.domain.model import Outcome
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus, CaseAlertPayload, RunAlertPayload
from zofbot.notifications.catch_up_payload import CatchUpLine, CatchUpPayload
from zofbot.notifications.digest_payload import CaseCount, DigestPayload
from zofbot.notifications.extra_summaries import ExtraSummary
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.notifications.other_payloads import AlertTestPayload, NotePayload, PlatformEventPayload
from zofbot.notifications.payload_parts import CaseSummary, CauseSummary, RunSummary
from zofbot.notifications.payloads import Payload
from zofbot.notifications.storm_payloads import StormMember, StormMembersPayload, StormPayload
from zofbot.notifications.thread_payloads import (
    ActionPayload,
    CauseReplyPayload,
    FailingAgainPayload,
    FlappingPayload,
    MoreFailuresPayload,
    RecoveryPayload,
    ReminderPayload,
    RerunResultPayload,
    ResultPayload,
)
from zofbot.simulator.blockkit.blocks import count_text, find_problems
from zofbot.slack.views.blocks import (
    MAX_MESSAGE_TEXT_CHARS,
    Block,
    Message,
    context_block,
    header_block,
    preformatted_block,
    section_block,
)
from zofbot.slack.views.renderer import render_notification
from zofbot.triage import Action, TriageState

NOW = 1_780_301_700.0
LONG = "checkout & payment <v2> " * 30
"""Longer than any field, with characters that take more room once they are escaped."""
LINK = "https://app.zof.ai/" + "x" * 470
PEOPLE = tuple(f"U{number:08}" for number in range(300))
RUN = RunSummary(id=LONG, title=LONG, project=LONG, environment=LONG, url=LINK, ended=NOW, duration=1e7)
EXTRAS = tuple(
    ExtraSummary(label=f"{number} {LONG}", type=kind, values=(LONG, LINK)) for number in range(5) for kind in FieldType
)
CASE = CaseSummary(id="res_1", title=LONG, outcome=Outcome.FAILED, why=LONG * 4, url=LINK, extras=EXTRAS)
TITLES = tuple(f"{number} {LONG}" for number in range(150))
CAUSES = tuple(CauseSummary(signature="s1-1", count=9, example=CASE) for _ in range(10))
COUNTED = tuple(CaseCount(title=LONG, where=LONG, why=LONG, times=9, of=9, seconds=9.0) for _ in range(20))
ROOT: dict[str, Any] = {"run": RUN, "mention": PEOPLE, "standing": AlertStatus.AGAIN, "turned": NOW, "turner": LONG}
MEMBER = StormMember(key="run:r:failed:C1", id=LONG, title=LONG, project=LONG, environment=LONG, url=LINK, count=9)


def held_failures(*counts: tuple[TriageState, int], title: str = "Guest checkout keeps the cart") -> CatchUpPayload:
    lines = tuple(
        CatchUpLine(
            title=f"{title} {number}", where="checkout · staging", at=NOW - 9000, state=state, since=NOW, owner="Ana"
        )
        for state, count in counts
        for number in range(count)
    )
    return CatchUpPayload(since=NOW - 9999, muted=LONG, failures=lines)


RUN_ALERT = RunAlertPayload(**ROOT, bad=99, top=(CASE,) * 3, causes=CAUSES, all_causes=10, grouped=99, extras=EXTRAS)
LARGEST: tuple[Payload, ...] = (
    RUN_ALERT,
    CaseAlertPayload(**ROOT, case=CASE, case_id=LONG, count=9, first=NOW, last=NOW, extras=EXTRAS),
    ResultPayload(case=CASE, run_id="run_1", mention=PEOPLE),
    CauseReplyPayload(case=CASE, run_id="run_1", titles=TITLES, count=999, unlisted=9, project=LONG, environment=LONG),
    MoreFailuresPayload(run=RUN, titles=TITLES, count=999, unlisted=99),
    FailingAgainPayload(run=RUN, mention=PEOPLE),
    FlappingPayload(title=LONG, run=RUN, times=99),
    RecoveryPayload(title=LONG, run=RUN, after=9.0, cases=TITLES),
    StormPayload(
        since=NOW, last=NOW, alerts=99, failures=99, members=99, open=99, mention=PEOPLE, run=RUN, failed=NOW,
        places=tuple((f"{number} {LONG}", LONG, 9) for number in range(99)), causes=CAUSES,
    ),
    StormPayload(
        since=NOW, last=NOW, alerts=99, failures=99, members=99, open=99, mention=PEOPLE, run=RUN, failed=NOW,
        places=tuple((f"{number} {LONG}", LONG, 9) for number in range(99)), causes=CAUSES, by_cause=True,
    ),
    StormMembersPayload(first=1, members=(MEMBER,) * 25),
    ReminderPayload(sort="escalate", at=NOW, mention=PEOPLE),
    ActionPayload(act=Action.RESOLVE, who=LONG, owner=LONG, note=LONG, title=LONG, run_id="run_1", undone_by=LONG),
    RerunResultPayload(run=RUN, bad=999, failed=TITLES, passed=TITLES, absent=TITLES),
    PlatformEventPayload(event="gate", about=LONG, said=LONG, run_id="run_1", project=LONG, mention=PEOPLE),
    DigestPayload(
        runs=9, passed=8, failed=1, until=NOW, trouble=LONG, causes=COUNTED, failing=COUNTED, flaky=COUNTED,
        slowest=COUNTED,
    ),
    held_failures(*((state, 500) for state in TriageState), title=LONG),
    NotePayload(said=LONG),
    AlertTestPayload(alert=payloads.dump_payload(RUN_ALERT), by=LONG),
)  # fmt: skip


def render(body: Payload) -> Message:
    note = Notification(
        key="run:run_1:failed:C1",
        kind=NotificationKind.REPLY,
        channel="C1",
        body=payloads.dump_payload(body),
        happened=NOW - 9999,
    )
    return render_notification(Claim(note, 1, NOW, details_follow=True), NOW)


def accepted_text(message: Message) -> str:
    """Return the whole message as text, after making sure that Slack would take it."""
    payload = message.message_fields()
    assert not find_problems(payload, "message")
    assert count_text(payload) <= MAX_MESSAGE_TEXT_CHARS
    return json.dumps(payload, ensure_ascii=False)


@pytest.mark.parametrize("body", LARGEST, ids=lambda body: type(body).__name__)
def test_the_largest_payload_of_each_kind_makes_a_message_that_slack_takes(body: Payload) -> None:
    message = render(body)
    assert len(accepted_text(message)) > 100
    accepted_text(message.plain_version())


def test_no_kind_of_payload_is_missing_above() -> None:
    assert {type(body) for body in LARGEST} == set(get_args(Payload))


def count_rows(message: Message, title: str = "Guest checkout") -> int:
    return accepted_text(message).count(f"*{title}")


def test_a_catch_up_of_ninety_shows_as_many_as_fit_and_counts_the_others() -> None:
    message = render(held_failures((TriageState.OPEN, 45), (TriageState.RECOVERED, 30), (TriageState.RESOLVED, 15)))
    said, rows = accepted_text(message), count_rows(message)
    assert 40 < rows < 90
    assert sum(map(int, re.findall(r"and (\d+) more", said))) == 90 - rows
    assert "more; `/zof triage` lists them" in said
    assert count_text(message.message_fields()) > MAX_MESSAGE_TEXT_CHARS - 1500
    assert "Held back" in said


def test_what_recovered_meanwhile_is_listed_before_the_last_of_what_is_open() -> None:
    """Open failures get messages of their own, but a recovered one is shown in the catch-up only."""
    said = accepted_text(render(held_failures((TriageState.OPEN, 30), (TriageState.RECOVERED, 30))))
    assert said.count("✅") == 30
    assert 5 < said.count("❌") < 30
    assert said.index("*Still open*") < said.index("*Recovered*")


def test_what_is_open_is_listed_even_if_very_much_recovered() -> None:
    said = accepted_text(render(held_failures((TriageState.OPEN, 5), (TriageState.RECOVERED, 300))))
    assert said.count("❌") == 5
    assert "more; `/zof causes` shows their causes" in said


def test_a_catch_up_that_fits_lists_all() -> None:
    message = render(held_failures((TriageState.OPEN, 20), (TriageState.RECOVERED, 15)))
    assert count_rows(message) == 35
    assert " more" not in accepted_text(message)


def test_a_page_of_a_storm_names_all_its_members_if_need_be_without_links() -> None:
    members = tuple(
        StormMember(key=f"run:run_{number}:failed:C1", id=f"run_{number}", title=f"Suite {number}", url=LINK)
        for number in range(25)
    )
    said = accepted_text(render(StormMembersPayload(first=1, members=members)))
    assert all(f"Suite {number}*" in said for number in range(25))


def test_each_list_of_a_rerun_has_its_share_of_the_room() -> None:
    failed, passed, absent = (tuple(f"{word} {n} " + "x" * 80 for n in range(90)) for word in ("bad", "good", "none"))
    said = accepted_text(render(RerunResultPayload(run=RUN, bad=90, failed=failed, passed=passed, absent=absent)))
    for word in ("bad", "good", "none"):
        assert 20 < said.count(f"• {word} ") < 90
        assert f"and {90 - said.count(f'• {word} ')} more; see the run in Zof" in said
    alone = accepted_text(render(RerunResultPayload(run=RUN, bad=90, failed=failed)))
    assert alone.count("• bad ") > 80


# --- what no view expected


def lines_of(word: str, count: int) -> str:
    return "\n".join(f"{word} {number} {'x' * 80}" for number in range(count))


def test_a_message_that_is_too_long_keeps_title_and_footer_and_counts_the_lines_it_leaves_out() -> None:
    rows = [section_block(lines_of(f"part {part}", 30)) for part in range(5)]
    message = Message("Long", [header_block("Long"), *rows[:3]], "#000000", [*rows[3:], context_block("the end")])
    said = accepted_text(message)
    kept = said.count("part ")
    assert kept > 100
    assert said.count("part 2") == 30
    assert f"and {150 - kept} more lines, too long for one message" in said
    assert '"Long"' in said
    assert "the end" in said
    assert count_text(message.message_fields()) > MAX_MESSAGE_TEXT_CHARS - 200


@pytest.mark.parametrize(
    "block",
    [preformatted_block("x" * 3000), context_block("y" * 2000), section_block("z" * 3000), section_block("a\n" * 1500)],
    ids=["preformatted", "context", "line", "lines"],
)
def test_fifty_blocks_of_any_kind_are_cut_to_what_slack_takes(block: Block) -> None:
    said = accepted_text(Message("Long", [block] * 25, "#000000", [block] * 25))
    assert "more line" in said


def test_a_message_that_fits_is_sent_as_it_is() -> None:
    blocks = [section_block("x" * 2500)] * 4
    assert Message("Full", blocks).message_fields()["blocks"] == blocks

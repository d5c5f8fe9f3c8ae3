"""Alerts: every body makes a message that Slack takes, complete, escaped, and honest about being late."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.model import CaseCounts, Outcome, Result, Run
from zofbot.notifications import payload_parts, payloads
from zofbot.notifications.alert_payloads import AlertStatus, CaseAlertPayload, RunAlertPayload
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.notifications.other_payloads import PlatformEventPayload
from zofbot.notifications.payload_parts import CaseSummary, CauseSummary, Owner, RunSummary
from zofbot.notifications.payloads import Payload
from zofbot.notifications.storm_payloads import StormMember, StormMembersPayload, StormPayload
from zofbot.notifications.thread_payloads import (
    CauseReplyPayload,
    FailingAgainPayload,
    MoreFailuresPayload,
    RecoveryPayload,
    ResultPayload,
)
from zofbot.simulator.blockkit.blocks import count_text, find_problems
from zofbot.simulator.blockkit.mentions import find_unescaped
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.blocks import MAX_MESSAGE_TEXT_CHARS
from zofbot.slack.views.renderer import render_notification

NOW = 1_780_301_700.0
LINKS = ZofLinks("https://app.zof.ai/runs/{run_id}", "https://app.zof.ai/results/{result_id}", ("zof.ai",))
PEOPLE = ("U1", "W22", "S9")

WORDS = st.text(max_size=60).filter(lambda word: "None" not in word) | st.sampled_from(
    [
        "",
        " ",
        "\u200b",
        "<!channel>",
        "&" * 3000,
        "x" * 5000,
        "```\n<@U7>",
        "a\nb",
        "\u202eabc",
        "<https://evil|good>",
        "*_~`",
    ]
)
TIMES = st.floats(0, 4e9)
OUTCOMES = st.sampled_from(Outcome)
NUMBERS = st.none() | st.integers(0, 10_000)
COUNTS = dict.fromkeys(("total", "passed", "failed", "error", "skipped"), NUMBERS)
PLACES = st.builds(
    RunSummary, id=WORDS, title=WORDS, outcome=OUTCOMES, project=WORDS, environment=WORDS, **COUNTS,
    ended=st.none() | TIMES, started=st.none() | TIMES, duration=st.none() | st.floats(0, 1e7), url=WORDS,
)  # fmt: skip
CASES = st.builds(CaseSummary, id=WORDS, title=WORDS, outcome=OUTCOMES, why=WORDS, url=WORDS)
ROOT: dict[str, Any] = {
    "run": PLACES, "standing": st.sampled_from(AlertStatus), "turned": st.none() | TIMES, "turner": WORDS,
    "mention": st.lists(st.sampled_from(PEOPLE), unique=True).map(tuple),
}  # fmt: skip
SEVERAL = st.integers(0, 10_000)
MEMBERS = st.builds(
    StormMember, key=WORDS, id=WORDS, title=WORDS, project=WORDS, environment=WORDS, url=WORDS, count=SEVERAL,
    standing=st.sampled_from(AlertStatus), followed=st.booleans(), cases=SEVERAL,
)  # fmt: skip
CAUSES = st.lists(st.builds(CauseSummary, signature=st.just("s1-1"), count=SEVERAL, example=CASES), max_size=10)
BODIES = st.one_of(
    st.builds(
        RunAlertPayload,
        **ROOT,
        bad=SEVERAL,
        top=st.lists(CASES, max_size=3).map(tuple),
        causes=CAUSES.map(tuple),
        all_causes=st.integers(0, 12),
        grouped=SEVERAL,
    ),
    st.builds(
        CauseReplyPayload,
        case=CASES,
        run_id=WORDS,
        titles=st.lists(WORDS, max_size=99).map(tuple),
        count=SEVERAL,
        unlisted=SEVERAL,
        again=st.booleans(),
    ),
    st.builds(CaseAlertPayload, **ROOT, case=CASES, case_id=WORDS, count=SEVERAL, first=TIMES, last=TIMES),
    st.builds(ResultPayload, case=CASES, run_id=WORDS, broadcast=st.booleans()),
    st.builds(
        MoreFailuresPayload, run=PLACES, titles=st.lists(WORDS, max_size=99).map(tuple), count=SEVERAL, unlisted=SEVERAL
    ),
    st.builds(FailingAgainPayload, run=PLACES),
    st.builds(RecoveryPayload, title=WORDS, run=PLACES, after=TIMES),
    st.builds(
        StormPayload,
        since=TIMES,
        last=TIMES,
        alerts=SEVERAL,
        failures=SEVERAL,
        elsewhere=SEVERAL,
        closed=st.booleans(),
        places=st.lists(st.tuples(WORDS, WORDS, SEVERAL), max_size=30).map(tuple),
        mention=ROOT["mention"],
        run=PLACES,
        standing=ROOT["standing"],
        members=SEVERAL,
        open=SEVERAL,
        unmentioned=SEVERAL,
        failed=TIMES,
        by_cause=st.booleans(),
        causes=CAUSES.map(tuple),
        uncaused=SEVERAL,
    ),
    st.builds(
        StormMembersPayload, first=st.integers(1, 10_000), members=st.lists(MEMBERS, min_size=1, max_size=25).map(tuple)
    ),
    st.builds(
        PlatformEventPayload, event=WORDS, about=WORDS, said=WORDS, run_id=WORDS, project=WORDS, mention=ROOT["mention"]
    ),
)


def make_claim(
    body: Payload, kind: NotificationKind = NotificationKind.ROOT, happened: float = NOW, **more: Any
) -> Claim:
    committed = more.pop("committed", happened)
    stored = json.loads(json.dumps(payloads.dump_payload(body)))
    note = Notification(key="run:run_1:failed:C1", kind=kind, channel="C1", body=stored, happened=happened, **more)
    return Claim(note, 1, committed)


def render_accepted(claim: Claim, now: float = NOW, links: ZofLinks = LINKS) -> str:
    """All of the message as text, after making sure that Slack would take it."""
    message = render_notification(claim, now, links)
    for payload in (message.message_fields(), message.plain_version().message_fields()):
        assert not find_problems(payload, "message")
        assert count_text(payload) <= MAX_MESSAGE_TEXT_CHARS
        assert not find_unescaped(payload, PEOPLE)
        assert payload["text"].strip()
        for mention in ("<@", "<!subteam"):
            assert mention not in json.dumps(payload["attachments"])
    return json.dumps(message.message_fields(), ensure_ascii=False)


@given(BODIES, st.sampled_from(NotificationKind), TIMES, TIMES, st.sampled_from([LINKS, ZofLinks()]))
def test_any_body_makes_a_message_that_slack_takes(
    body: Payload, kind: NotificationKind, happened: float, now: float, links: ZofLinks
) -> None:
    said = render_accepted(make_claim(body, kind, happened), now, links)
    assert "None" not in said
    assert "<!channel>" not in said


@given(BODIES)
def test_a_body_survives_its_record(body: Payload) -> None:
    assert payloads.load_payload(json.loads(json.dumps(payloads.dump_payload(body)))) == body


def test_a_body_of_a_later_version_becomes_one_plain_line() -> None:
    note = Notification(
        key="x:1:failed:C1", kind=NotificationKind.ROOT, channel="C1", body={"card": "hologram"}, happened=NOW
    )
    assert "cannot show" in render_accepted(Claim(note, 1, NOW))
    assert "`x:1:failed:C1`" in render_accepted(Claim(note, 1, NOW))


def run_body(**more: Any) -> RunAlertPayload:
    at = datetime.fromtimestamp(NOW, UTC)
    run = Run(
        id="run_1", title="Nightly", project_name="checkout", environment="production", duration=102.0, ended=at,
        counts=CaseCounts(total=60, passed=7, failed=53),
    )  # fmt: skip
    place = RunSummary.from_run(run, more.pop("outcome", Outcome.FAILED))
    top = tuple(
        CaseSummary(id=f"res_{n}", title=f"case {n}", outcome=Outcome.FAILED, why="expected 3\nto be 4") for n in "123"
    )
    return RunAlertPayload(run=place, bad=53, top=top).model_copy(update=more)


def test_a_run_says_what_failed_where_and_how_much() -> None:
    said = render_accepted(make_claim(run_body()))
    for part in (
        "❌ Failed: Nightly (checkout, production)", "*53 failed · 7 passed of 60*", "1 min 42 s",
        "❌ *case 1*: expected 3\\n❌ *case 2*", "*case 3*: expected 3\\nand 50 more failures", "View run",
        "https://app.zof.ai/runs/run_1", "`run_1`", "finished {date_short_pretty}",
    ):  # fmt: skip
        assert part in said, part
    assert render_notification(make_claim(run_body()), NOW).text == (
        "Failed: Nightly (checkout, production) · 53 failed · 7 passed of 60"
    )
    for known in ("A test or the product failed", "Project", "Environment"):
        assert known not in said, known


def test_a_run_with_a_single_failure_offers_its_details() -> None:
    said = render_accepted(make_claim(run_body(bad=1, top=(case(1, "timeout"),))))
    assert '"text": "View details"' in said
    assert '{\\"id\\":\\"res_1\\"}' in said


def test_a_card_of_twelve_failures_is_low() -> None:
    """It was ten blocks of 22 lines, without the buttons, when each failure had a block and the facts were fields."""
    causes = tuple(CauseSummary(signature=f"s1-{n}", count=2, example=case(n, "timeout\nat x")) for n in range(6))
    body = run_body(bad=12, causes=causes, all_causes=6, grouped=12)
    payload = render_notification(make_claim(body), NOW, LINKS).message_fields()
    blocks = [*payload["blocks"], *payload["attachments"][0]["blocks"]]
    assert [block["type"] for block in blocks] == ["header", "section", "section", "actions", "context"]
    parts = [part for block in blocks for part in (block.get("text"), *block.get("elements", ())) if part]
    assert sum(part["text"].count("\n") + 1 for part in parts if isinstance(part.get("text"), str)) == 7


def test_failed_and_error_are_worded_differently() -> None:
    assert "The platform failed" in render_accepted(make_claim(run_body(outcome=Outcome.ERROR)))
    assert "⚠️ Error: Nightly" in render_accepted(make_claim(run_body(outcome=Outcome.ERROR)))
    assert "The platform failed" not in render_accepted(make_claim(run_body()))


def test_a_recovered_root_is_green_and_blames_nobody() -> None:
    body = run_body(standing=AlertStatus.RECOVERED, turned=NOW, turner="run_2")
    said = render_accepted(make_claim(body, NotificationKind.EDIT))
    assert "✅ Recovered: Nightly" in said
    assert "`run_2`" in said
    assert "The platform failed" not in render_accepted(
        make_claim(run_body(outcome=Outcome.ERROR, standing=AlertStatus.RECOVERED, turned=NOW), NotificationKind.EDIT)
    )
    assert render_notification(make_claim(body), NOW).color != render_notification(make_claim(run_body()), NOW).color


def test_a_root_that_fails_again_says_so() -> None:
    said = render_accepted(make_claim(run_body(standing=AlertStatus.AGAIN, turned=NOW, turner="run_2")))
    assert "❌ Failing again: Nightly" in said
    assert "🔁 Failing again<!date^1780301700^ {date_short_pretty}" in said


def test_people_are_mentioned_on_top_and_in_the_text() -> None:
    payload = render_notification(make_claim(run_body(mention=("U1", "S9"))), NOW).message_fields()
    assert payload["text"].startswith("<@U1> <!subteam^S9> Failed: Nightly")
    assert payload["blocks"][1]["text"]["text"] == "<@U1> <!subteam^S9>"
    assert "<@" not in json.dumps(payload["attachments"])


@pytest.mark.parametrize("standing", AlertStatus)
def test_an_alert_that_is_posted_again_after_its_deletion_mentions_nobody_and_says_why_it_is_there(
    standing: AlertStatus,
) -> None:
    owner = Owner(mention=("U1",), wish="group:run")
    causes = (CauseSummary(signature="s1-1", example=case(1, "timeout")),)
    bodies: list[Payload] = [
        run_body(mention=("U1",), standing=standing),
        run_body(mention=("U1",), owners=(owner,)),
        case_body(mention=("U1", "S9")),
        storm_body(mention=("U1",)),
        storm_body(mention=("U1",), by_cause=True, causes=causes),
    ]
    for body in bodies:
        said = render_accepted(make_claim(body, happened=NOW - 10_800, root="run:run_1:failed:C1", committed=NOW - 1))
        assert "<@" not in said
        assert "<!subteam" not in said
        assert "Posted again: the first message was deleted, or is too old to change." in said
        assert "Delivered late" not in said


def test_the_last_resort_mentions_them_too() -> None:
    plain = render_notification(make_claim(run_body(mention=("U1",))), NOW).plain_version().message_fields()
    assert plain["text"].startswith("<@U1> Failed: Nightly")
    assert not plain["blocks"]


def test_what_is_no_id_is_not_mentioned() -> None:
    payload = render_notification(make_claim(run_body(mention=("U1> <!channel",))), NOW).message_fields()
    assert "channel" not in json.dumps(payload)


def case_body(**more: Any) -> CaseAlertPayload:
    case = CaseSummary(id="res_1", title="Cart total", outcome=Outcome.FAILED, why="expected 3\nto be 4")
    body = CaseAlertPayload(run=run_body().run, case=case, case_id="tc_1", first=NOW, last=NOW)
    return body.model_copy(update=more)


def test_a_case_counts_its_failures() -> None:
    once = render_accepted(make_claim(case_body()))
    assert "*1 failure*" in once
    assert " since " not in once
    often = render_accepted(make_claim(case_body(count=7, first=NOW - 86400)))
    assert "*7 failures<!date^1780215300^ since {date_short_pretty}" in often
    assert "7 failures" in render_notification(make_claim(case_body(count=7)), NOW).text
    for part in (
        "❌ Failed: Cart total",
        "`tc_1`",
        "to be 4",
        "View details",
        "View run",
        "https://app.zof.ai/results/res_1",
    ):
        assert part in often, part


def test_a_result_stands_in_the_thread_with_its_failure_and_buttons() -> None:
    said = render_accepted(make_claim(ResultPayload(case=case_body().case, run_id="run_1"), NotificationKind.REPLY))
    for part in ("❌ *Failed: Cart total*", "expected 3\\nto be 4", "View details", "View run", "/results/res_1"):
        assert part in said, part


def test_the_rest_is_listed_by_title_and_counted() -> None:
    body = MoreFailuresPayload(run=run_body().run, titles=("Login", "Search (×3)"), count=990, unlisted=986)
    said = render_accepted(make_claim(body, NotificationKind.REPLY))
    for part in ("990 more failures in this run", "• Login", "• Search (×3)", "and 986 that are not listed here"):
        assert part in said, part


def test_a_list_longer_than_a_paragraph_is_shown_to_its_end() -> None:
    titles = tuple(f"{n:02} " + "x" * 90 for n in range(90))
    said = render_accepted(
        make_claim(MoreFailuresPayload(run=run_body().run, titles=titles, count=90), NotificationKind.REPLY)
    )
    assert all(title in said for title in titles)


def test_titles_are_listed_once_and_as_far_as_there_is_room() -> None:
    results = [Result(id=f"res_{n}", title=f"{n % 300:03} " + "x" * 90) for n in range(1000)]
    titles, listed = payload_parts.collect_titles(results)
    assert titles[0].endswith(" (×4)")
    assert 80 < len(titles) < 100
    assert listed == sum(4 if title.endswith("(×4)") else 3 for title in titles)


def test_a_recovery_says_after_how_long() -> None:
    said = render_accepted(
        make_claim(
            RecoveryPayload(title="Cart total", run=RunSummary(id="run_2"), after=7500.0), NotificationKind.REPLY
        )
    )
    assert "✅ Recovered after 2 h 5 min: Cart total" in said
    assert "Passed in `run_2`" in said


def storm_body(**more: Any) -> StormPayload:
    places = (("checkout", "staging", 90), ("", "", 30))
    body = StormPayload(since=NOW - 60, last=NOW, alerts=80, failures=125, places=places, elsewhere=5)
    return body.model_copy(update=more)


def test_a_storm_is_counted_by_project_and_environment_and_closes_itself() -> None:
    raging = render_accepted(make_claim(storm_body()), NOW + 59)
    for part in ("🌩️ Storm: 125 failures so far", "*checkout · staging*: 90", "*unknown location*: 30",
                 "and 5 elsewhere", "80 alerts summed up here"):  # fmt: skip
        assert part in raging, part
    assert "🌤️ Storm over: 125 failures in 1 min" in render_accepted(make_claim(storm_body()), NOW + 60)
    assert "Storm over" in render_accepted(make_claim(storm_body(closed=True)), NOW)


def test_a_storm_says_how_many_of_its_alerts_are_not_counted_but_have_messages_of_their_own() -> None:
    shown = render_accepted(make_claim(storm_body(members=82, open=82, cards=("run:1:C0QA", "run:2:C0QA"))))
    assert "80 alerts summed up here" in shown
    assert "2 more were posted before that, separately." in shown
    assert "1 more was posted before" in render_accepted(
        make_claim(storm_body(members=81, open=81, cards=("run:1:C0QA",)))
    )
    assert "posted before" not in render_accepted(make_claim(storm_body(members=80, open=80)))


def test_a_storm_from_before_its_members_were_kept_has_no_controls() -> None:
    assert "zof_triage" not in render_accepted(make_claim(storm_body()))
    assert "zof_triage_acknowledge" in render_accepted(make_claim(storm_body(members=100, open=90)))
    assert "*90 of 100 alerts still open*" in render_accepted(make_claim(storm_body(members=100, open=90)))


def test_the_list_of_a_storm_says_how_each_stands() -> None:
    members = tuple(
        StormMember(
            key=f"run:run_{n}:failed:C1", id=f"run_{n}", title=f"Suite {n}", project="checkout", standing=how, count=n
        )
        for n, how in enumerate(AlertStatus, start=1)
    )
    said = render_accepted(make_claim(StormMembersPayload(first=26, members=members), NotificationKind.REPLY))
    for part in ("Alerts 26 to 28 of this storm", "|Suite 1>* · checkout · `run_1`", "failed 2 times · recovered",
                 "failed 3 times · failing again"):  # fmt: skip
        assert part in said, part
    assert "no longer tracked" not in said
    dropped = StormMembersPayload(members=(members[0].model_copy(update={"dropped": True}),))
    assert "`run_1` · no longer tracked" in render_accepted(make_claim(dropped, NotificationKind.REPLY))


@pytest.mark.parametrize(
    ("event", "words"),
    [("gate", "Release gate blocked"), ("agent", "Agent offline"), ("integration", "Integration error"),
     ("plan", "Remediation plan needs"), ("later", "Event in Zof")],
)  # fmt: skip
def test_a_notice_says_what_happened(event: str, words: str) -> None:
    body = PlatformEventPayload(event=event, about="agent_7", said="no heartbeat", run_id="run_1", project="checkout")
    said = render_accepted(make_claim(body))
    for part in (words, "checkout", "no heartbeat", "`agent_7`", "View run"):
        assert part in said, part


def test_a_message_in_time_says_nothing_of_being_late() -> None:
    assert "Delivered late" not in render_accepted(make_claim(run_body(), happened=NOW - 500))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"committed": NOW - 5}, "zofbot learned about it 5 s ago"),
        ({"committed": NOW - 10_700}, "Slack didn't accept it earlier"),
        ({"committed": NOW - 10_700, "not_before": NOW - 5}, "held by quiet hours or a mute"),
    ],
)
def test_a_late_message_says_when_it_happened_and_why_it_is_late(more: dict[str, Any], why: str) -> None:
    said = render_accepted(make_claim(run_body(), happened=NOW - 10_800, **more))
    assert "happened 3 h ago (<!date^1780290900^" in said
    assert why in said


def case(number: int, why: str) -> CaseSummary:
    return CaseSummary(id=f"res_{number}", title=f"case {number}", outcome=Outcome.FAILED, why=why, signature="s1-1")


def test_a_run_names_its_causes_worst_first() -> None:
    causes = (
        CauseSummary(signature="s1-1", count=50, example=case(4, "timeout")),
        CauseSummary(signature="s1-2", example=case(5, "refused")),
        CauseSummary(count=2, example=case(6, "")),
    )
    said = render_accepted(make_claim(run_body(causes=causes, all_causes=2, grouped=53)))
    parts = (
        "*53 failed · 7 passed of 60 · 2 causes*",
        "*50×* timeout · for example *case 4*",
        "*case 5*",
        "*2×* without a failure text",
    )
    assert [said.index(part) for part in parts] == sorted(said.index(part) for part in parts)
    assert "more failure" not in said


def test_a_run_with_one_cause_says_so_in_one_line() -> None:
    one = (CauseSummary(signature="s1-1", count=50, example=case(1, "expected 3")),)
    said = render_accepted(make_claim(run_body(causes=one, all_causes=1, grouped=50)))
    for part in (
        "*53 failed · 7 passed of 60 · 1 cause among the 50 that zofbot has read*",
        "*case 1*",
        "and 50 more failures",
    ):
        assert part in said, part
    alone = run_body(bad=1, causes=(one[0].model_copy(update={"count": 1}),), all_causes=1, grouped=1)
    assert "cause" not in render_accepted(make_claim(alone))


def test_a_storm_names_its_causes_and_says_if_one_explains_it() -> None:
    cause = CauseSummary(signature="s1-1", count=30, example=case(1, "timeout"))
    other = CauseSummary(signature="s1-2", count=2, example=case(2, "refused"))
    storm = StormPayload(since=NOW, last=NOW, alerts=30, failures=30, members=30, open=30, causes=(cause,))
    assert "*One cause explains it:* *30×* timeout" in render_accepted(make_claim(storm))
    said = render_accepted(make_claim(storm.model_copy(update={"causes": (cause, other), "uncaused": 5})))
    for part in ("*Causes*", "*30×* timeout", "*2×* refused", "and 5 failures of other causes"):
        assert part in said, part
    assert "explains" not in said


def test_an_edit_is_never_late() -> None:
    assert "Delivered late" not in render_accepted(make_claim(run_body(), NotificationKind.EDIT, happened=NOW - 10_800))


def test_secrets_are_not_even_stored() -> None:
    secret = "xoxb-" + "1234567890-abcdefghij"
    result = Result(
        id="res_1", title=f"token {secret}", failure=f"password={secret}", url=f"https://zof.ai/?k={secret}"
    )
    run = Run(id="run_1", title=secret, project_name=secret, url=f"https://zof.ai/?k={secret}")
    body = RunAlertPayload(run=RunSummary.from_run(run, Outcome.FAILED), bad=1, top=(CaseSummary.from_result(result),))
    assert secret not in json.dumps(payloads.dump_payload(body))
    assert secret not in json.dumps(payload_parts.collect_titles([result]))

"""What a failure is by the earlier outcomes of its case: new, known or flaky; and how subscriptions ask for it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zofbot.domain.errors import BadInput
from zofbot.subscriptions import EventType, Subscription, format_filters, parse_filters
from zofbot.subscriptions.case_history import MAX_OUTCOMES, CaseHistory, CaseOutcome, CasePast, CaseStanding

NEW, KNOWN, FLAKY = CaseStanding
HOUR = 3600


def history_of(letters: str) -> CaseHistory:
    """An outcome an hour, from run_0 at 0 on."""
    history = CaseHistory()
    for number, letter in enumerate(letters):
        history = history.with_outcome(CaseOutcome(number * HOUR, f"run_{number}", letter))
    return history


def past_after(letters: str) -> CasePast:
    return history_of(letters).past_of("run_now", len(letters) * HOUR)


@pytest.mark.parametrize(
    ("letters", "standing"),
    [("", NEW), ("p", NEW), ("fp", NEW), ("f", KNOWN), ("pf", KNOWN), ("fpf", KNOWN), ("fpfp", FLAKY), ("fpfpf", FLAKY),
     ("fpfpff", KNOWN), ("r", NEW), ("rr", FLAKY), ("fpr", FLAKY), ("fr", NEW), ("ppppppp", NEW)],
)  # fmt: skip
def test_a_failure_after_these_outcomes_is(letters: str, standing: CaseStanding) -> None:
    assert past_after(letters).standing is standing


def test_the_past_says_what_the_card_says() -> None:
    assert past_after("pp") == CasePast(
        standing=NEW, passed_run="run_1", passed_at=HOUR, row=1, since=2 * HOUR, failed=1, seen=3
    )
    row = past_after("p" + "f" * 13)
    assert (row.row, row.since) == (14, HOUR)
    flaky = past_after("p" * 24 + "fprfr")
    assert (flaky.standing, flaky.failed, flaky.seen, flaky.retried) == (FLAKY, 3, 30, 2)


@settings(max_examples=40, deadline=None)
@given(st.text("fpr", max_size=MAX_OUTCOMES), st.randoms(use_true_random=False))
def test_the_order_of_reading_and_repeats_do_not_matter(letters: str, random: object) -> None:
    outcomes = list(history_of(letters).outcomes)
    shuffled = CaseHistory()
    for outcome in [*sorted(outcomes, key=lambda item: hash((item.at, str(random)))), *outcomes[:5]]:
        shuffled = shuffled.with_outcome(outcome)
    assert shuffled == history_of(letters)
    assert CaseHistory.load(shuffled.dump()) == shuffled
    assert len(shuffled.outcomes) <= MAX_OUTCOMES


def test_a_row_of_failures_is_counted_beyond_the_outcomes_that_are_kept() -> None:
    history = history_of("p" + "f" * 100)
    past = CaseHistory.load(history.dump()).past_of("run_now", 101 * HOUR)
    assert (past.row, past.since, past.seen) == (101, HOUR, MAX_OUTCOMES)
    assert history.with_outcome(CaseOutcome(HOUR, "run_1", "f")) == history
    passed = history.with_outcome(CaseOutcome(101 * HOUR, "run_101", "p"))
    assert passed.past_of("run_now", 102 * HOUR).row == 1


def test_a_failure_read_later_replaces_a_pass_in_the_same_run() -> None:
    assert history_of("p").with_outcome(CaseOutcome(0, "run_0", "f")) == history_of("f")
    assert history_of("f").with_outcome(CaseOutcome(0, "run_0", "p")) == history_of("f")


def test_what_a_later_version_stores_is_left_out() -> None:
    stored = "x12:run_1 f12:run_2 q p: f-1:run_3 ftwo:run_4"
    assert CaseHistory.load(stored).outcomes == (CaseOutcome(12, "run_2", "f"),)


@pytest.mark.parametrize(
    ("typed", "on", "standings", "written"),
    [
        ("on:new", Subscription().on, (NEW,), "on:new"),
        ("on:flaky", Subscription().on, (FLAKY,), "on:flaky"),
        ("-on:known", Subscription().on, (NEW, FLAKY), "on:new,flaky"),
        ("on:-known,-flaky", Subscription().on, (NEW,), "on:new"),
        ("on:failed -on:flaky", (EventType.FAILED,), (NEW, KNOWN), "on:failed,new,known"),
        ("on:new,recovered", Subscription().on, (NEW,), "on:new"),
        ("on:new,known,flaky", Subscription().on, (), ""),
        ("on:NEW on:Error", (EventType.ERROR,), (NEW,), "on:error,new"),
    ],
)
def test_filters_on_history(
    typed: str, on: tuple[EventType, ...], standings: tuple[CaseStanding, ...], written: str
) -> None:
    asked = parse_filters(typed)
    assert (asked.on, asked.standings, format_filters(asked)) == (on, standings, written)
    assert parse_filters(written) == asked
    assert Subscription.model_validate_json(asked.model_dump_json()) == asked


@pytest.mark.parametrize("typed", ["-on:failed", "on:-recovered", "on:nwe", "-on:new,known,flaky", "-on:", "-case:x"])
def test_wrong_filters_on_history_are_explained(typed: str) -> None:
    with pytest.raises(BadInput):
        parse_filters(typed)


def test_words_of_a_later_version_do_not_make_records_unreadable() -> None:
    assert Subscription.model_validate_json('{"standings": ["new", "haunted"]}').standings == (NEW,)
    assert CasePast.model_validate_json('{"standing": "haunted", "row": 2, "ghosts": 1}').row == 2

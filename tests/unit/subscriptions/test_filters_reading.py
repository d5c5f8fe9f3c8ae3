"""Filters as they are typed: durations, filters that may stand once only, names of people and groups, long text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from zofbot.domain.errors import BadInput
from zofbot.domain.text import read_input
from zofbot.subscriptions import Threshold, format_filters, parse_filters
from zofbot.subscriptions.tokenizer import parse_form_list, split_words
from zofbot.triage.thread_commands import parse_thread_command

IDS = {"oncall": "S9", "ana kovač": "U1"}


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("90m", 5400), ("1h30m", 5400), ("1w", 604800), ('"45 min"', 2700), ("5400s", 5400), ("2H", 7200)],
)
def test_durations_are_written_the_same_everywhere(typed: str, seconds: int) -> None:
    assert parse_filters(f"reack:{typed}").reack == seconds
    assert parse_filters(f"after:3/{typed}").after == Threshold(count=3, window=seconds) if '"' not in typed else True
    assert (
        parse_filters(f"escalate:{typed}->@oncall", ids=IDS).escalate[0].after == seconds if '"' not in typed else True
    )


@pytest.mark.parametrize("typed", [
    "quiet:22:00-07:00 quiet:12:00-13:00", "group:case group:run", "layout:flat layout:thread", "reack:4h reack:1h",
    "after:3/1h after:2/1h", "broadcast:worse broadcast:never",
])  # fmt: skip
def test_a_filter_that_can_count_once_only_is_refused_the_second_time(typed: str) -> None:
    with pytest.raises(BadInput, match="is given twice"):
        parse_filters(typed)


def test_lists_that_stand_twice_are_one_list() -> None:
    assert format_filters(parse_filters("env:a env:b,c on:failed on:error")) == "env:a,b,c on:failed,error"


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("@oncall", ("S9",)),
        ("oncall", ("S9",)),
        ("@OnCall", ("S9",)),
        ('"@Ana Kovač"', ("U1",)),
        ("@oncall,<@U2>", ("U2", "S9")),
    ],
)
def test_people_and_groups_may_be_named(typed: str, ids: tuple[str, ...]) -> None:
    assert parse_filters(f"mention:{typed}", ids=IDS).mention == ids


def test_a_name_that_nobody_has_gets_the_nearest() -> None:
    with pytest.raises(BadInput) as refused:
        parse_filters("mention:@oncal", ids=IDS)
    assert "Did you mean `@oncall`?" in refused.value.next_step


def lines_run(work: Callable[[str], Any], text: str) -> int:
    """How many lines of Python it takes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work(text)
    except BadInput:
        pass
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("piece", ["a,", "a:b ", '"a" ', "\\-", "<@U1|", "<@U1> ", "-", '"a,b",', "&amp;", "“", "a>"])
@pytest.mark.parametrize(
    "work",
    [
        read_input,
        split_words,
        parse_form_list,
        parse_filters,
        lambda text: parse_thread_command(f"<@UBOT> assign {text}", "UBOT"),
    ],
    ids=["read_input", "words", "entered", "parse", "heard"],
)
def test_twice_the_text_takes_twice_the_steps(work: Callable[[str], Any], piece: str) -> None:
    once, twice = (lines_run(work, piece * count) for count in (400, 800))
    print(f"{once} steps, then {twice}")  # noqa: T201
    assert twice <= 2.2 * once + 50

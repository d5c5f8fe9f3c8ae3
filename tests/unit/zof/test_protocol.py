"""What Zof's replies mean: every accepted name, every status, every error's shape, and nothing raised but our own."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.errors import BadInput, ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Outcome, Result, Run
from zofbot.zof import coerce, errors, field_names, outcome_words, parsing, protocol
from zofbot.zof.transport.decompression import BadEncoding, BodyTooLarge, Decompressor

NOW = datetime(2026, 6, 1, 8, 15, tzinfo=UTC)


TEXTS = {
    "run_id": ["run_id", "run.id", "run"],
    "status": ["status", "outcome", "result"],
    "case_id": ["test_case_id", "case_id", "test_case.id", "case.id"],
    "title": ["name", "title", "test_case.name", "test_case.title", "test_case_name"],
    "project_id": ["project_id", "project.id"],
    "project_name": ["project.name", "project_name"],
    "environment": ["environment", "environment.name", "environment_id"],
    "failure": ["failure_summary", "failure.summary", "failure.message", "failure", "error.message", "error"],
    "logs": ["logs_url", "log_url", "logs.url", "logs_ref", "logs.id", "logs"],
    "url": ["url", "console_url", "html_url"],
    "severity": ["severity", "priority"],
}
TIMES = {
    "started": ["started_at"],
    "ended": ["completed_at", "finished_at", "ended_at"],
    "created": ["created_at", "created"],
}
COUNTS = {
    "total": ["summary.total", "total"],
    "passed": ["summary.passed", "passed"],
    "failed": ["summary.failed", "failed"],
    "error": ["summary.error", "summary.errored", "error", "errored"],
    "skipped": ["summary.skipped", "skipped"],
}


def rows(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(field, name) for field, names in table.items() for name in names]


def put(name: str, value: object) -> dict[str, Any]:
    for step in reversed(name.split(".")):
        value = {step: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(("field", "name"), rows(TEXTS))
def test_a_result_is_read_from_every_accepted_name(field: str, name: str) -> None:
    result = parsing.parse_result({"id": "res_1", **put(name, "word")})
    assert getattr(result, field) == "word"


@pytest.mark.parametrize("wrong", [True, [], ["x"], "", "  \t", None, 1.5])
def test_a_wrong_type_under_any_name_counts_as_missing(wrong: object) -> None:
    read = {
        name: getattr(parsing.parse_result({"id": "res_1", **put(name, wrong)}), field) for field, name in rows(TEXTS)
    }
    assert {name: value for name, value in read.items() if value is not None} == {}


@pytest.mark.parametrize("field", TEXTS)
def test_the_first_name_with_a_usable_value_wins(field: str) -> None:
    names = TEXTS[field]
    for better, worse in pairwise(names):
        if better.split(".")[0] == worse.split(".")[0]:
            continue  # one key cannot be an object and text at once
        both = {"id": "res_1", **put(better, "first"), **put(worse, "second")}
        assert getattr(parsing.parse_result(both), field) == "first"
        unusable = {"id": "res_1", **put(better, 7.5), **put(worse, "second")}
        assert getattr(parsing.parse_result(unusable), field) == "second"


@pytest.mark.parametrize(("field", "name"), rows(TIMES))
def test_times_are_read_from_every_accepted_name(field: str, name: str) -> None:
    assert getattr(parsing.parse_run({"id": "run_1", name: "2026-06-01T08:15:00Z"}), field) == NOW


@pytest.mark.parametrize(("field", "name"), rows(COUNTS))
def test_counts_are_read_from_the_summary_or_the_top(field: str, name: str) -> None:
    assert getattr(parsing.parse_run({"id": "run_1", **put(name, 7)}).counts, field) == 7


@pytest.mark.parametrize("wrong", [True, -1, 2.5, "7", 10**12, [7]])
def test_a_count_is_a_whole_number_or_missing(wrong: object) -> None:
    assert parsing.parse_run({"id": "run_1", "summary": {"failed": wrong}, "failed": 3}).counts.failed == 3


@pytest.mark.parametrize("name", ["results", "case_outcomes", "cases", "test_cases"])
def test_a_run_brings_its_results_under_every_accepted_name(name: str) -> None:
    run = parsing.parse_run(
        {"id": "run_1", name: [{"id": "res_1", "status": "failed"}, "tc_2", {"status": "no id"}]}, request_id="req_9"
    )
    assert run.results == (
        Result(id="res_1", status="failed", outcome=Outcome.FAILED, run_id="run_1", request_id="req_9"),
    )


def test_a_list_of_bare_ids_is_no_list_of_results() -> None:
    assert parsing.parse_run({"id": "run_1", "results": ["tc_1"], "cases": [{"id": "res_1"}]}).results is not None
    assert parsing.parse_run({"id": "run_1", "test_cases": ["tc_1"]}).results is None
    assert parsing.parse_run({"id": "run_1", "results": []}).results == ()


def test_a_list_of_outcomes_without_ids_is_none_either() -> None:
    outcomes = [{"case": {"id": "tc_1"}, "outcome": "failed"}, {"case": {"id": "tc_2"}, "outcome": "passed"}]
    assert parsing.parse_run({"id": "run_1", "case_outcomes": outcomes}).results is None


def test_the_case_id_stands_in_for_a_missing_title() -> None:
    assert parsing.parse_result({"id": "res_1", "test_case_id": "tc_1"}).title == "tc_1"


@pytest.mark.parametrize(
    ("status", "failure"), [("failed", "why"), ("errored", "why"), ("passed", None), ("odd", None)]
)
def test_a_textual_summary_is_the_failure_of_a_bad_outcome_only(status: str, failure: str | None) -> None:
    assert parsing.parse_result({"id": "res_1", "status": status, "summary": "why"}).failure == failure


def test_text_cannot_carry_half_characters_further() -> None:
    result = parsing.parse_result(json.loads('{"id": "res_1", "name": "a\\ud800b"}'))
    assert result.title == "a?b"


@pytest.mark.parametrize(
    ("given_", "unit", "seconds"),
    [
        ({"duration_ms": 1500}, "ms", 1.5),
        ({"duration_seconds": 1.5}, "ms", 1.5),
        ({"duration": 1500}, "ms", 1.5),
        ({"duration": 1.5}, "s", 1.5),
        ({"duration_ms": 1500, "duration_seconds": 9, "duration": 9}, "s", 1.5),
        ({"duration_ms": "1500", "duration_seconds": 9}, "ms", 9),
        ({"duration_ms": True, "duration": 2000}, "ms", 2),
        ({"duration_ms": -5}, "ms", None),
        ({"duration_ms": float("inf")}, "ms", None),
        ({"duration_ms": float("nan")}, "ms", None),
        ({"duration_ms": 10**400}, "ms", None),
        ({"duration_seconds": 1e10}, "ms", None),
        ({"started_at": "2026-06-01T08:15:00Z", "ended_at": "2026-06-01T08:16:42Z"}, "ms", 102),
        ({"started_at": "2026-06-01T08:16:42Z", "ended_at": "2026-06-01T08:15:00Z"}, "ms", None),
        ({"duration_ms": 0}, "ms", 0),
    ],
)
def test_durations_become_seconds(given_: dict[str, Any], unit: parsing.DurationUnit, seconds: float | None) -> None:
    assert parsing.parse_result({"id": "res_1", **given_}, unit=unit).duration == seconds
    assert parsing.parse_run({"id": "run_1", **given_}, unit=unit).duration == seconds


@pytest.mark.parametrize(
    "written",
    [
        "2026-06-01T08:15:00Z",
        "2026-06-01t08:15:00z",
        "2026-06-01T10:15:00+02:00",
        "2026-06-01T08:15:00",
        " 2026-06-01 08:15:00 ",
        "2026-06-01T08:15:00.000000000Z",
        1780301700,
        1780301700.0,
        1780301700000,
        "1780301700",
        "1780301700000",
        "1780301700.0",
    ],
)
def test_one_moment_is_read_in_every_form(written: object) -> None:
    assert coerce.as_datetime(written) == NOW


@pytest.mark.parametrize(
    "written",
    [
        "", "yesterday", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", 0, -1, 1e300, 10**400, float("nan"), True,
        "99999999999999999", 1.7e15, None, [], "08:15", "2026-13-01", "٢٠٢٦٠٦٠١١١",
    ],
)  # fmt: skip
def test_what_is_no_moment_of_this_century_is_missing(written: object) -> None:
    assert coerce.as_datetime(written) is None


@pytest.mark.parametrize(("raw", "known"), [("r", "r"), (" r ", "r"), (17, "17")])
def test_an_id_is_text_or_a_whole_number(raw: object, known: str) -> None:
    assert parsing.parse_run({"id": raw}).id == known


@pytest.mark.parametrize("raw", [None, "", True, 1.0, {}, "x" * 300])
def test_a_missing_id_is_the_one_asked_for(raw: object) -> None:
    assert parsing.parse_result({"id": raw}, asked="res_9").id == "res_9"
    with pytest.raises(ZofUnreadable, match="without an ID"):
        parsing.parse_result({"id": raw})


@pytest.mark.parametrize(
    "found",
    [
        {"data": None},
        {"data": []},
        {"result": None},
        {"data": {"result": None}},
        {"data": None, "request_id": "req_1", "meta": {"page": 1}},
        {"data": None, "status": "success", "error": None, "url": "https://zof.example/v1/results/res_1"},
    ],
)
def test_an_envelope_with_nothing_in_it_is_no_result(found: object) -> None:
    with pytest.raises(ZofUnreadable):
        parsing.parse_result(found, asked="res_1")


def test_an_envelope_with_nothing_in_it_is_no_run() -> None:
    for found in ({"data": None}, {"run": None, "success": True}, {"data": {"run": None}}):
        with pytest.raises(ZofUnreadable):
            parsing.parse_run(found, asked="run_1")


@pytest.mark.parametrize("fields", [{"id": "res_2"}, {"name": "Cart", "status": "failed"}, {"started_at": 1}])
def test_an_object_may_have_a_field_of_an_envelopes_name_without_a_value(fields: dict[str, object]) -> None:
    found = parsing.parse_result({"data": None, "result": None, **fields}, asked="res_1")
    assert found.id == fields.get("id", "res_1")
    assert found.title == fields.get("name")
    assert parsing.parse_run({"data": None, **fields}, asked="res_1").id == found.id


@pytest.mark.parametrize(
    "wrapped",
    [
        {"id": "x", "status": "passed"},
        {"data": {"id": "x", "status": "passed"}},
        {"result": {"id": "x", "status": "passed"}},
        {"data": {"result": {"id": "x", "status": "passed"}}},
    ],
)
def test_a_result_may_be_bare_or_wrapped(wrapped: object) -> None:
    assert parsing.parse_result(wrapped) == Result(id="x", status="passed", outcome=Outcome.PASSED)


def test_a_run_may_be_wrapped_and_a_bare_object_with_an_id_stays_itself() -> None:
    assert parsing.parse_run({"run": {"id": "x"}}).id == "x"
    assert parsing.parse_run({"id": "outer", "data": {"id": "inner"}}).id == "outer"
    assert parsing.parse_result({"result": "failed"}, asked="x").outcome is Outcome.FAILED


@pytest.mark.parametrize("found", [None, [], "text", 3, [{"id": "x"}]])
def test_something_else_than_an_object_is_unreadable(found: object) -> None:
    for read in (parsing.parse_result, parsing.parse_run):
        with pytest.raises(ZofUnreadable):
            read(found, asked="x")


def test_the_request_id_is_on_every_value() -> None:
    page = parsing.parse_runs_page({"data": [{"id": "a", "results": [{"id": "r"}]}]}, request_id="req_1")
    run = page.items[0]
    assert run.results is not None
    assert [page.request_id, run.request_id, run.results[0].request_id] == ["req_1"] * 3


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("passed", Outcome.PASSED), ("PASSED", Outcome.PASSED), (" Passed ", Outcome.PASSED),
        ("failed", Outcome.FAILED), ("error", Outcome.ERROR), ("errored", Outcome.ERROR),
        ("canceled", Outcome.CANCELED), ("Cancelled", Outcome.CANCELED),
        ("queued", Outcome.QUEUED), ("pending", Outcome.QUEUED),
        ("running", Outcome.RUNNING), ("in_progress", Outcome.RUNNING), ("In Progress", Outcome.RUNNING),
        ("in-progress", Outcome.RUNNING), ("skipped", Outcome.SKIPPED),
        ("flaky", Outcome.UNKNOWN), ("unknown", Outcome.UNKNOWN), ("", Outcome.UNKNOWN), (None, Outcome.UNKNOWN),
    ],
)  # fmt: skip
def test_every_spelling_of_a_status_has_its_category(word: str | None, outcome: Outcome) -> None:
    assert outcome_words.classify_outcome(word) is outcome


def test_where_a_status_says_only_that_it_ended_another_word_says_how() -> None:
    ended = parsing.parse_run({"id": "run_1", "status": "completed", "outcome": "failed"})
    assert (ended.status, ended.outcome) == ("failed", Outcome.FAILED)
    going = parsing.parse_run({"id": "run_1", "status": "running", "result": "passed"})
    assert (going.status, going.outcome) == ("running", Outcome.RUNNING)
    odd = parsing.parse_result({"id": "res_1", "status": "quarantined", "outcome": "strange"})
    assert (odd.status, odd.outcome) == ("quarantined", Outcome.UNKNOWN)


def test_an_unknown_status_keeps_its_own_word() -> None:
    result = parsing.parse_result({"id": "x", "status": "Quarantined!"})
    assert (result.status, result.outcome) == ("Quarantined!", Outcome.UNKNOWN)


@pytest.mark.parametrize(
    "envelope",
    [
        {"data": [{"id": "a"}]},
        {"results": [{"id": "a"}]},
        {"runs": [{"id": "a"}]},
        {"items": [{"id": "a"}]},
        {"data": {"runs": [{"id": "a"}]}},
        [{"id": "a"}],
        {"data": None, "runs": [{"id": "a"}]},
    ],
)
def test_a_listing_is_found_in_every_envelope(envelope: object) -> None:
    page = parsing.parse_runs_page(envelope)
    assert [run.id for run in page] == ["a"]
    assert (page.more, page.next_cursor) == (False, None)


@pytest.mark.parametrize("envelope", [{"data": None}, {"data": []}, []])
def test_an_empty_listing_is_no_fault(envelope: object) -> None:
    assert parsing.parse_results_page(envelope).items == ()


@pytest.mark.parametrize("envelope", [{}, {"data": "x"}, "x", None, 3, {"data": {"data": {"data": []}}}])
def test_a_listing_without_a_list_is_unreadable(envelope: object) -> None:
    with pytest.raises(ZofUnreadable, match="no list"):
        parsing.parse_results_page(envelope)


@pytest.mark.parametrize(
    ("said", "more", "cursor"),
    [
        ({"has_more": True, "next_cursor": "c"}, True, "c"),
        ({"has_more": False, "next_cursor": "c"}, False, "c"),
        ({"has_more": True, "next_cursor": None}, True, None),
        ({"has_more": True}, True, None),
        ({"has_more": True, "next_cursor": " "}, True, None),
        ({"has_more": True, "next_cursor": "x" * 2049}, True, None),
        ({"has_more": True, "next_cursor": "a\ud800"}, True, None),
        ({"has_more": "yes", "next_cursor": "c"}, True, "c"),
        ({"next_cursor": "/+ c="}, True, "/+ c="),
        ({"has_more": 1}, False, None),
        ({"has_more": True, "next_cursor": 150}, True, "150"),
        ({"has_more": True, "next_cursor": True}, True, None),
        ({"has_more": True, "next_cursor": 1.5}, True, None),
    ],
)
def test_how_a_page_goes_on(said: dict[str, object], more: bool, cursor: str | None) -> None:
    page = parsing.parse_runs_page({"data": [], **said})
    assert (page.more, page.next_cursor) == (more, cursor)


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_how_a_wrapped_page_goes_on_may_stand_inside_or_outside(where: str) -> None:
    onward: dict[str, object] = {"has_more": True, "next_cursor": "c"}
    inside: dict[str, object] = {"runs": [{"id": "a"}]}
    found = {"data": {**inside, **onward}} if where == "inside" else {"data": inside, **onward}
    page = parsing.parse_runs_page(found)
    assert ([run.id for run in page], page.more, page.next_cursor) == (["a"], True, "c")


def test_entries_of_a_page_may_be_wrapped_too() -> None:
    page = parsing.parse_results_page({"data": [{"data": {"id": "a", "outcome": "failed"}}, {"data": {}}, {"data": 3}]})
    assert [(item.id, item.outcome) for item in page] == [("a", Outcome.FAILED)]
    assert page.skipped == 2


def test_entries_that_are_no_objects_or_have_no_id_are_skipped_and_counted() -> None:
    page = parsing.parse_results_page({"data": [{"id": "a"}, {"status": "x"}, "b", None, {"id": 5}]})
    assert [item.id for item in page] == ["a", "5"]
    assert page.skipped == 3


@pytest.mark.parametrize(("listed", "read"), [(150, 150), (1000, 1000), (1001, 1000)])
def test_more_entries_than_were_asked_for_are_read_up_to_a_thousand(listed: int, read: int) -> None:
    page = parsing.parse_runs_page({"data": [{"id": f"run_{number}"} for number in range(listed)], "has_more": False})
    assert (len(page.items), page.skipped) == (read, listed - read)


@pytest.mark.parametrize(
    ("minutes", "order"),
    [
        ([3, 2, 1], "newest"), ([1, 2, 3], "oldest"), ([3, 3, 1], "newest"), ([1, None, 3], "oldest"),
        ([1, 3, 2], None), ([1, 1], None), ([1], None), ([], None), ([None, None], None),
    ],
)  # fmt: skip
def test_the_order_of_a_listing_shows_in_its_times(minutes: list[int | None], order: str | None) -> None:
    assert protocol.detect_order(m if m is None else NOW + timedelta(minutes=m) for m in minutes) == order


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
top_names = sorted(
    {name.split(".")[0] for names in field_names.FIELD_NAMES.values() for name in names} | {"result", "run", "id"}
)
under_names = sorted(
    {name.split(".")[1] for names in field_names.FIELD_NAMES.values() for name in names if "." in name}
)
shaped = st.dictionaries(
    st.sampled_from(top_names), anything | st.dictionaries(st.sampled_from(under_names), anything, max_size=4)
)
envelopes = anything | shaped | st.lists(shaped, max_size=3) | st.dictionaries(
    st.sampled_from(["data", "results", "has_more", "next_cursor"]), anything | st.lists(shaped, max_size=3)
)  # fmt: skip


@given(envelopes, st.sampled_from(["ms", "s"]))
def test_every_reader_gives_a_typed_value_or_says_unreadable(found: object, unit: parsing.DurationUnit) -> None:
    for read in (parsing.parse_result, parsing.parse_run):
        try:
            item = read(found, asked="asked", unit=unit)
        except ZofUnreadable:
            continue
        assert item.id.strip()
        assert item.duration is None or 0 <= item.duration <= 1e9
        assert all(when is None or when.tzinfo is UTC for when in (item.started, item.ended, item.created))
        assert type(item).model_validate_json(item.model_dump_json()) == item
    for read_page in (parsing.parse_results_page, parsing.parse_runs_page):
        try:
            page = read_page(found, unit=unit)
        except ZofUnreadable:
            continue
        assert all(isinstance(item, Result | Run) and item.id for item in page)
        assert isinstance(page.more, bool)


@given(st.binary(max_size=200) | envelopes.map(lambda found: json.dumps(found).encode()), st.text(max_size=30))
def test_every_body_is_parsed_or_unreadable(body: bytes, content_type: str) -> None:
    try:
        protocol.parse_json(body, content_type)
    except ZofUnreadable as error:
        said = error
    else:
        return
    assert said.sentence.startswith("Zof")
    assert said.next_step


@given(st.integers(100, 599), st.binary(max_size=300) | envelopes.map(lambda found: json.dumps(found).encode()))
def test_every_refusal_is_a_sentence_for_a_person(status: int, body: bytes) -> None:
    error = errors.build_error(status, {}, body, "result `res_1`", now=NOW)
    assert isinstance(error, ZofUnavailable | ZofRejected | ZofUnreadable)
    assert error.sentence.isprintable()
    assert error.next_step
    assert len(error.message or "") <= 300


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "res_1", "status": ',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'\xff\xfe{"id"',
        b"<html>",
        b"plain",
    ],
    ids=str,
)
def test_broken_or_absurd_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(ZofUnreadable, match="incomplete or invalid JSON"):
        protocol.parse_json(body, "application/json")


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_success_is_unreadable(body: bytes) -> None:
    with pytest.raises(ZofUnreadable, match="empty response"):
        protocol.parse_json(body, "application/json")


@pytest.mark.parametrize(
    "named",
    [
        "", "application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/problem+json",
        "text/plain", "application/octet-stream", "text/html", "json",
    ],
)  # fmt: skip
def test_json_is_read_whatever_its_type(named: str) -> None:
    assert protocol.parse_json(b'\xef\xbb\xbf{"id": "x"}', named) == {"id": "x"}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("text/html; charset=utf-8", "web page"),
        ("text/plain", "something other than JSON"),
        ("json", "something other than JSON"),
    ],
)
def test_what_is_not_json_is_named_by_its_type(named: str, said: str) -> None:
    for body in (b"id: x", b""):
        with pytest.raises(ZofUnreadable, match=said):
            protocol.parse_json(body, named)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("req_1", "req_1"), (None, None), ("", None), ("  ", None), ("\x00\x1b\n", None), ("é", None),
        ("a\u202eb\x07c", "abc"), ("x" * 500, "x" * 128), (" a b ", "a b"),
    ],
)  # fmt: skip
def test_a_request_id_is_printable_ascii_of_128_at_most_or_none(raw: str | None, clean: str | None) -> None:
    assert protocol.clean_header(raw) == clean


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("7", 7), ("0", 0), ("1.5", 1.5), (" 2 ", 2), ("Mon, 01 Jun 2026 08:15:30 GMT", 30),
        ("Mon, 01 Jun 2026 08:15:30 -0000", 30), ("Monday, 01-Jun-26 08:15:30 GMT", 30),
        ("999999999999", 86400), ("Mon, 01 Jun 2099 08:15:30 GMT", 86400),
        ("-1", None), ("", None), (None, None), ("soon", None), ("nan", None), ("inf", None), ("1e3", None),
        ("٣", None),
        ("Mon, 01 Jun 2026 08:14:59 GMT", None), ("Mon, 99 Foo 2026", None), ("0x10", None), ("5, 6", None),
    ],
)  # fmt: skip
def test_retry_after_in_every_form(raw: str | None, seconds: float | None) -> None:
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert protocol.parse_retry_after(raw, NOW) == expected


@given(st.text(max_size=40))
def test_no_retry_after_is_ever_in_the_past_or_raises(raw: str) -> None:
    at = protocol.parse_retry_after(raw, NOW)
    assert at is None or NOW <= at <= NOW + timedelta(days=1)


@given(st.integers(1, 50), st.floats(0, 1))
def test_the_backoff_stays_between_nought_and_its_doubled_ceiling(tries: int, roll: float) -> None:
    assert 0 <= protocol.retry_delay(tries, roll, None, NOW) <= min(30, 0.5 * 2 ** (tries - 1))


def test_the_backoff_is_fully_jittered_and_doubles_up_to_thirty_seconds() -> None:
    assert [protocol.retry_delay(tries, 1, None, NOW) for tries in (1, 2, 3, 7, 20)] == [0.5, 1, 2, 30, 30]
    assert protocol.retry_delay(3, 0, None, NOW) == 0


def test_a_named_time_outranks_the_backoff() -> None:
    assert protocol.retry_delay(1, 1, NOW + timedelta(seconds=12), NOW) == 12
    assert protocol.retry_delay(1, 1, NOW - timedelta(seconds=12), NOW) == 0


def limits(limit: object, remaining: object, reset: object) -> httpx.Headers:
    return httpx.Headers(
        {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": str(reset)}
    )


@pytest.mark.parametrize("reset", [NOW.timestamp() + 40, int((NOW.timestamp() + 40) * 1000)])
def test_the_quota_resets_at_seconds_or_milliseconds(reset: float) -> None:
    quota = protocol.parse_quota(limits(100, 7, reset), NOW)
    assert quota is not None
    assert (quota.limit, quota.remaining, quota.reset) == (100, 7, NOW + timedelta(seconds=40))


def test_a_reset_far_away_is_looked_at_again_soon() -> None:
    for far in (NOW.timestamp() + 1e6, 999_999_999_999, 99_999_999_999_999):
        quota = protocol.parse_quota(limits(100, 7, far), NOW)
        assert quota is not None
        assert quota.reset == NOW + timedelta(minutes=5)


@pytest.mark.parametrize("garbage", ["", "x", "-1", "nan", "1e9", "9" * 40])
def test_a_quota_header_that_makes_no_sense_is_ignored(garbage: str) -> None:
    good = (100, 7, int(NOW.timestamp()))
    for place in range(3):
        assert protocol.parse_quota(limits(*[garbage if i == place else v for i, v in enumerate(good)]), NOW) is None
    assert protocol.parse_quota(limits(0, 0, good[2]), NOW) is None
    assert protocol.parse_quota({}, NOW) is None


@pytest.mark.parametrize("given_", ["res_1", "a", "A-Z_09", "x" * 128, "run:1001", "run.1001", "~1", "..a", ":" * 42])
def test_a_good_id_passes(given_: str) -> None:
    assert protocol.check_id(given_, "result") == given_


@pytest.mark.parametrize(
    "given_", ["", "a b", "a/b", "../runs", "x" * 129, "res_1\n", "é", "a%2f", "a?b", ".", "..", ":" * 43]
)
def test_a_bad_id_is_refused_with_an_example_that_is_good(given_: str) -> None:
    with pytest.raises(BadInput) as caught:
        protocol.check_id(given_, "run")
    assert protocol.check_id(caught.value.example.split()[-1], "run")
    assert caught.value.verb == "run"


def test_an_id_is_one_segment_of_a_path() -> None:
    assert protocol.fill_path("/results/{id}", "a/b?c") == "/results/a%2Fb%3Fc"
    assert protocol.fill_path("/results", None) == "/results"


def refusal_error(status: int, found: object = None, **headers: str) -> ZofError:
    body = found if isinstance(found, bytes) else json.dumps(found).encode()
    return errors.build_error(
        status, {k.replace("_", "-"): v for k, v in headers.items()}, body, "result `res_1`", now=NOW
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "sentence", "next_step"),
    [
        (400, "didn't accept the request for result `res_1`: limit is odd (parameter `limit`).", "Change"),
        (401, "missing, expired or revoked", "renew ZOF_API_KEY"),
        (403, "may not read result `res_1`", "a higher role"),
        (404, "Zof has no result `res_1`.", "Check the ID. It may have expired"),
        (409, "The state of result `res_1` doesn't allow this: limit is odd.", "Check it before"),
        (422, "(HTTP 422): limit is odd (parameter `limit`).", "Change"),
        (418, "(HTTP 418): limit is odd", "Change"),
    ],
)
def test_each_rejection_has_its_own_sentence(status: int, sentence: str, next_step: str) -> None:
    error = refusal_error(status, {"error": {"code": "invalid_request", "message": "limit is odd.", "param": "limit"}})
    assert isinstance(error, ZofRejected)
    assert sentence in error.sentence
    assert next_step in error.next_step
    assert (error.status, error.code, error.message, error.param) == (
        status, "invalid_request", "limit is odd.", "limit",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "sentence", "next_step"),
    [
        (429, "rate-limiting", "Try again in 12 s."),
        (500, "internal error", "Try again in 12 s. Zof's status: https://status.zof.ai."),
        (501, "internal error", "status.zof.ai"),
        (408, "unavailable", "status.zof.ai"),
        (502, "unavailable", "status.zof.ai"),
        (503, "unavailable", "status.zof.ai"),
        (504, "unavailable", "status.zof.ai"),
    ],
)
def test_each_passing_fault_says_when_to_try_again(status: int, sentence: str, next_step: str) -> None:
    error = refusal_error(status, None, retry_after="12")
    assert isinstance(error, ZofUnavailable)
    assert sentence in error.sentence
    assert next_step in error.next_step
    assert error.retry_at == NOW + timedelta(seconds=12)


def test_without_a_time_from_zof_no_time_is_made_up() -> None:
    error = refusal_error(429)
    assert isinstance(error, ZofUnavailable)
    assert error.retry_at is None
    assert error.next_step == "Try again in a minute."
    assert refusal_error(429, retry_after="600").next_step == "Try again in 10 minutes."


@pytest.mark.parametrize("status", [100, 301, 304, 999])
def test_a_status_nobody_expects_is_unreadable(status: int) -> None:
    assert isinstance(refusal_error(status), ZofUnreadable)


@pytest.mark.parametrize(
    ("body", "code", "message", "param"),
    [
        (b'{"error": {"code": "c", "message": "m", "param": "p"}}', "c", "m", "p"),
        (b'{"code": "c", "message": "m", "param": "p"}', "c", "m", "p"),
        (b'{"error": "m"}', None, "m", None),
        (b'{"error": "e", "message": "m"}', None, "m", None),
        (b"m", None, "m", None),
        (b'"m"', None, "m", None),
        (b"  m\n", None, "m", None),
        (b"", None, None, None),
        (b"<html><body>m</body></html>", None, None, None),
        (b"oops <!DOCTYPE html><p>m", None, None, None),
        (b'{"message": "<b>m</b>"}', None, None, None),
        (b'{"message": "expected <id>"}', None, "expected <id>", None),
        (b'{"error": {"mess', None, None, None),
        (b'{"error": {"message": ["m"], "code": 7}}', "7", None, None),
        (b"[1]", None, None, None),
        (b"[" * 50_000, None, None, None),
        (b"\xff\xfe m", None, "\ufffd\ufffd m", None),
    ],
    ids=str,
)
def test_every_shape_of_an_error_body(body: bytes, code: str | None, message: str | None, param: str | None) -> None:
    assert errors.parse_error_body(body) == errors.ErrorDetails(code, message, param)


def test_zofs_message_is_cleaned_redacted_and_cut_but_not_escaped() -> None:
    said = {"message": "a\x00\u202e <b & c\r\n  password=hunter22 seen with KEY-OF-OURS", "param": "x" * 400}
    words = errors.parse_error_body(json.dumps(said).encode(), ("KEY-OF-OURS",))
    assert words.message == "a <b & c password=[redacted] seen with [redacted]"
    assert len(words.param or "") == 100
    long = errors.parse_error_body(json.dumps({"message": "é" * 400}).encode())
    assert long.message == "é" * 299 + "…"


@pytest.mark.parametrize(
    ("param", "message", "dropped"),
    [
        ("status", None, "status"), ("project_id", "status is bad", "project_id"), (None, "unknown: status", "status"),
        (None, "bad 'project_id'", "project_id"), ("limit", "status", None), (None, "my_status is bad", None),
        (None, None, None), ("query.status", None, "status"), ("/query/project_id", None, "project_id"),
        ("query[status]", None, "status"), ("status.limit", None, None), ("my_status", None, None), ("..", None, None),
    ],
)  # fmt: skip
def test_a_400_or_422_about_a_filter_names_it(param: str | None, message: str | None, dropped: str | None) -> None:
    for status in (400, 422):
        error = ZofRejected("no", status=status, param=param, message=message)
        assert protocol.refused_filter(error, ["status", "project_id"]) == dropped
    other = ZofRejected("no", status=409, param=param, message=message)
    assert protocol.refused_filter(other, ["status", "project_id"]) is None


def test_a_filter_whose_name_has_parts_is_named_whole() -> None:
    error = ZofRejected("no", status=400, param="filter[status]")
    assert protocol.refused_filter(error, ["filter[status]"]) == "filter[status]"


@given(st.binary(max_size=500), st.integers(1, 50), st.sampled_from(["", "identity", "gzip", "X-GZIP"]))
def test_a_body_survives_any_chunking(data: bytes, size: int, encoding: str) -> None:
    raw = gzip.compress(data) if "gzip" in encoding.lower() else data
    body = Decompressor(encoding, 500)
    for start in range(0, len(raw), size):
        body.add_chunk(raw[start : start + size])
    assert body.read_whole() == data


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(encoding: str) -> None:
    pack = gzip.compress if encoding else bytes
    exact = Decompressor(encoding, 1000)
    exact.add_chunk(pack(b"x" * 1000))
    assert len(exact.read_whole()) == 1000
    over = Decompressor(encoding, 1000)
    with pytest.raises(BodyTooLarge):
        over.add_chunk(pack(b"x" * 1001))
    assert over.so_far() == b"x" * 1000


def test_packing_that_is_unknown_damaged_or_cut_short_is_garbled() -> None:
    with pytest.raises(BadEncoding):
        Decompressor("br", 10)
    with pytest.raises(BadEncoding):
        Decompressor("gzip", 10).add_chunk(b"not gzip at all")
    cut = Decompressor("gzip", 1000)
    cut.add_chunk(gzip.compress(b"hello" * 50)[:-9])
    with pytest.raises(BadEncoding):
        cut.read_whole()


def test_what_follows_a_packed_body_is_not_hoarded() -> None:
    body = Decompressor("gzip", 1000)
    body.add_chunk(gzip.compress(b"hello"))
    for _ in range(100):
        body.add_chunk(b"x" * 65536)
    assert body.read_whole() == b"hello"
    assert body._gzip is not None
    assert body._gzip.unused_data == b""


def test_naive_and_foreign_zones_become_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert coerce.as_datetime(there.isoformat()) == NOW

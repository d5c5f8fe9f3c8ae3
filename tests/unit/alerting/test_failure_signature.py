"""Signatures: what belongs to a cause stays, what differs from time to time goes, for every text there is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.failure_corpus import HELD_OUT_TEMPLATES, TEMPLATES, LabelledFailure, read_corpus
from tests.support.pair_score import score_pairs
from zofbot.alerting.failure_signature import VERSION, forget_texts, group_by_signature, make_signature
from zofbot.alerting.failure_signature.normal_form import normalize_line
from zofbot.domain.redaction import redact
from zofbot.notifications.text import clean_literal, clip_text, escape_mrkdwn

CORPORA = [TEMPLATES, *HELD_OUT_TEMPLATES]


@pytest.fixture(scope="module")
def corpus() -> list[LabelledFailure]:
    return [failure for path in CORPORA for failure in read_corpus(path, texts_per_cause=3)]


def test_the_corpus_is_as_large_as_promised() -> None:
    failures = read_corpus()
    assert len(failures) >= 400
    assert len({failure.cause for failure in failures}) >= 60
    assert len({failure.text for failure in failures}) > 0.8 * len(failures), "texts of a cause differ"


@pytest.mark.parametrize("path", CORPORA, ids=lambda path: path.stem)
def test_pairs_are_joined_as_they_are_labelled(path: Path) -> None:
    score = score_pairs((failure.cause, make_signature(failure.text).id) for failure in read_corpus(path))
    assert score.precision >= 0.99
    assert score.recall >= 0.95


SAME = {
    "durations": ["Timeout of 2000ms exceeded", "Timeout of 5000 ms exceeded", "Timeout of 1m 30s exceeded"],
    "ids": ["Order 8f14e45f-ceea-467f-a9f0-1b2c3d4e5f60 is gone", "Order ORD-88 is gone".replace("ORD-88", "1234")],
    "times": ["late at 2026-11-27T10:00:00Z", "late at Fri, 27 Nov 2026 10:00:00 GMT", "late at 1764239200"],
    "hosts": [
        "dial tcp [::1]:8080: i/o timeout",
        "dial tcp 127.0.0.1:9: i/o timeout",
        "dial tcp db.internal:5432: i/o timeout",
    ],
    "plurals": ["Got 12 results", "Got 1 result"],
    "money": ["Price was €12,50", "Price was $1,012.50", "Price was 12.50 EUR"],
    "temporary files": ["cannot open /tmp/tmpab3_x9kq.json", "cannot open /tmp/tmpz81kk2m3.json"],
    "escaped line breaks": ["cart is empty\nExpected: 3\nReceived: 0", "cart is empty\\nExpected: 3\\nReceived: 0"],
    "private keys": [
        f"refused -----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY----- by host"
        for key in ("MIIab12", "MIIcd34ef")
    ],
    "paths": ["no /tmp/tmpab3_x9kq/out.json", "no /Users/bob/out.json", r"no C:\Users\bob\AppData\Local\Temp\out.json"],
    "ids in URLs": [
        "500 from https://a.example/v1/orders/7?x=1",
        "500 from https://b.example:81/v1/orders/8f14e45f?y=2",
    ],
    "people": ['expected "Maria Lopez" to equal "Wei Chen"', 'expected "Bob Jones" to equal "John Smith"'],
    "e-mail": ["no mail for anna@x.example", "no mail for qa+1@mail.example"],
    "attempts": ["[attempt 1/3] TimeoutError: no answer", "TimeoutError: no answer"],
    "runners": ["Error: full", "[gw2] Error: full", "Worker #3: Error: full", "10:15:02 worker-3 | Error: full"],
    "a time before each line": [
        "Error: full\n    at total (/app/src/cart.ts:1:2)",
        "2026-11-27T10:15:02.123Z Error: full\n2026-11-27T10:15:03.456Z     at total (/app/src/cart.ts:1:2)",
    ],
    "a frame cut off": [
        "a.Full: no\n\tat com.acme.Disk.write(Disk.java:31)",
        "a.Full: no\n\tat com.acme.Disk.write(Dis…",
    ],
    "threads": [
        'Exception in thread "main" java.lang.Error: full',
        'Exception in thread "worker-3" java.lang.Error: full',
    ],
    "colors": ["\x1b[31mError: full\x1b[0m", "Error: full"],
    "logs before": ["2026-11-27 10:00:00,123 INFO start\nError: full", "Error: full"],
    "addresses": ["<Cart object at 0x7f3a2c1b4d50> is closed", "<Cart object at 0x7f3a2c1bffff> is closed"],
    "a later line cut off": [
        "Error: full\nthe disk of some mach…",
        "Error: full\nthe disk of…",
        "Error: full\n… (12 lines truncated)",
    ],
    "redaction": [
        f"login with token={value} failed" for value in ("abc123def456", "[redacted]", "***", "[REDACTED]", "<masked>")
    ],
}


@pytest.mark.parametrize("texts", SAME.values(), ids=SAME)
def test_what_differs_from_time_to_time_is_taken_out(texts: list[str]) -> None:
    assert len({make_signature(text).id for text in texts}) == 1, [make_signature(text).normalized for text in texts]


DIFFERENT = {
    "status": ["Request failed with status code 500", "Request failed with status code 503"],
    "bare status": ["Expected 200, received 500", "Expected 200, received 404"],
    "exception": ["ValueError: full", "TypeError: full"],
    "selector": ["Timeout waiting for '#pay'", "Timeout waiting for '#cancel'"],
    "role's name": ["getByRole('button', { name: 'Save it' })", "getByRole('button', { name: 'Leave it' })"],
    "key": ["KeyError: 'email'", "KeyError: 'phone'"],
    "column": ['column "price" does not exist', 'column "sku" does not exist'],
    "variable": ["Environment variable API_URL is not set", "Environment variable DB_URL is not set"],
    "flag": ["unknown flag: --dry-run", "unknown flag: --force"],
    "word of an enumeration": ["expected 'paid' but got 'pending'", "expected 'paid' but got 'refunded'"],
    "error code": ["Error: connect ECONNREFUSED 10.0.0.1:1", "Error: connect ETIMEDOUT 10.0.0.1:1"],
    "SQLSTATE": ["SQLSTATE[23505]", "SQLSTATE[40001]"],
    "exit code": ["exited with code 137", "exited with code 143"],
    "status in brackets": ["[HTTP 500] upstream failed", "[HTTP 503] upstream failed"],
    "sentence that a page shows": [
        'Expected "Thanks", received "Your card was declined"',
        'Expected "Thanks", received "Your session has expired"',
    ],
    "page that was opened": [
        'Received string: "https://a.example/login?x=1"',
        'Received string: "https://a.example/forbidden?x=1"',
    ],
    "page that is waited for": [
        'TimeoutError: 1s\n====== logs ======\nwaiting for navigation to "**/a" until "load"'.replace(
            "======", "=" * 27
        ),
        'TimeoutError: 1s\n====== logs ======\nwaiting for navigation to "**/b" until "load"'.replace(
            "======", "=" * 27
        ),
    ],
    "verb after a number": ["Step 3 was lost", "Step 3 is lost"],
    "gRPC code": ["rpc error: code = NotFound desc = x", "rpc error: code = Internal desc = x"],
    "method": ["POST /api/orders answered 500", "GET /api/orders answered 500"],
    "endpoint": ["GET /api/orders answered 500", "GET /api/carts answered 500"],
    "message in a body": ['402: {"error": "Card was declined"}', '402: {"error": "Card has expired"}'],
    "own frame": [
        "TypeError: x is undefined\n    at total (/app/src/cart.ts:1:2)",
        "TypeError: x is undefined\n    at total (/app/src/tax.ts:1:2)",
    ],
    "test, where nothing else tells": [
        "Expected: 3\nReceived: 4\n    at Object.<anonymous> (src/cart.test.ts:1:2)",
        "Expected: 3\nReceived: 4\n    at Object.<anonymous> (src/tax.test.ts:1:2)",
    ],
    "deeper cause": ["a.Wrapped: no\nCaused by: b.Late: slow", "a.Wrapped: no\nCaused by: b.Full: full"],
}


@pytest.mark.parametrize("texts", DIFFERENT.values(), ids=DIFFERENT)
def test_what_belongs_to_the_cause_stays(texts: list[str]) -> None:
    assert len({make_signature(text).id for text in texts}) == len(texts), [
        make_signature(text).normalized for text in texts
    ]


def test_words_that_end_like_a_plural_stay() -> None:
    assert normalize_line("Order 3 was late, 5 items left, 2 retries") == "Order <*> was late, <*> item left, <*> retry"


def test_library_frames_and_line_numbers_change_nothing() -> None:
    deep = (
        "TypeError: x is undefined\n    at emit (/app/node_modules/ee/index.js:1:2)\n"
        "    at Cart.total (/home/ci/app/src/cart.ts:10:2)\n    at Other.caller (/app/src/other.ts:1:2)"
    )
    assert make_signature(deep) == make_signature(
        "TypeError: x is undefined\n    at Cart.total (/app/src/cart.ts:99:1)"
    )
    assert make_signature(deep).normalized == "TypeError: x is undefined\nat Cart.total cart.ts"


def test_redaction_and_slack_change_no_signature(corpus: list[LabelledFailure]) -> None:
    for failure in corpus:
        expected = make_signature(failure.text)
        for change in (redact, clean_literal, escape_mrkdwn):
            assert make_signature(change(failure.text)) == expected, failure.id


@given(st.integers(300, 3000))
def test_a_long_tail_may_be_cut_off(limit: int) -> None:
    message = "TimeoutError: locator.click: Timeout 5000ms exceeded.\nCall log:\n  - waiting for locator('#pay')\n"
    text = message + "\n    at Pay.now (/app/src/pay.ts:1:2)" + "\n    at emit (node:events:1:2)" * 200
    assert make_signature(clip_text(text, limit)) == make_signature(text)


def test_half_of_the_texts_alone_and_any_order_give_the_same(corpus: list[LabelledFailure]) -> None:
    alone = {failure.text: make_signature(failure.text) for failure in corpus[::2]}
    forget_texts()
    shuffled = Random(7).sample(corpus, len(corpus))
    together = {failure.text: make_signature(failure.text) for failure in shuffled}
    assert alone.items() <= together.items()


TEXT = st.one_of(
    st.text(),
    st.text("aE1.:/-'\"`<>*()[]{}=@ \n\t\\x\x1b…?&|~_", max_size=300),
    st.lists(st.sampled_from([failure.text for failure in read_corpus()[::50]]) | st.text(max_size=20)).map("\n".join),
)


@given(TEXT)
def test_no_text_is_refused_and_each_has_one_signature(text: str) -> None:
    made = make_signature(text)
    forget_texts()
    assert make_signature(text) == made
    assert made.id.startswith(f"{VERSION}-")
    assert len(made.id) == len(VERSION) + 17


@given(TEXT)
def test_redaction_changes_no_normal_form_of_a_line(text: str) -> None:
    line = text.replace("\n", " ")[:200]
    assert normalize_line(redact(redact(line))) == normalize_line(redact(line))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), TEXT)), st.randoms())
def test_groups_depend_on_neither_order_nor_repetition(failures: list[tuple[str, str]], random: Random) -> None:
    repeated = failures * 2
    random.shuffle(repeated)
    assert list(group_by_signature(repeated).items()) == list(group_by_signature(failures).items())


def test_groups_come_by_size() -> None:
    groups = group_by_signature([("3", "KeyError: 'x'"), ("1", "HTTP 500"), ("2", "HTTP 500"), ("2", "HTTP 500")])
    assert list(groups.values()) == [["1", "2"], ["3"]]


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, C's included: a count of work that no clock disturbs."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    forget_texts()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize(
    "line", ["Error {} at 10.0.0.{}: 'x{}' ", "  at a.b.C{}.d(E.java:{}) {}", "\"k{}\": [{}, '{}'],"]
)
def test_work_grows_no_faster_than_the_text(line: str) -> None:
    def work(lines: int) -> Callable[[], object]:
        text = "\n".join(line.format(number, number, number) for number in range(lines))
        return lambda: make_signature(text)

    assert calls_of(work(200)) <= 2.2 * calls_of(work(100))
    assert calls_of(work(20_000)) <= 1.2 * calls_of(work(10_000)), "what is read of a text is bounded"


@pytest.mark.parametrize("piece", ["<*>", "a@b.", "0:", "'a' ", "[1", "a.b-", "(a ", "\\", "error 1 ", "getBy(", "a_1"])
def test_a_line_without_end_is_cut_before_any_pattern_sees_it(piece: str) -> None:
    # What a pattern costs is bounded by the length of a line; a million characters cost no more than thousands.
    assert (
        calls_of(lambda: make_signature(piece * 200_000)) <= 1.2 * calls_of(lambda: make_signature(piece * 20_000)) + 50
    )

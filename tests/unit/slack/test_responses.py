"""Slack's replies at the edge: only Slack's own word counts, and any other shape is unknown, never a crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown
from zofbot.simulator.slack import broken_replies
from zofbot.slack import http_replies, responses
from zofbot.slack.http_replies import SlackHttpReply, check_response_url_reply, parse_http_reply, parse_json_object
from zofbot.slack.responses import SlackReply, parse_reply

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
KINDS = [kind for kind in vars(responses).values() if isinstance(kind, type) and issubclass(kind, SlackReply)]
FIELDS = sorted({name for kind in KINDS for name in kind.model_fields} | {"ok", "error", "metadata"})


def make_reply(status: int, body: bytes | str | dict[str, Any]) -> SlackHttpReply:
    raw = json.dumps(body) if isinstance(body, dict) else body
    return SlackHttpReply(status, {}, raw if isinstance(raw, bytes) else raw.encode())


def error_of(call: Callable[[], object]) -> SlackError | None:
    try:
        call()
    except SlackError as error:
        return error
    return None


@pytest.mark.parametrize(
    "fault", [name for name in broken_replies.BROKEN_REPLIES if name not in ("bare_ok", "odd_types", "bomb")]
)
def test_what_is_not_slacks_is_unknown(fault: str) -> None:
    status, _, body = broken_replies.BROKEN_REPLIES[fault][1]
    with pytest.raises(SlackUnknown):
        parse_http_reply(SlackHttpReply(status, {}, body))


@given(st.integers(200, 599), st.binary(max_size=300))
def test_any_bytes_are_unknown_or_put_off(status: int, body: bytes) -> None:
    assume(parse_json_object(body) is None)  # hypothesis also draws texts of the code, such as Slack's own answer
    with pytest.raises(SlackDeferred if status == 429 else SlackUnknown):
        parse_http_reply(SlackHttpReply(status, {}, body))


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_object_is_read_refused_or_unknown(said: dict[str, Any]) -> None:
    try:
        found = parse_http_reply(make_reply(200, said))
    except SlackUnknown:
        return
    assert found["ok"] is True or isinstance(found["error"], str)
    errors = [error for kind in KINDS if (error := error_of(lambda: parse_reply(kind, found)))]  # noqa: B023  (called at once)
    assert all(error.reason.startswith("unreadable: ") for error in errors)


@pytest.mark.parametrize("status", [201, 204, 302, 307, 500, 503])
def test_an_ok_with_another_status_is_unknown(status: int) -> None:
    with pytest.raises(SlackUnknown):
        parse_http_reply(make_reply(status, {"ok": True, "ts": "1.1"}))


@pytest.mark.parametrize("status", [200, 400, 403, 404])
def test_slacks_own_no_is_its_word(status: int) -> None:
    assert parse_http_reply(make_reply(status, {"ok": False, "error": "invalid_auth"}))["error"] == "invalid_auth"


def test_lone_surrogates_are_replaced_and_pairs_kept() -> None:
    body = rb'{"ok": true, "name": "a\uD800b", "emoji": "\ud83d\ude00", "\udfff": ["\uDC00", 1, null]}'
    said = parse_http_reply(SlackHttpReply(200, {}, body))
    assert said == {"ok": True, "name": "a?b", "emoji": "😀", "?": ["?", 1, None]}


def test_a_reply_of_many_small_parts_is_not_unpacked() -> None:
    assert (
        http_replies.parse_json_object(b'{"ok":true,"a":[' + b"{}," * http_replies.MAX_JSON_CONTAINERS + b"{}]}")
        is None
    )


@pytest.mark.parametrize("wrong", [{}, {"messages": None}, {"messages": [1]}, {"messages": [{"ts": 17}]},
                                   {"messages": [], "has_more": True}])  # fmt: skip
def test_a_page_that_does_not_say_what_is_there_is_unknown(wrong: dict[str, Any]) -> None:
    with pytest.raises(SlackUnknown):
        parse_reply(responses.HistoryReply, {"ok": True, **wrong})


def test_messages_of_others_may_have_any_metadata() -> None:
    others: list[Any] = [None, [], "x", {"event_type": ["x"]}, {"event_type": "other", "event_payload": 3}]
    keys: list[Any] = [7, ["k"], {}]
    others += [{"event_type": responses.METADATA_EVENT_TYPE, "event_payload": {"key": key}} for key in keys]
    page = parse_reply(responses.HistoryReply, {"messages": [{"ts": "1.1", "metadata": other} for other in others]})
    assert [message.key for message in page.messages] == [""] * 8


@pytest.mark.parametrize("text", ["ok", '{"ok":true}'])
def test_a_response_url_takes_a_message(text: str) -> None:
    check_response_url_reply(make_reply(200, text))


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (404, "expired_url", "expired_url"),
        (404, "Expired url", "expired_url"),
        (200, '{"ok":false,"error":"invalid_blocks"}', "invalid_blocks"),
        (400, "invalid_blocks", "invalid_blocks"),
        (400, '{"ok":false,"error":"used_url"}', "used_url"),
    ],
)
def test_a_response_url_refuses_in_text_or_json(status: int, text: str, reason: str) -> None:
    with pytest.raises(SlackRefused) as no:
        check_response_url_reply(make_reply(status, text))
    assert no.value.reason == reason


@pytest.mark.parametrize(("status", "text"), [(200, ""), (200, "<html>"), (404, ""), (403, "Forbidden"), (302, "ok"),
                                              (200, '{"ok":"yes"}'), (200, "[]"), (400, '{"error":[1]}')])  # fmt: skip
def test_what_a_response_url_answers_otherwise_is_unknown(status: int, text: str) -> None:
    with pytest.raises(SlackUnknown):
        check_response_url_reply(make_reply(status, text))


@given(st.integers(200, 599), st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_response_url_answers_is_sorted(status: int, body: bytes) -> None:
    error = error_of(lambda: check_response_url_reply(SlackHttpReply(status, {}, body)))
    assert error is None or len(error.reason) <= 80

"""Whatever Slack's signed payloads have in place of what they should have: no 500, no unexpected error, no silence."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.support.bot import RunningBot
from tests.support.metric_values import metric_value
from tests.support.odd_values import ODD_VALUES, Path, paths_in, with_odd_value
from tests.support.slack_traffic import SentPayload, do_everything
from zofbot.simulator.slack.sender import PayloadSender
from zofbot.simulator.slack.socket_mode import SocketConnection
from zofbot.slack.inbound import find_malformed


def rename_at(payload: dict[str, Any], number: int, path: Path) -> dict[str, Any]:
    """The payload as that of another request, so that it is not taken for a repeat."""
    fresh = {name: f"N{number}" for name in ("event_id", "trigger_id") if name in payload and path[:1] != (name,)}
    return payload | fresh


def one_of_each_kind(kept: list[SentPayload]) -> list[SentPayload]:
    """One of each kind."""
    found: dict[str, SentPayload] = {}
    for kind, body in kept:
        view, event = body.get("view") or {}, body.get("event") or {}
        names = [body.get("type"), body.get("command"), body.get("callback_id"), view.get("callback_id")]
        pressed = [action["action_id"] for action in body.get("actions", [])]
        found.setdefault(str([*names, pressed, event.get("type"), event.get("text")]), (kind, body))
    return list(found.values())


ROUTES = {"type", "callback_id", "action_id", "command"}
"""Which listener it is for. Where there is none, nothing is answered over Socket Mode, for which nobody waits here."""

NAMES = [
    "type", "command", "user", "id", "channel", "container", "message", "view", "state", "values", "event", "actions",
    "action_id", "value", "selected_option", "selected_options", "team", "response_url", "authorizations", "blocks",
]  # fmt: skip

FORESEEN = {"answer not delivered": {"used_url", "expired_url", "channel_not_found", "user_not_in_channel"}}
"""What may be logged as an error: an answer that Slack takes no more, or that is to go nowhere."""


@pytest.mark.parametrize(("triage_bot", "every"), [("http", 1), ("socket", 4)], indirect=["triage_bot"])
async def test_nothing_that_slack_signs_breaks_anything(triage_bot: RunningBot, every: int) -> None:
    kept = one_of_each_kind(await do_everything(triage_bot))
    assert {body.get("type") for _, body in kept} >= {
        "block_actions", "view_submission", "message_action", "event_callback", None
    }  # fmt: skip
    assert [find_malformed(body) for _, body in kept] == [""] * len(kept)
    random, delivery, tried = Random(5), triage_bot.simulator.people.delivery, 0
    delivery.within = 2.0
    wrong: list[Any] = []
    with capture_logs() as logs:
        for kind, body in kept:
            for path in paths_in(body):
                tried += 1
                if tried % every or (every > 1 and path[-1] in ROUTES):
                    continue
                odd = [] if random.random() < 0.3 else [random.choice(ODD_VALUES)]
                made = rename_at(with_odd_value(body, path, *odd), tried, path)
                if kind == "slash_commands":
                    made = {name: str(value).replace("\ud800", "?") for name, value in made.items()}
                refused = bool(find_malformed(made))
                if refused and triage_bot.world.slack.lines:
                    continue  # it is not answered: nobody waits here for what does not come
                outcome = await PayloadSender.send_payload(delivery, kind, made)
                if outcome.status not in ((400,) if refused else (200, 404)):
                    wrong.append((kind, path, odd, outcome.status, outcome.error))
            await asyncio.sleep(0.02)
            errors = [line for line in logs if line["log_level"] in ("error", "critical")]
            wrong += [line for line in errors if line.get("reason") not in FORESEEN.get(line["event"], ())]
            logs.clear()
    assert wrong == []
    assert tried > 750
    assert (await triage_bot.type_text("/zof help")).status == 200


@pytest.mark.parametrize("triage_bot", ["http", "socket"], indirect=True)
async def test_what_bolt_stumbles_over_is_told_from_what_was_answered(triage_bot: RunningBot) -> None:
    odd = {"type": "event_callback", "event_id": "Ev1", "event": {"type": "reaction_added", "item": {"channel": 7}}}
    triage_bot.simulator.people.delivery.within = 0.5
    with capture_logs() as logs:
        outcome = await triage_bot.simulator.people.delivery.send_payload("events_api", odd)
    assert outcome.status == (None if triage_bot.world.slack.lines else 400)
    [line] = [line for line in logs if line["log_level"] == "error"]
    assert line["event"] == "request not understood"
    assert (await triage_bot.type_text("/zof help")).status == 200
    counted = {"kind": "stray", "answer": "malformed"}
    assert metric_value(triage_bot.app.metrics, "zofbot_slack_requests_total", counted) == 1


ENVELOPES = [
    "", "{", "[]", "null", "7", "{}", '{"type": "hello"}', '{"type": "slash_commands"}',
    '{"type": "interactive", "envelope_id": "E1", "payload": []}',
    '{"type": "interactive", "envelope_id": "E1", "payload": null}',
    '{"type": "interactive", "envelope_id": "E1", "payload": "text"}',
    '{"type": "interactive", "envelope_id": 7, "payload": {"type": "block_actions", "actions": 7}}',
    '{"type": [], "envelope_id": {}, "payload": {"user": "U0ANA", "command": "/zof", "text": "help"}}',
    '{"type": "events_api", "envelope_id": "E2", "payload": {}, "retry_attempt": "x", "retry_reason": []}',
]  # fmt: skip


@pytest.mark.parametrize("triage_bot", ["socket"], indirect=True)
async def test_no_envelope_breaks_the_connection(triage_bot: RunningBot) -> None:
    line, _ = before = triage_bot.world.slack.lines[:]
    assert isinstance(line, SocketConnection)
    with capture_logs() as logs:
        for envelope in ENVELOPES:
            await line.websocket.send_str(envelope)
        assert (await triage_bot.type_text("/zof help")).status == 200
    assert [each for each in logs if each["log_level"] in ("error", "critical")] == []
    assert triage_bot.world.slack.lines == before


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
        max_leaves=20,
    ).filter(lambda made: isinstance(made, dict))
)
def test_any_shape_is_told_from_a_payload(made: dict[str, Any]) -> None:
    place = find_malformed(made)
    assert place.isascii()
    assert len(place) <= 200
    assert not place or place == "the whole" or any(name in place for name in NAMES), place


def test_only_a_form_has_to_say_what_sort_of_view_it_is() -> None:
    assert (
        find_malformed({"type": "event_callback", "event": {"type": "app_home_opened", "view": {"hash": "1.2"}}}) == ""
    )
    assert find_malformed({"type": "view_submission", "view": {"hash": "1.2"}}) == "view.type"


@pytest.mark.parametrize("values", [None, {}, []])
def test_a_view_without_values_has_none_or_an_empty_object_or_list(values: Any) -> None:
    view = {"type": "home", "state": {"values": values}}
    assert find_malformed({"type": "event_callback", "event": {"type": "app_home_opened", "view": view}}) == ""
    assert find_malformed({"type": "block_actions", "actions": [{"action_id": "go"}], "view": view}) == ""
    assert find_malformed({"type": "view_submission", "view": view}) == ""


def test_where_it_is_misshapen_is_said_without_what_stands_there() -> None:
    assert find_malformed({"user": {"id": ["secret"]}}) == "user.id"
    assert find_malformed({"command": "/zof", "text": "half of \ud83d"}) == "text"
    assert find_malformed({"view": {"type": "modal", "state": {"values": {"\ud800": []}}}}).startswith(
        "view.state.values"
    )

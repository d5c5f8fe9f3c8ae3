from __future__ import annotations

from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult

from zofbot.listeners import build_table
from zofbot.listeners.listener_table import IdempotentListener, ListenerTable

ACTIONS = {"type": "block_actions", "user": {"id": "U1"}}


@pytest.fixture
def app() -> AsyncApp:
    """A Bolt app with a table that knows one button, one form and one event, and what to do with other buttons."""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=None, bot_token="xoxb-test")

    async def answer(ack: Any, body: dict[str, Any], payload: dict[str, Any]) -> None:
        await ack(text=f"known {payload.get('value')}")

    async def answer_unknown(ack: Any, body: dict[str, Any], payload: dict[str, Any]) -> None:
        await ack(text="unknown")

    app, table = AsyncApp(authorize=authorize, process_before_response=True), ListenerTable()
    table.actions["known"] = table.views["known"] = table.events["known"] = answer
    table.unknown_action = answer_unknown
    table.add_to(app)
    return app


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (ACTIONS | {"actions": [{"action_id": "known", "value": "1"}]}, 200, "known 1"),
        (ACTIONS | {"actions": [{"action_id": "other"}]}, 200, "unknown"),
        ({"type": "view_submission", "view": {"type": "modal", "callback_id": "known", "value": "2"}}, 200, "known 2"),
        ({"type": "view_submission", "view": {"type": "modal", "callback_id": "other"}}, 404, "unhandled"),
        ({"type": "event_callback", "event": {"type": "known", "value": "3"}}, 200, "known 3"),
        ({"type": "event_callback", "event": {"type": "other"}}, 404, "unhandled"),
        ({"type": "shortcut", "callback_id": "other"}, 404, "unhandled"),
    ],
)
async def test_a_request_goes_to_the_listener_of_its_id_or_to_the_one_for_the_rest(
    app: AsyncApp, body: dict[str, Any], status: int, text: str
) -> None:
    reply = await app.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
    assert (reply.status, text in reply.body) == (status, True)


async def test_an_idempotent_listener_handles_requests_as_another_does(app: AsyncApp) -> None:
    async def answer(ack: Any, body: dict[str, Any], payload: dict[str, Any]) -> str:
        return f"{ack} {body} {payload}"

    assert await IdempotentListener(answer)("ack", {"a": 1}, {"b": 2}) == await answer("ack", {"a": 1}, {"b": 2})


TRIAGE_WORDS = ["acknowledge", "unacknowledge", "assign", "confirm", "escalate"]
TRIAGE_WORDS += ["snooze", "wake", "resolve", "reopen", "undo"]
IDEMPOTENT_ACTIONS = {
    *(f"zof_{place}_{word}" for place in ("triage", "do") for word in TRIAGE_WORDS),
    *("zof_triage_more", "zof_do_acknowledge_row", "zof_do_select_rows", "zof_rerun", "zof_cancel"),
}
IDEMPOTENT_FORMS = {
    "zof_subscription",
    "zof_act_assign",
    "zof_act_snooze",
    "zof_act_resolve",
    "zof_act_several",
    "zof_choose",
}


def test_which_requests_need_no_claim_is_said_where_their_listeners_are_registered() -> None:
    unused: Any = None
    table = build_table(unused, unused)
    actions = {name: {"type": "block_actions", "actions": [{"action_id": name}]} for name in table.actions}
    forms = {name: {"type": "view_submission", "view": {"callback_id": name}} for name in table.views}
    menus = [{"type": "block_suggestion", "action_id": name} for name in table.options]
    events = {name: {"event": {"type": name}} for name in table.events}
    assert {name for name, body in actions.items() if table.is_idempotent(body)} == IDEMPOTENT_ACTIONS
    assert {name for name, body in forms.items() if table.is_idempotent(body)} == IDEMPOTENT_FORMS
    assert {name for name, body in events.items() if table.is_idempotent(body)} == {"channel_id_changed"}
    assert menus
    assert all(map(table.is_idempotent, menus))
    others: list[dict[str, Any]] = [
        {"command": "/zof", "text": "ack"},
        {"type": "shortcut", "callback_id": "zof_triage"},
    ]
    others += [actions["zof_share"] | {"actions": [{"action_id": "zof_do_nothing"}]}, {"type": "block_actions"}]
    assert not any(map(table.is_idempotent, others))

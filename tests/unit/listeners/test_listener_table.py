from __future__ import annotations

from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult

from zofbot.listeners.listener_table import ListenerTable

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

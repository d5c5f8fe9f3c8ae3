"""What Slack's client does with a view: finds and fills its elements, checks its fields, applies the bot's answer."""

from __future__ import annotations

from typing import Any

from zofbot.simulator.slack import chat_api, views_api
from zofbot.simulator.slack.model import User, View
from zofbot.simulator.slack.sender import Acknowledgement
from zofbot.simulator.slack.state import SlackRefusal, Workspace


def find_element(blocks: list[dict[str, Any]], action: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the block and element of an action; the block may be omitted if the action_id is unique."""
    wanted = action.get("action_id"), action.get("block_id")
    for block in blocks:
        for element in chat_api.interactive_elements(block):
            if element["action_id"] == wanted[0] and wanted[1] in (None, block["block_id"]):
                return block, element
    raise ValueError("There is nothing like that to press.")


def fill_view(view: View, values: dict[str, Any] | None) -> None:
    """Enter values into the fields of a view, by block and action."""
    for block_id, actions in (values or {}).items():
        view.values.setdefault(block_id, {}).update(actions)


def missing_inputs(view: View) -> dict[str, str]:
    """Return the required inputs that are empty."""
    values = views_api.view_state(view)
    missing = {}
    for block in view.payload["blocks"]:
        if block["type"] == "input" and not block.get("optional"):
            state = values[block["block_id"]][block["element"]["action_id"]]
            if not any(value for name, value in state.items() if name != "type"):
                missing[block["block_id"]] = "Please complete this required field."
    return missing


def apply_submission_answer(slack: Workspace, person: User, view: View, outcome: Acknowledgement) -> None:
    """Apply the acknowledgement of a submission; if it is invalid, the client reports a failure."""
    try:
        if not outcome.is_accepted:
            raise SlackRefusal(outcome.error or "dispatch_failed")
        _apply_response_action(slack, person, view, outcome.body if isinstance(outcome.body, dict) else {})
    except SlackRefusal:
        slack.show_notice(person.id, "We had some trouble connecting. Try again?")
    slack.changed()


def _apply_response_action(slack: Workspace, person: User, view: View, body: dict[str, Any]) -> None:
    """Apply the response_action of a submission's acknowledgement. Raises SlackRefusal if it is invalid."""
    stack = slack.modals.get(person.id, [])
    match body.get("response_action"):
        case "errors":
            inputs = {block["block_id"] for block in view.payload["blocks"] if block["type"] == "input"}
            if not body.get("errors") or not set(body["errors"]) <= inputs:
                raise SlackRefusal("invalid_errors")
            view.errors = dict(body["errors"])
        case "clear":
            stack.clear()
        case "update":
            views_api.replace_view(slack, view, views_api.validate_view(slack, body.get("view"), "modal"))
        case "push":
            views_api.stack_view(slack, person.id, views_api.validate_view(slack, body.get("view"), "modal"))
        case None if view in stack:
            stack.remove(view)

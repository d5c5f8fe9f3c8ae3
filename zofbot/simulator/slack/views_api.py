"""Slack's views methods: modals and App Home, and the values of their fields."""

from __future__ import annotations

import copy
import json
from typing import Any

from zofbot.simulator.blockkit import automatic_links, blocks, mentions
from zofbot.simulator.slack.chat_api import Arguments, ResponseBody, assign_ids, interactive_elements
from zofbot.simulator.slack.model import APP_ID, BOT_ID, TEAM_ID, View
from zofbot.simulator.slack.state import SlackRefusal, Workspace

MAX_VIEW_BYTES = 250_000
MAX_STACKED_VIEWS = 3

_STATE_FIELDS = {
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "multi_external_select": ("selected_options", "initial_options"),
    "radio_buttons": ("selected_option", "initial_option"),
    "multi_static_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "multi_users_select": ("selected_users", "initial_users"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}
"""By element type: the field of its value in the state, and the field of its initial value."""


def element_state(element: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    """Return the part of an element's state that ``action`` sets; empty for a button."""
    if element["type"] not in _STATE_FIELDS:
        return {}
    name, _ = _STATE_FIELDS[element["type"]]
    return {"type": element["type"], name: action.get(name, [] if name.endswith("options") else None)}


def view_state(view: View) -> dict[str, Any]:
    """Return the values of a view's fields: as entered, else initial."""
    values: dict[str, Any] = {}
    for block in view.payload["blocks"]:
        for element in interactive_elements(block):
            if element["type"] in _STATE_FIELDS:
                start = {_STATE_FIELDS[element["type"]][0]: element.get(_STATE_FIELDS[element["type"]][1])}
                typed = view.values.get(block["block_id"], {}).get(element["action_id"])
                values.setdefault(block["block_id"], {})[element["action_id"]] = typed or element_state(
                    element, {name: value for name, value in start.items() if value is not None}
                )
    return values


def validate_view(slack: Workspace, given: Any, surface: blocks.Surface) -> dict[str, Any]:
    """Return a validated view; raises :class:`SlackRefusal` if Slack would not show it."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except json.JSONDecodeError:
            given = None
    if not isinstance(given, dict):
        raise SlackRefusal("invalid_arguments", response_metadata={"messages": ["[ERROR] view has to be an object"]})
    if len(json.dumps(given)) > MAX_VIEW_BYTES:
        raise SlackRefusal("view_too_large")
    newer = blocks.block_types(given) & slack.unknown_blocks
    if found := ["unsupported type of block: data_visualization"] if newer else blocks.find_problems(given, surface):
        raise SlackRefusal("invalid_arguments", response_metadata={"messages": found})
    if found := mentions.find_unescaped(given, slack.mentionable_ids()):
        raise SlackRefusal("unescaped_mention", response_metadata={"messages": found})
    if found := automatic_links.find_automatic(given, automatic_links.DEFAULT_PARSING):
        raise SlackRefusal("automatic_link", response_metadata={"messages": found})
    slack.inspect(given, surface)
    kept = copy.deepcopy(given)
    assign_ids(slack, kept["blocks"])
    return kept


def dump_view(view: View) -> dict[str, Any]:
    """Format a view as in Slack's API and payloads.

    If no field has a value, ``values`` is an empty list, as some found (https://github.com/slack-go/slack/issues/943).
    """
    defaults = {"private_metadata": "", "callback_id": "", "external_id": "", "title": None, "submit": None}
    flags = {"close": None, "clear_on_close": False, "notify_on_close": False}
    place = {"root_view_id": view.root or view.id, "previous_view_id": view.previous}
    about = {"id": view.id, "team_id": TEAM_ID, "app_id": APP_ID, "app_installed_team_id": TEAM_ID, "bot_id": BOT_ID}
    return {
        **about,
        **defaults,
        **flags,
        **place,
        **view.payload,
        "hash": view.hash,
        "state": {"values": view_state(view) or []},
    }


def _spend_trigger(slack: Workspace, trigger_id: Any) -> str:
    """Spend a trigger; returns its user."""
    trigger = slack.triggers.get(str(trigger_id))
    if trigger is None:
        raise SlackRefusal("invalid_trigger_id")
    if slack.now() - trigger.at > slack.trigger_seconds:
        raise SlackRefusal("expired_trigger_id")
    if trigger.used:
        raise SlackRefusal("exchanged_trigger_id")
    trigger.used = True
    return trigger.user


def _create_view(slack: Workspace, user: str, payload: dict[str, Any]) -> View:
    return View(slack.new_id("V"), user, payload, hash=f"{slack.next_timestamp()}.{slack.new_id('h')[:6]}")


def stack_view(slack: Workspace, user: str, payload: dict[str, Any]) -> View:
    """Put a modal on top of a person's open modals."""
    below = slack.modals.setdefault(user, [])
    if len(below) >= MAX_STACKED_VIEWS:
        raise SlackRefusal("push_limit_reached")
    view = _create_view(slack, user, payload)
    view.root, view.previous = (below[0].id, below[-1].id) if below else (view.id, None)
    below.append(view)
    slack.changed()
    return view


def replace_view(slack: Workspace, view: View, payload: dict[str, Any]) -> None:
    """Replace a view's content; values of fields that remain are kept."""
    view.replace_content(payload)
    view.hash = f"{slack.next_timestamp()}.{slack.new_id('h')[:6]}"
    slack.changed()


def open_view(slack: Workspace, given: Arguments) -> ResponseBody:
    """``views.open``."""
    payload = validate_view(slack, given.get("view"), "modal")
    user = _spend_trigger(slack, given.get("trigger_id"))
    slack.modals[user] = []
    return {"view": dump_view(stack_view(slack, user, payload))}


def push_view(slack: Workspace, given: Arguments) -> ResponseBody:
    """``views.push``."""
    payload = validate_view(slack, given.get("view"), "modal")
    return {"view": dump_view(stack_view(slack, _spend_trigger(slack, given.get("trigger_id")), payload))}


def update_view(slack: Workspace, given: Arguments) -> ResponseBody:
    """``views.update``."""
    stacked = [view for views in slack.modals.values() for view in views]
    wanted = given.get("view_id"), given.get("external_id")
    found = [
        view for view in stacked if view.id == wanted[0] or (wanted[1] and view.payload.get("external_id") == wanted[1])
    ]
    if not found:
        raise SlackRefusal("not_found")
    payload = validate_view(slack, given.get("view"), "modal")
    if given.get("hash") and given["hash"] != found[0].hash:
        raise SlackRefusal("hash_conflict")
    replace_view(slack, found[0], payload)
    return {"view": dump_view(found[0])}


def publish_view(slack: Workspace, given: Arguments) -> ResponseBody:
    """``views.publish``."""
    user = slack.users.get(str(given.get("user_id")))
    if user is None:
        raise SlackRefusal("user_not_found")
    payload = validate_view(slack, given.get("view"), "home")
    home = slack.homes.get(user.id)
    if home is None:
        home = slack.homes[user.id] = _create_view(slack, user.id, payload)
    elif given.get("hash") and given["hash"] != home.hash:
        raise SlackRefusal("hash_conflict")
    replace_view(slack, home, payload)
    return {"view": dump_view(home)}

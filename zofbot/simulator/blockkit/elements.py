"""Validation of block elements: text objects, options, dialogs, buttons, menus and inputs.

Limits: https://docs.slack.dev/reference/block-kit/block-elements and .../composition-objects
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zofbot.simulator.blockkit.rules import (
    ObjectRule,
    Rule,
    check_boolean,
    check_object,
    choice_rule,
    format_problem,
    integer_rule,
    list_rule,
    pattern_rule,
    string_rule,
    typed_rule,
    url_rule,
)


def plain_text_rule(most: int) -> Rule:
    """A plain_text object."""
    return typed_rule(
        {"plain_text": ObjectRule({"text": string_rule(most)}, {"emoji": check_boolean})},
        "text (it has to be plain_text)",
    )


def text_rule(most: int) -> Rule:
    """A plain_text or mrkdwn object."""
    mrkdwn = ObjectRule({"text": string_rule(most)}, {"verbatim": check_boolean})
    return typed_rule({"plain_text": plain_text_rule(most), "mrkdwn": mrkdwn}, "text")


def _option_rule(label: Rule, **more: Rule) -> Rule:
    return ObjectRule({"text": label, "value": string_rule(150)}, {"description": text_rule(75), **more})


CONFIRM_DIALOG = ObjectRule(
    {
        "title": plain_text_rule(100),
        "text": text_rule(300),
        "confirm": plain_text_rule(30),
        "deny": plain_text_rule(30),
    },
    {"style": choice_rule("primary", "danger")},
)
_OPTION_GROUP = ObjectRule({"label": plain_text_rule(75), "options": list_rule(_option_rule(plain_text_rule(75)), 100)})
_ACTION_FIELDS: dict[str, Rule] = {
    "action_id": string_rule(255),
    "confirm": CONFIRM_DIALOG,
    "focus_on_load": check_boolean,
}
_MENU_FIELDS: dict[str, Rule] = {**_ACTION_FIELDS, "placeholder": plain_text_rule(150)}
_MULTI_SELECT_FIELDS: dict[str, Rule] = {"max_selected_items": integer_rule(1, 1000)}
_ID = string_rule(255)
_DISPATCH_CONFIG = ObjectRule(
    may={"trigger_actions_on": list_rule(choice_rule("on_enter_pressed", "on_character_entered"), 2)}
)


def _list_options(value: Mapping[str, Any]) -> list[Any]:
    groups = value.get("option_groups")
    inside = (
        [option for group in groups if isinstance(group, dict) for option in group.get("options", [])] if groups else []
    )
    return [*(value.get("options") or []), *inside]


def _check_choice(value: Any, where: str) -> Iterator[str]:
    """Require exactly one of options and option_groups, and that the preselected options are among them."""
    if ("options" in value) == ("option_groups" in value):
        yield format_problem(where, "exactly one of options and option_groups is required")
        return
    chosen = [value["initial_option"]] if "initial_option" in value else value.get("initial_options", [])
    offered = _list_options(value)
    if any(option not in offered for option in chosen):
        yield format_problem(where, "initial option is not among the options")
    values = [option.get("value") for option in offered if isinstance(option, dict)]
    if len(set(values)) < len(values):
        yield format_problem(where, "option values have to be unique")


def _menu_rule(label: Rule, most: int, **more: Rule) -> Rule:
    choices = {"options": list_rule(_option_rule(label), most), "option_groups": list_rule(_OPTION_GROUP, 100)}
    return ObjectRule(may={**_MENU_FIELDS, **choices, **more}, also=_check_choice)


def _input_rule(**more: Rule) -> Rule:
    return ObjectRule(
        may={**_MENU_FIELDS, "dispatch_action_config": _DISPATCH_CONFIG, "initial_value": string_rule(3000), **more}
    )


def _picker_rule(**more: Rule) -> Rule:
    return ObjectRule(may={**_MENU_FIELDS, **more})


_DATE = pattern_rule(r"\d{4}-\d\d-\d\d", "a date like 2026-11-23")
_TIME = pattern_rule(r"([01]\d|2[0-3]):[0-5]\d", "a time like 09:30")
_OPTION = _option_rule(plain_text_rule(75))

BUTTON = ObjectRule(
    {"text": plain_text_rule(75)},
    {
        "action_id": string_rule(255),
        "value": string_rule(2000),
        "url": url_rule(),
        "style": choice_rule("primary", "danger"),
        "confirm": CONFIRM_DIALOG,
        "accessibility_label": string_rule(75),
    },
)
IMAGE = ObjectRule({"image_url": url_rule(), "alt_text": string_rule(2000)})
_OVERFLOW = ObjectRule(
    {"options": list_rule(_option_rule(plain_text_rule(75), url=url_rule()), 5, 2)},
    {"action_id": string_rule(255), "confirm": CONFIRM_DIALOG},
)

MENU_RULES: dict[str, Rule] = {
    "static_select": _menu_rule(plain_text_rule(75), 100, initial_option=_OPTION),
    "multi_static_select": _menu_rule(
        plain_text_rule(75), 100, initial_options=list_rule(_OPTION, 100), **_MULTI_SELECT_FIELDS
    ),
    "external_select": _picker_rule(initial_option=_OPTION, min_query_length=integer_rule(0, 1000)),
    "multi_external_select": _picker_rule(
        initial_options=list_rule(_OPTION, 100), min_query_length=integer_rule(0, 1000), **_MULTI_SELECT_FIELDS
    ),
    "users_select": _picker_rule(initial_user=_ID),
    "multi_users_select": _picker_rule(initial_users=list_rule(_ID, 1000), **_MULTI_SELECT_FIELDS),
    "channels_select": _picker_rule(initial_channel=_ID),
    "multi_channels_select": _picker_rule(initial_channels=list_rule(_ID, 1000), **_MULTI_SELECT_FIELDS),
    "conversations_select": _picker_rule(
        initial_conversation=_ID, default_to_current_conversation=check_boolean, filter=check_object
    ),
    "multi_conversations_select": _picker_rule(
        initial_conversations=list_rule(_ID, 1000),
        default_to_current_conversation=check_boolean,
        filter=check_object,
        **_MULTI_SELECT_FIELDS,
    ),
    "datepicker": _picker_rule(initial_date=_DATE),
    "timepicker": _picker_rule(initial_time=_TIME, timezone=string_rule(100)),
    "checkboxes": _menu_rule(text_rule(75), 10, initial_options=list_rule(_option_rule(text_rule(75)), 10)),
    "radio_buttons": _menu_rule(text_rule(75), 10, initial_option=_option_rule(text_rule(75))),
}


def find_option_problems(answer: Any) -> list[str]:
    """Return the problems of options that an app loads into a menu, one sentence each.

    https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload
    """
    choices = {"options": list_rule(_OPTION, 100, 0), "option_groups": list_rule(_OPTION_GROUP, 100, 0)}
    return list(ObjectRule(may=choices, also=_check_choice)(answer, ""))


_DATETIME_RULES = {"datetimepicker": _picker_rule(initial_date_time=integer_rule(10**9, 10**10 - 1))}
_INPUT_RULES: dict[str, Rule] = {
    "plain_text_input": _input_rule(
        multiline=check_boolean, min_length=integer_rule(0, 3000), max_length=integer_rule(1, 3000)
    ),
    "number_input": _input_rule(
        is_decimal_allowed=check_boolean, min_value=string_rule(100), max_value=string_rule(100)
    ),
    "email_text_input": _input_rule(),
    "url_text_input": _input_rule(),
}

SECTION_ELEMENT = typed_rule(
    {**MENU_RULES, "button": BUTTON, "overflow": _OVERFLOW, "image": IMAGE}, "element in a section"
)
ACTIONS_ELEMENT = typed_rule(
    {**MENU_RULES, **_DATETIME_RULES, "button": BUTTON, "overflow": _OVERFLOW}, "element in actions"
)
CONTEXT_ELEMENT = typed_rule(
    {"image": IMAGE, "mrkdwn": text_rule(3000), "plain_text": text_rule(3000)}, "element in a context"
)
INPUT_ELEMENT = typed_rule({**MENU_RULES, **_DATETIME_RULES, **_INPUT_RULES}, "element in an input")

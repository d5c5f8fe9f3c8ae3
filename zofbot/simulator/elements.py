"""What stands inside blocks: text objects, options, dialogs, buttons, menus and inputs, with Slack's limits.

Limits: https://docs.slack.dev/reference/block-kit/block-elements and .../composition-objects
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zofbot.simulator.shape import (
    Rule,
    Shape,
    boolean,
    complaint,
    many,
    mapping,
    matching,
    one_of,
    string,
    typed,
    url,
    whole,
)


def plain(most: int) -> Rule:
    """A plain_text object."""
    return typed({"plain_text": Shape({"text": string(most)}, {"emoji": boolean})}, "text (it has to be plain_text)")


def text(most: int) -> Rule:
    """A plain_text or mrkdwn object."""
    mrkdwn = Shape({"text": string(most)}, {"verbatim": boolean})
    return typed({"plain_text": plain(most), "mrkdwn": mrkdwn}, "text")


def _option(label: Rule, **more: Rule) -> Rule:
    return Shape({"text": label, "value": string(150)}, {"description": text(75), **more})


CONFIRM = Shape(
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)},
    {"style": one_of("primary", "danger")},
)
_GROUP = Shape({"label": plain(75), "options": many(_option(plain(75)), 100)})
_ACTION: dict[str, Rule] = {"action_id": string(255), "confirm": CONFIRM, "focus_on_load": boolean}
_MENU: dict[str, Rule] = {**_ACTION, "placeholder": plain(150)}
_SEVERAL: dict[str, Rule] = {"max_selected_items": whole(1, 1000)}
_ID = string(255)
_DISPATCH = Shape(may={"trigger_actions_on": many(one_of("on_enter_pressed", "on_character_entered"), 2)})


def _offered(value: Mapping[str, Any]) -> list[Any]:
    groups = value.get("option_groups")
    inside = (
        [option for group in groups if isinstance(group, dict) for option in group.get("options", [])] if groups else []
    )
    return [*(value.get("options") or []), *inside]


def _choice(value: Any, where: str) -> Iterator[str]:
    """Exactly one of options and option_groups, and nothing preselected that is not offered."""
    if ("options" in value) == ("option_groups" in value):
        yield complaint(where, "exactly one of options and option_groups is required")
        return
    chosen = [value["initial_option"]] if "initial_option" in value else value.get("initial_options", [])
    offered = _offered(value)
    if any(option not in offered for option in chosen):
        yield complaint(where, "initial option is not among the options")
    values = [option.get("value") for option in offered if isinstance(option, dict)]
    if len(set(values)) < len(values):
        yield complaint(where, "option values have to be unique")


def _menu(label: Rule, most: int, **more: Rule) -> Rule:
    choices = {"options": many(_option(label), most), "option_groups": many(_GROUP, 100)}
    return Shape(may={**_MENU, **choices, **more}, also=_choice)


def _input(**more: Rule) -> Rule:
    return Shape(may={**_MENU, "dispatch_action_config": _DISPATCH, "initial_value": string(3000), **more})


def _picker(**more: Rule) -> Rule:
    return Shape(may={**_MENU, **more})


_DATE = matching(r"\d{4}-\d\d-\d\d", "a date like 2026-11-23")
_TIME = matching(r"([01]\d|2[0-3]):[0-5]\d", "a time like 09:30")
_OPTION = _option(plain(75))

BUTTON = Shape(
    {"text": plain(75)},
    {
        "action_id": string(255),
        "value": string(2000),
        "url": url(),
        "style": one_of("primary", "danger"),
        "confirm": CONFIRM,
        "accessibility_label": string(75),
    },
)
IMAGE = Shape({"image_url": url(), "alt_text": string(2000)})
_OVERFLOW = Shape(
    {"options": many(_option(plain(75), url=url()), 5, 2)}, {"action_id": string(255), "confirm": CONFIRM}
)

MENUS: dict[str, Rule] = {
    "static_select": _menu(plain(75), 100, initial_option=_OPTION),
    "multi_static_select": _menu(plain(75), 100, initial_options=many(_OPTION, 100), **_SEVERAL),
    "external_select": _picker(initial_option=_OPTION, min_query_length=whole(0, 1000)),
    "multi_external_select": _picker(initial_options=many(_OPTION, 100), min_query_length=whole(0, 1000), **_SEVERAL),
    "users_select": _picker(initial_user=_ID),
    "multi_users_select": _picker(initial_users=many(_ID, 1000), **_SEVERAL),
    "channels_select": _picker(initial_channel=_ID),
    "multi_channels_select": _picker(initial_channels=many(_ID, 1000), **_SEVERAL),
    "conversations_select": _picker(initial_conversation=_ID, default_to_current_conversation=boolean, filter=mapping),
    "multi_conversations_select": _picker(
        initial_conversations=many(_ID, 1000), default_to_current_conversation=boolean, filter=mapping, **_SEVERAL
    ),
    "datepicker": _picker(initial_date=_DATE),
    "timepicker": _picker(initial_time=_TIME, timezone=string(100)),
    "checkboxes": _menu(text(75), 10, initial_options=many(_option(text(75)), 10)),
    "radio_buttons": _menu(text(75), 10, initial_option=_option(text(75))),
}


def loaded(answer: Any) -> list[str]:
    """What is wrong with the options that an app loads into a menu, one sentence each.

    https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload
    """
    choices = {"options": many(_OPTION, 100, 0), "option_groups": many(_GROUP, 100, 0)}
    return list(Shape(may=choices, also=_choice)(answer, ""))


_DATETIME = {"datetimepicker": _picker(initial_date_time=whole(10**9, 10**10 - 1))}
_INPUTS: dict[str, Rule] = {
    "plain_text_input": _input(multiline=boolean, min_length=whole(0, 3000), max_length=whole(1, 3000)),
    "number_input": _input(is_decimal_allowed=boolean, min_value=string(100), max_value=string(100)),
    "email_text_input": _input(),
    "url_text_input": _input(),
}

IN_SECTION = typed({**MENUS, "button": BUTTON, "overflow": _OVERFLOW, "image": IMAGE}, "element in a section")
IN_ACTIONS = typed({**MENUS, **_DATETIME, "button": BUTTON, "overflow": _OVERFLOW}, "element in actions")
IN_CONTEXT = typed({"image": IMAGE, "mrkdwn": text(3000), "plain_text": text(3000)}, "element in a context")
IN_INPUT = typed({**MENUS, **_DATETIME, **_INPUTS}, "element in an input")

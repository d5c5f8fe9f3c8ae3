"""The form's fields, prefilled from a subscription, and the words in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zofbot.domain import durations
from zofbot.domain.errors import BadInput
from zofbot.slack.views import menu_options
from zofbot.slack.views.blocks import Block, plain_text, section_block
from zofbot.slack.views.subscription_form.labels import (
    BROADCAST_LABELS,
    DEFAULT_WINDOW,
    DELAY_LABELS,
    EVENT_LABELS,
    FAILURE_LABELS,
    GROUPING_LABELS,
    IN_A_ROW_CHOICE,
    LAYOUT_LABELS,
    ROLE_LABELS,
    WINDOW_LABELS,
)
from zofbot.subscriptions import QuietHours, Subscription, Threshold
from zofbot.subscriptions.filter_people import MAX_ESCALATION_STEPS
from zofbot.subscriptions.filters import MAX_LIST_CHARACTERS
from zofbot.subscriptions.model import MentionRole
from zofbot.subscriptions.quiet_hours_parser import format_clock
from zofbot.subscriptions.tokenizer import format_form_list
from zofbot.triage import EscalationStep
from zofbot.triage.wake_times import DAY_NAMES

QUIET_BLOCK_ID = "quiet_hours"
QUIET_ACTION_IDS = ("quiet_from", "quiet_until")
"""``action_id`` of the pickers in a row: a block with this ``block_id``, which cannot show an error."""

_GLOBS_HINT = "Names or IDs, comma-separated. * matches anything; prefix - to exclude. Empty: all."
_EXTRAS_HINT = "Where Zof has them. Same rules as projects."
_STANDINGS_HINT = "None: all failures. Flaky ones mention and escalate only if selected here."
_BROADCASTS_HINT = "Otherwise only in the thread. Failures that return after being resolved are always new alerts."
_HOURS_TEXT = "*Quiet hours* (optional): alerts are held until they end. The same time twice: none."
GROUPS_HINT = "Use a group's handle, such as @oncall, or its ID."


def basic_inputs(start: Subscription, handles: Mapping[str, str]) -> list[Block]:
    """Return the fields that the form opens with. ``handles`` are those of ``build_modal``."""
    return [
        _text_input(
            "project", "Projects", format_form_list(start.project), hint=_GLOBS_HINT, example="checkout, shop-*"
        ),
        _text_input("env", "Environments", format_form_list(start.env), example="production, -staging"),
        _input_block("on", "Notify on", _choice_element("checkboxes", EVENT_LABELS, start.on), optional=False),
        *_mention_inputs("people", menu_options.GROUPS_ACTION_ID, "Mention", start.mention, handles),
        *_quiet_hours_row(start.quiet),
    ]


def needs_more_inputs(start: Subscription, zone: str) -> bool:
    """Whether a subscription has values that only the further fields show."""
    shown = {"project", "env", "on", "mention", "quiet", "id", "channel", "by", "by_name", "created"}
    others = start.model_dump(exclude=shown) != Subscription().model_dump(exclude=shown)
    quiet = start.quiet is not None and bool(start.quiet.critical or start.quiet.days or start.quiet.zone != zone)
    return others or quiet or bool(start.mention_roles)


def more_inputs(start: Subscription, zone: str, handles: Mapping[str, str]) -> list[Block]:
    """Return the further fields. ``zone`` and ``handles`` are those of ``build_modal``."""
    menu = menu_options.external_menu((), "Choose from Zof's projects")
    projects = _input_block(menu_options.PROJECTS_ACTION_ID, "Add projects", menu)
    return [projects, *_filter_inputs(start), *_delivery_inputs(start), *_timing_inputs(start, zone, handles)]


def _filter_inputs(start: Subscription) -> list[Block]:
    return [
        _text_input(
            "case",
            "Cases",
            format_form_list(start.case),
            hint="Titles or IDs, same rules as projects.",
            example="cart total*, -*flaky*",
        ),
        _text_input("branch", "Branches", format_form_list(start.branch), hint=_EXTRAS_HINT, example="main, release-*"),
        _text_input("tag", "Tags", format_form_list(start.tag), hint=_EXTRAS_HINT, example="smoke, -slow"),
        _text_input("owner", "Owners", format_form_list(start.owner), hint=_EXTRAS_HINT, example="checkout-team"),
        _input_block(
            "standings",
            "Only these failures",
            _choice_element("checkboxes", FAILURE_LABELS, start.standings),
            hint=_STANDINGS_HINT,
        ),
    ]


def _delivery_inputs(start: Subscription) -> list[Block]:
    """Return the fields that say how a failure is shown."""
    return [
        _input_block(
            "group", "Grouping", _choice_element("radio_buttons", GROUPING_LABELS, (start.group,)), optional=False
        ),
        _input_block(
            "layout", "Layout", _choice_element("radio_buttons", LAYOUT_LABELS, (start.layout,)), optional=False
        ),
        _input_block(
            "broadcast",
            "Also show in the channel",
            _choice_element("checkboxes", BROADCAST_LABELS, start.broadcast),
            hint=_BROADCASTS_HINT,
        ),
    ]


def _timing_inputs(start: Subscription, zone: str, handles: Mapping[str, str]) -> list[Block]:
    """Return the fields that say when, and whom else to mention."""
    reack = durations.format_duration(start.reack) if start.reack else ""
    roles = _choice_element("checkboxes", ROLE_LABELS, start.mention_roles)
    steps = [*start.escalate, *[None] * MAX_ESCALATION_STEPS][: max(2, len(start.escalate) + 1)]
    return [
        *_threshold_inputs(start.after),
        _input_block("roles", "Also mention", roles, hint="If their email address is known."),
        *_quiet_inputs(start.quiet, zone),
        *(
            block
            for number, step in enumerate(steps[:MAX_ESCALATION_STEPS], start=1)
            for block in _step_inputs(number, step, handles)
        ),
        _text_input("reack", "Check back with the owner after", reack, example="4h"),
    ]


def _step_inputs(number: int, step: EscalationStep | None, handles: Mapping[str, str]) -> list[Block]:
    """Return the fields of one escalation step; empty ones if there is none yet."""
    after = durations.format_duration(step.after) if step else ""
    delays = DELAY_LABELS if after in DELAY_LABELS or not step else {after: after, **DELAY_LABELS}
    menu = _choice_element("static_select", delays, (after,)) | {"placeholder": plain_text("Choose a time")}
    hint = "Mentions them in the thread until someone acknowledges." if number == 1 else ""
    people, groups = f"escalate_people_{number}", f"{menu_options.STEP_GROUPS_ACTION_PREFIX}{number}"
    return [
        _input_block(f"escalate_after_{number}", f"Escalation {number}: after", menu, hint=hint),
        *_mention_inputs(people, groups, f"Escalation {number}: mention", step.mention if step else (), handles),
    ]


def _threshold_inputs(after: Threshold | None) -> list[Block]:
    count, within = (str(after.count), _format_window(after)) if after else ("", DEFAULT_WINDOW)
    number: Block = {"type": "number_input", "is_decimal_allowed": False}
    windows = WINDOW_LABELS if within in WINDOW_LABELS else {**WINDOW_LABELS, within: within}
    hint = "2 to 100. Empty: every failure."
    return [
        _input_block("after", "Alert after this many failures", number | _initial_value(count), hint=hint),
        _input_block("window", "Within", _choice_element("static_select", windows, (within,)), optional=False),
    ]


def _mention_inputs(
    people_block: str, groups_block: str, label: str, mention: Sequence[str], handles: Mapping[str, str]
) -> list[Block]:
    people = [item for item in mention if not item.startswith("S") and item not in set(MentionRole)]
    groups = [item for item in mention if item.startswith("S")]
    groups_menu = menu_options.external_menu(menu_options.group_initial_options(groups, handles), "Choose user groups")
    chosen: Block = {"type": "multi_users_select", **({"initial_users": people} if people else {})}
    return [
        _input_block(people_block, f"{label} people", chosen),
        _input_block(groups_block, f"{label} user groups", groups_menu),
    ]


def _quiet_hours_row(quiet: QuietHours | None) -> list[Block]:
    """Return both times of the quiet hours in one row; a picker in a row cannot be emptied, so equal times are none."""
    times = (quiet.start, quiet.end) if quiet and quiet.start != quiet.end else (None, None)
    pickers = [
        {"type": "timepicker", "action_id": action, "placeholder": plain_text(label)}
        | ({"initial_time": format_clock(minute)} if minute is not None else {})
        for action, label, minute in zip(QUIET_ACTION_IDS, ("From", "Until"), times, strict=True)
    ]
    return [section_block(_HOURS_TEXT), {"type": "actions", "block_id": QUIET_BLOCK_ID, "elements": pickers}]


def _quiet_inputs(quiet: QuietHours | None, zone: str) -> list[Block]:
    through = {"critical": "Let critical alerts through (production)"}
    passes = ("critical",) if quiet and quiet.critical else ()
    days = {name[:3].lower(): name.capitalize() for name in DAY_NAMES}
    chosen = tuple(list(days)[day] for day in quiet.days) if quiet else ()
    zone = quiet.zone if quiet else zone
    return [
        _input_block("days", "Quiet days", _choice_element("checkboxes", days, chosen), hint="Quiet all day."),
        _text_input("zone", "Time zone", zone, hint="For quiet hours. Empty: yours.", example="Europe/Berlin"),
        _input_block("critical", "During quiet hours", _choice_element("checkboxes", through, passes)),
    ]


def _format_window(after: Threshold) -> str:
    return IN_A_ROW_CHOICE if after.in_a_row else durations.format_duration(after.window)


def _initial_value(value: str) -> Block:
    if len(value) > MAX_LIST_CHARACTERS:
        raise BadInput("This subscription is too long for the form.", "Remove it and type a new one.")
    return {"initial_value": value} if value else {}


def _input_block(block: str, label: str, element: Block, *, hint: str = "", optional: bool = True) -> Block:
    made: Block = {"type": "input", "block_id": block, "label": plain_text(label, 2000), "optional": optional}
    return made | {"element": element | {"action_id": block}} | ({"hint": plain_text(hint, 2000)} if hint else {})


def _text_input(block: str, label: str, start: str, *, hint: str = "", example: str) -> Block:
    element: Block = {"type": "plain_text_input", "multiline": "\n" in start, "placeholder": plain_text(example, 150)}
    return _input_block(block, label, element | _initial_value(start), hint=hint)


def _choice_element(kind: str, choices: Mapping[Any, str], chosen: tuple[Any, ...]) -> Block:
    """Build a choice element with its initial selection."""
    options = {str(value): {"text": plain_text(label), "value": str(value)} for value, label in choices.items()}
    start = [options[str(item)] for item in chosen if str(item) in options]
    made: Block = {"type": kind, "options": list(options.values())}
    if not start:
        return made
    return made | ({"initial_options": start} if kind == "checkboxes" else {"initial_option": start[0]})

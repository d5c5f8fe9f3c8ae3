"""Subscription form: one field per filter, and parsing of the input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from zofbot.domain import durations
from zofbot.domain.errors import BadInput, ZofbotError, ZofError
from zofbot.domain.text import format_mention, read_input
from zofbot.notifications import text
from zofbot.slack.inbound import with_blocks
from zofbot.slack.views import menu_options
from zofbot.slack.views.blocks import Block, Message, build_button, button_row, context_block, plain_text, section_block
from zofbot.subscriptions import Broadcast, EventType, Grouping, Layout, Subscription, Threshold, parse_filters
from zofbot.subscriptions.filters import MAX_LIST_CHARACTERS, NO_IDS, format_hours
from zofbot.subscriptions.tokenizer import format_form_list, parse_form_list, quote_list

FORM_CALLBACK_ID = "zof_subscription"
"""``callback_id`` of the form."""
PREVIEW_ACTION_ID = "zof_preview"
"""``action_id`` of the preview button."""
FIRST_BLOCK_ID = "project"
"""Block that shows errors which concern no single field."""

EVENT_LABELS = {
    EventType.FAILED: "Failed: a test or the product",
    EventType.ERROR: "Error: the platform",
    EventType.PASSED_WITH_FAILURES: "Passed, with failed cases",
    EventType.RECOVERED: "Recovered",
    EventType.GATE: "Release gate blocked",
    EventType.AGENT: "Agent offline",
    EventType.INTEGRATION: "Integration error",
    EventType.PLAN: "Remediation plan waits for approval",
}
GROUPING_LABELS = {
    Grouping.RUN: "One message a run",
    Grouping.CASE: "One message a case, over many runs",
    Grouping.CAUSE: "One message a cause, over runs and projects",
}
BROADCAST_LABELS = {
    Broadcast.RELAPSE: "Failing again within an hour of recovering",
    Broadcast.WORSE: "Failing again after 6 hours without a failure",
    Broadcast.RECOVERED: "Recovered",
}
LAYOUT_LABELS = {Layout.THREAD: "Details in the thread", Layout.FLAT: "No thread"}
IN_A_ROW_CHOICE = "row"
WINDOW_LABELS = {
    "10m": "10 minutes",
    "30m": "30 minutes",
    "1h": "1 hour",
    "6h": "6 hours",
    "1d": "1 day",
    "7d": "7 days",
    IN_A_ROW_CHOICE: "in a row, until one passes",
}
_DEFAULT_WINDOW = "1h"
_ID_PATTERN = re.compile(r"[UWS][A-Z0-9]+")
_STEP_PATTERN = re.compile(r"(?:(?P<after>[\w ]+?) ?(?:->|→) ?)?(?P<id>[UWS][A-Z0-9]+)")
_GLOBS_HINT = "Names or ids, parted by commas; * stands for anything, - in front leaves out. Empty: everything."
_BROADCASTS_HINT = (
    "None: such news stands in the thread alone. A failure that somebody had resolved is a new message anyway."
)
_STEPS_HINT = (
    "Whom to mention while nobody acknowledges: a group by its handle, such as @oncall, people by their member ID."
)
_HOURS_HINT = "Alerts wait until they end; a day of the week is quiet all day. Empty: none."
_GROUPS_HINT = "Give each group's handle, such as @oncall, or its id."

FormState = Mapping[str, Mapping[str, Any]]
"""Slack's ``view.state.values``: block id -> action id -> value."""


@dataclass(frozen=True)
class SubscriptionFormState:
    """A form's hidden state: the channel, where to reply (``url``, ``thread``), and the subscription ``id`` to edit.

    ``at`` is when the form was opened, in Unix seconds.
    """

    channel: str
    url: str
    at: float
    id: str = ""
    thread: str = ""

    def dump_metadata(self) -> str:
        """Return the state as ``private_metadata``; Slack allows 3,000 characters."""
        return json.dumps(asdict(self), separators=(",", ":"))


def build_modal(
    form: SubscriptionFormState, room: str, start: Subscription, zone: str = "UTC", handles: Mapping[str, str] = NO_IDS
) -> Block:
    """Build the form, prefilled from ``start``; ``room`` is the channel's name as Slack gives it.

    ``zone`` is the person's time zone, the default for quiet hours; ``handles`` maps user group ids to handles.
    Raises BadInput for a subscription that does not fit into Slack's fields.
    """
    hint = channel_caution(room)
    blocks = [
        section_block(f"Alerts go to {_channel_reference(form.channel)}."),
        *([context_block(hint)] if hint else []),
        *_filter_inputs(start),
        *_delivery_inputs(start),
        *_timing_inputs(start, zone, handles),
        *_preview_blocks("What would this have posted over the last 7 days?"),
    ]
    return {
        "type": "modal",
        "callback_id": FORM_CALLBACK_ID,
        "title": plain_text("Edit subscription" if form.id else "Subscribe to failures"),
        "submit": plain_text("Save" if form.id else "Subscribe"),
        "close": plain_text("Cancel"),
        "private_metadata": form.dump_metadata(),
        "blocks": blocks,
    }


def with_preview(view: Mapping[str, Any], sentence: str) -> Block:
    """Return the form with ``sentence`` (mrkdwn) as its preview."""
    blocks = [block for block in view.get("blocks") or () if block.get("block_id") not in ("foreseen", "preview")]
    return with_blocks(view, [*blocks, *_preview_blocks(sentence)])


def saved_modal(message: Message) -> Block:
    """Build the modal that shows the reply when it can no longer be posted in the channel."""
    plain = [block for block in message.blocks if block["type"] != "actions"]
    return {"type": "modal", "title": plain_text("Subscribed"), "close": plain_text("Close"), "blocks": plain}


def channel_caution(room: str) -> str:
    """Return a warning about alerts in a conversation with this name (mrkdwn); empty if there is none."""
    if room == "directmessage":
        return (
            "zofbot can write here only if this is your conversation with zofbot itself; alerts are best in a channel."
        )
    if room == "privategroup" or room.startswith("mpdm-"):
        return "This conversation is private: until zofbot is in it, alerts wait. `/invite @zofbot` lets it in."
    return ""


def field_error_text(error: ZofbotError, block: str = "", *, reference: str = "") -> str:
    """Format an error for display below a field (plain text)."""
    step = {"groups": _GROUPS_HINT, "escalate": _STEPS_HINT}.get(block, error.next_step)
    asked = f" Request ID: {error.request_id}" if isinstance(error, ZofError) and error.request_id else ""
    asked += f" Reference: {reference}" if reference else ""
    return f"{text.clean_literal(f'{error.sentence} {step}', 800)} {text.clean_literal(asked, 200)}".strip()


def invalid_form_text(filled: ParsedForm) -> str:
    """Return the text shown instead of a preview while the form has errors (mrkdwn)."""
    return "⚠️ No preview yet:\n" + "\n".join(
        f"• {text.escape_mrkdwn(sentence, 400)}" for sentence in filled.errors.values()
    )


# --- parsing


@dataclass(frozen=True)
class ParsedForm:
    """Parsed input: the ``subscription`` without the fields that have ``errors`` (by block id)."""

    subscription: Subscription
    errors: dict[str, str] = field(default_factory=dict)


def parse_form(state: FormState, ids: Mapping[str, str] = NO_IDS, zone: str = "UTC") -> ParsedForm:
    """Parse a form by the rules for typed filters, with the same errors.

    ``ids`` maps names to ids of user groups and people, ``zone`` is the person's time zone, as for ``parse_filters``.
    """
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    wrong: set[str] = set()
    for block, name, typed in _typed_filters(state):
        if name in wrong:
            continue
        try:
            line = typed()
            if line:
                values[name] = getattr(parse_filters(f"{name}:{line}", zone=zone, ids=ids), name)
        except BadInput as error:
            wrong.add(name)
            errors[block] = field_error_text(error, block)
    return ParsedForm(Subscription(**{name: value for name, value in values.items() if name not in wrong}), errors)


def names_somebody(state: FormState) -> bool:
    """Return whether people or user groups are entered as text, possibly by name."""
    return bool(_field_text(state, "groups") or _field_text(state, "escalate"))


def _typed_filters(state: FormState) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Yield (block id, filter, function returning its typed form); a later entry of a filter replaces earlier ones."""
    chosen = quote_list(_selected_options(state, menu_options.PROJECTS_ACTION_ID))
    yield "project", "project", partial(_typed_list, state, "project")
    yield (
        menu_options.PROJECTS_ACTION_ID,
        "project",
        lambda: ",".join(filter(None, (_typed_list(state, "project"), chosen))),
    )
    yield "env", "env", partial(_typed_list, state, "env")
    yield "case", "case", partial(_typed_list, state, "case")
    yield "on", "on", lambda: ",".join(_selected_options(state, "on")) or ","
    yield "group", "group", lambda: ",".join(_selected_options(state, "group"))
    yield "layout", "layout", lambda: ",".join(_selected_options(state, "layout"))
    nothing = Broadcast.NEVER.value if "broadcast" in state else ""
    yield "broadcast", "broadcast", lambda: ",".join(_selected_options(state, "broadcast")) or nothing
    window = ",".join(_selected_options(state, "window")) or _DEFAULT_WINDOW
    yield (
        "after",
        "after",
        lambda: f"{quote_list([_field_text(state, 'after')])}/{window}" if _field_text(state, "after") else "",
    )
    people = ",".join(map(format_mention, _field_state(state, "people").get("selected_users") or []))
    yield "people", "mention", lambda: people
    yield "groups", "mention", lambda: _typed_groups(state)
    yield "people", "mention", lambda: ",".join(filter(None, (people, _typed_groups(state))))
    yield from _typed_quiet_hours(state)
    yield "escalate", "escalate", lambda: ",".join(map(_typed_step, parse_form_list(_field_text(state, "escalate"))))
    yield "reack", "reack", partial(_typed_list, state, "reack")


def _typed_step(entered: str) -> str:
    """Convert an escalation step to its typed form; a form cannot hold mentions, so an id becomes one."""
    found = _STEP_PATTERN.fullmatch(entered)
    if not found:
        return quote_list([entered])
    return (f"{found['after'].replace(' ', '')}->" if found["after"] else "") + format_mention(found["id"])


def _typed_quiet_hours(state: FormState) -> Iterator[tuple[str, str, Callable[[], str]]]:
    if _field_text(state, "quiet"):
        zone = _field_text(state, "zone")
        more = [*_selected_options(state, "critical"), *([quote_list([zone])] if zone else [])]
        yield "quiet", "quiet", partial(_typed_list, state, "quiet")
        yield "zone", "quiet", lambda: ",".join([_typed_list(state, "quiet"), *more])


def _typed_list(state: FormState, block: str) -> str:
    return quote_list(parse_form_list(_field_text(state, block)))


def _typed_groups(state: FormState) -> str:
    """Return the selected groups, and those typed into an earlier version's form."""
    groups = [
        *_selected_options(state, menu_options.GROUPS_ACTION_ID),
        *parse_form_list(_field_text(state, menu_options.GROUPS_ACTION_ID)),
    ]
    return ",".join(format_mention(group) if _ID_PATTERN.fullmatch(group) else quote_list([group]) for group in groups)


def _field_state(state: FormState, block: str) -> Mapping[str, Any]:
    return (state.get(block) or {}).get(block) or {}


def _field_text(state: FormState, block: str) -> str:
    return read_input(str(_field_state(state, block).get("value") or ""), markup=False)


def _selected_options(state: FormState, block: str) -> list[str]:
    value = _field_state(state, block)
    chosen = value.get("selected_options") or [value.get("selected_option")]
    return [str(option.get("value") or "") for option in chosen if option]


# --- building


def _filter_inputs(start: Subscription) -> list[Block]:
    return [
        _text_input(
            "project", "Projects", format_form_list(start.project), hint=_GLOBS_HINT, example="checkout, shop-*"
        ),
        _input_block(
            menu_options.PROJECTS_ACTION_ID,
            "Add projects",
            menu_options.external_menu((), "Choose from Zof's projects"),
        ),
        _text_input("env", "Environments", format_form_list(start.env), example="production, -staging"),
        _text_input(
            "case",
            "Cases",
            format_form_list(start.case),
            hint="Titles or ids, likewise.",
            example="cart total*, -*flaky*",
        ),
        _input_block("on", "Tell of", _choice_element("checkboxes", EVENT_LABELS, start.on), optional=False),
    ]


def _delivery_inputs(start: Subscription) -> list[Block]:
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
    people = [item for item in start.mention if not item.startswith("S")]
    groups = [item for item in start.mention if item.startswith("S")]
    count, within = (str(start.after.count), _format_window(start.after)) if start.after else ("", _DEFAULT_WINDOW)
    number: Block = {"type": "number_input", "is_decimal_allowed": False}
    window = _choice_element(
        "static_select", WINDOW_LABELS if within in WINDOW_LABELS else {**WINDOW_LABELS, within: within}, (within,)
    )
    groups_menu = menu_options.external_menu(menu_options.group_initial_options(groups, handles), "Choose user groups")
    chosen: Block = {"type": "multi_users_select", **({"initial_users": people} if people else {})}
    quiet, zone = (format_hours(start.quiet), start.quiet.zone) if start.quiet else ("", zone)
    through = {"critical": "Critical alerts pass (production)"}
    passes = ("critical",) if start.quiet and start.quiet.critical else ()
    return [
        _input_block(
            "after",
            "Only from this many failures on",
            number | _initial_value(count),
            hint="2 to 100. Empty: each one.",
        ),
        _input_block("window", "… within", window, optional=False),
        _input_block("people", "Mention people", chosen),
        _input_block(menu_options.GROUPS_ACTION_ID, "Mention user groups", groups_menu),
        _text_input("quiet", "Quiet hours", quiet, hint=_HOURS_HINT, example="22:00-07:00, sat, sun"),
        _text_input("zone", "Time zone of the quiet hours", zone, hint="Empty: your own.", example="Europe/Berlin"),
        _input_block("critical", "In quiet hours", _choice_element("checkboxes", through, passes)),
        _text_input(
            "escalate", "Escalate", _format_steps(start), hint=_STEPS_HINT, example="15m->@oncall, 45m->U024BE7LH"
        ),
        _text_input(
            "reack",
            "Ask again who is on it after",
            durations.format_duration(start.reack) if start.reack else "",
            example="4h",
        ),
    ]


def _format_window(after: Threshold) -> str:
    return IN_A_ROW_CHOICE if after.in_a_row else durations.format_duration(after.window)


def _format_steps(start: Subscription) -> str:
    """Format escalation steps: each time before the first mention of its step."""
    return ", ".join(f"{durations.format_duration(step.after)}->{', '.join(step.mention)}" for step in start.escalate)


def _preview_blocks(sentence: str) -> list[Block]:
    return [
        section_block(sentence) | {"block_id": "foreseen"},
        *(row | {"block_id": "preview"} for row in _preview_buttons()),
    ]


def _preview_buttons() -> list[Block]:
    return button_row(build_button("Preview", PREVIEW_ACTION_ID, {}, aloud="Preview what this would have posted"))


def _channel_reference(channel: str) -> str:
    return f"<#{channel}>" if channel.startswith(("C", "G")) and channel.isalnum() else "this conversation"


def _initial_value(value: str) -> Block:
    if len(value) > MAX_LIST_CHARACTERS:
        raise BadInput("This subscription is too long for a form.", "End it and type it anew.")
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
    first: Block = {"initial_options": start} if kind == "checkboxes" else {"initial_option": start[0]}
    return {"type": kind, "options": list(options.values())} | (first if start else {})

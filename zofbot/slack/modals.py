"""The form of a subscription: every filter in a field of its own, and reading back what was filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from zofbot import spans
from zofbot.domain.text import read_input
from zofbot.errors import BadInput, ZofbotError, ZofError
from zofbot.routing import After, Broadcast, Group, Layout, On, Subscription, parse
from zofbot.routing.spelling import LONGEST_LIST, NOBODY, mentioned, spell_hours
from zofbot.routing.words import entered, quoted, shown
from zofbot.slack import suggestions, text
from zofbot.slack.message import Block, Message, actions, button, context, plain_text, section
from zofbot.slack.payload import redrawn

FORM = "zof_subscription"
"""``callback_id`` of the form."""
PREVIEW = "zof_preview"
"""``action_id`` of the button that asks what the form's subscription would have posted."""
FIRST = "project"
"""The field that an error stands at which is about no single one."""

EVENTS = {
    On.FAILED: "Failed: a test or the product",
    On.ERROR: "Error: the platform",
    On.PASSED_WITH_FAILURES: "Passed, with failed cases",
    On.RECOVERED: "Recovered",
    On.GATE: "Release gate blocked",
    On.AGENT: "Agent offline",
    On.INTEGRATION: "Integration error",
    On.PLAN: "Remediation plan waits for approval",
}
GROUPS = {Group.RUN: "One message a run", Group.CASE: "One message a case, over many runs"}
BROADCASTS = {
    Broadcast.RELAPSE: "Failing again within an hour of recovering",
    Broadcast.WORSE: "Failing again after 6 hours without a failure",
    Broadcast.RECOVERED: "Recovered",
}
LAYOUTS = {Layout.THREAD: "Details in the thread", Layout.FLAT: "No thread"}
IN_A_ROW = "row"
WINDOWS = {"10m": "10 minutes", "30m": "30 minutes", "1h": "1 hour", "6h": "6 hours", "1d": "1 day", "7d": "7 days",
           IN_A_ROW: "in a row, until one passes"}  # fmt: skip
_UNNAMED = "1h"
_AN_ID = re.compile(r"[UWS][A-Z0-9]+")
_STEP = re.compile(r"(?:(?P<after>[\w ]+?) ?(?:->|→) ?)?(?P<id>[UWS][A-Z0-9]+)")
_GLOBS = "Names or ids, parted by commas; * stands for anything, - in front leaves out. Empty: everything."
_BROADCASTS = (
    "None: such news stands in the thread alone. A failure that somebody had resolved is a new message anyway."
)
_STEPS = "Whom to mention while nobody acknowledges: a group by its handle, such as @oncall, people by their member ID."
_HOURS = "Alerts wait until they end; a day of the week is quiet all day. Empty: none."
_GROUPS = "Give each group's handle, such as @oncall, or its id."

State = Mapping[str, Mapping[str, Any]]
"""Slack's ``view.state.values``: block, action, and what stands there."""


@dataclass(frozen=True)
class Form:
    """What a form carries along unseen: the channel it is about, where to answer, and what it changes, if anything.

    ``at`` is when it was opened, in Unix seconds.
    """

    channel: str
    url: str
    at: float
    id: str = ""
    thread: str = ""

    def dump(self) -> str:
        """As ``private_metadata``; Slack takes 3,000 characters."""
        return json.dumps(asdict(self), separators=(",", ":"))


def subscribing(
    form: Form, room: str, start: Subscription, zone: str = "UTC", handles: Mapping[str, str] = NOBODY
) -> Block:
    """The form with ``start`` filled in; ``room`` is the channel's name as Slack gives it.

    ``zone`` is the time zone of whoever opens it, for quiet hours that are not set yet, ``handles`` has user groups by
    id.

    Raises BadInput for a subscription that does not fit into Slack's fields.
    """
    hint = caution(room)
    blocks = [
        section(f"Alerts go to {_place(form.channel)}."),
        *([context(hint)] if hint else []),
        *_what(start),
        *_how(start),
        *_when(start, zone, handles),
        *_foreseen("What would this have posted over the last 7 days?"),
    ]
    return {
        "type": "modal",
        "callback_id": FORM,
        "title": plain_text("Edit subscription" if form.id else "Subscribe to failures"),
        "submit": plain_text("Save" if form.id else "Subscribe"),
        "close": plain_text("Cancel"),
        "private_metadata": form.dump(),
        "blocks": blocks,
    }


def foretold(view: Mapping[str, Any], said: str) -> Block:
    """The same form with ``said`` (mrkdwn) as its preview."""
    blocks = [block for block in view.get("blocks") or () if block.get("block_id") not in ("foreseen", "preview")]
    return redrawn(view, [*blocks, *_foreseen(said)])


def done(message: Message) -> Block:
    """What takes the form's place when the answer cannot stand in the channel any more."""
    plain = [block for block in message.blocks if block["type"] != "actions"]
    return {"type": "modal", "title": plain_text("Subscribed"), "close": plain_text("Close"), "blocks": plain}


def caution(room: str) -> str:
    """What is to be known about a conversation of this name, before alerts are expected there (mrkdwn)."""
    if room == "directmessage":
        return (
            "zofbot can write here only if this is your conversation with zofbot itself; alerts are best in a channel."
        )
    if room == "privategroup" or room.startswith("mpdm-"):
        return "This conversation is private: until zofbot is in it, alerts wait. `/invite @zofbot` lets it in."
    return ""


def complaint(error: ZofbotError, block: str = "", *, reference: str = "") -> str:
    """An error as it stands beneath a field, which is plain text."""
    step = {"groups": _GROUPS, "escalate": _STEPS}.get(block, error.next_step)
    asked = f" Request ID: {error.request_id}" if isinstance(error, ZofError) and error.request_id else ""
    asked += f" Reference: {reference}" if reference else ""
    return f"{text.literal(f'{error.sentence} {step}', 800)} {text.literal(asked, 200)}".strip()


def unclear(filled: Filled) -> str:
    """What stands in the preview's place while something is wrong in the form (mrkdwn)."""
    return "⚠️ No preview yet:\n" + "\n".join(f"• {text.mrkdwn(said, 400)}" for said in filled.errors.values())


# --- reading back


@dataclass(frozen=True)
class Filled:
    """What was filled in: the ``subscription``, without the fields that have ``errors`` (by block)."""

    subscription: Subscription
    errors: dict[str, str] = field(default_factory=dict)


def read(state: State, ids: Mapping[str, str] = NOBODY, zone: str = "UTC") -> Filled:
    """Understand a form as though its fields had been typed; a field's error is what typing it would get.

    ``ids`` has the ids of user groups and people by name, ``zone`` is that of whoever filled it in, as for ``parse``.
    """
    told: dict[str, Any] = {}
    errors: dict[str, str] = {}
    wrong: set[str] = set()
    for block, name, typed in _typed(state):
        if name in wrong:
            continue
        try:
            line = typed()
            if line:
                told[name] = getattr(parse(f"{name}:{line}", zone=zone, ids=ids), name)
        except BadInput as error:
            wrong.add(name)
            errors[block] = complaint(error, block)
    return Filled(Subscription(**{name: value for name, value in told.items() if name not in wrong}), errors)


def names_somebody(state: State) -> bool:
    """Whether people or user groups are written down, perhaps by name."""
    return bool(_text(state, "groups") or _text(state, "escalate"))


def _typed(state: State) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Block, filter, and what would be typed behind its colon; a later one of the same filter adds to it."""
    chosen = quoted(_options(state, suggestions.PROJECTS))
    yield "project", "project", partial(_list, state, "project")
    yield suggestions.PROJECTS, "project", lambda: ",".join(filter(None, (_list(state, "project"), chosen)))
    yield "env", "env", partial(_list, state, "env")
    yield "case", "case", partial(_list, state, "case")
    yield "on", "on", lambda: ",".join(_options(state, "on")) or ","
    yield "group", "group", lambda: ",".join(_options(state, "group"))
    yield "layout", "layout", lambda: ",".join(_options(state, "layout"))
    nothing = Broadcast.NEVER.value if "broadcast" in state else ""
    yield "broadcast", "broadcast", lambda: ",".join(_options(state, "broadcast")) or nothing
    window = ",".join(_options(state, "window")) or _UNNAMED
    yield "after", "after", lambda: f"{quoted([_text(state, 'after')])}/{window}" if _text(state, "after") else ""
    people = ",".join(map(mentioned, _value(state, "people").get("selected_users") or []))
    yield "people", "mention", lambda: people
    yield "groups", "mention", lambda: _groups(state)
    yield "people", "mention", lambda: ",".join(filter(None, (people, _groups(state))))
    yield from _quiet(state)
    yield "escalate", "escalate", lambda: ",".join(map(_step, entered(_text(state, "escalate"))))
    yield "reack", "reack", partial(_list, state, "reack")


def _step(entered: str) -> str:
    """A time and whom it reaches, as it is typed, where an id stands for the mention that a form cannot hold."""
    found = _STEP.fullmatch(entered)
    if not found:
        return quoted([entered])
    return (f"{found['after'].replace(' ', '')}->" if found["after"] else "") + mentioned(found["id"])


def _quiet(state: State) -> Iterator[tuple[str, str, Callable[[], str]]]:
    if _text(state, "quiet"):
        zone = _text(state, "zone")
        more = [*_options(state, "critical"), *([quoted([zone])] if zone else [])]
        yield "quiet", "quiet", partial(_list, state, "quiet")
        yield "zone", "quiet", lambda: ",".join([_list(state, "quiet"), *more])


def _list(state: State, block: str) -> str:
    return quoted(entered(_text(state, block)))


def _groups(state: State) -> str:
    """Groups that are chosen, and those that were typed into the form of an earlier version."""
    groups = [*_options(state, suggestions.GROUPS), *entered(_text(state, suggestions.GROUPS))]
    return ",".join(mentioned(one) if _AN_ID.fullmatch(one) else quoted([one]) for one in groups)


def _value(state: State, block: str) -> Mapping[str, Any]:
    return (state.get(block) or {}).get(block) or {}


def _text(state: State, block: str) -> str:
    return read_input(str(_value(state, block).get("value") or ""), markup=False)


def _options(state: State, block: str) -> list[str]:
    value = _value(state, block)
    chosen = value.get("selected_options") or [value.get("selected_option")]
    return [str(option.get("value") or "") for option in chosen if option]


# --- building


def _what(start: Subscription) -> list[Block]:
    return [
        _line("project", "Projects", shown(start.project), hint=_GLOBS, example="checkout, shop-*"),
        _input(suggestions.PROJECTS, "Add projects", suggestions.menu((), "Choose from Zof's projects")),
        _line("env", "Environments", shown(start.env), example="production, -staging"),
        _line("case", "Cases", shown(start.case), hint="Titles or ids, likewise.", example="cart total*, -*flaky*"),
        _input("on", "Tell of", _chosen("checkboxes", EVENTS, start.on), optional=False),
    ]


def _how(start: Subscription) -> list[Block]:
    return [
        _input("group", "Grouping", _chosen("radio_buttons", GROUPS, (start.group,)), optional=False),
        _input("layout", "Layout", _chosen("radio_buttons", LAYOUTS, (start.layout,)), optional=False),
        _input(
            "broadcast",
            "Also show in the channel",
            _chosen("checkboxes", BROADCASTS, start.broadcast),
            hint=_BROADCASTS,
        ),
    ]


def _when(start: Subscription, zone: str, handles: Mapping[str, str]) -> list[Block]:
    people = [one for one in start.mention if not one.startswith("S")]
    groups = [one for one in start.mention if one.startswith("S")]
    count, within = (str(start.after.count), _window(start.after)) if start.after else ("", _UNNAMED)
    number: Block = {"type": "number_input", "is_decimal_allowed": False}
    window = _chosen("static_select", WINDOWS if within in WINDOWS else {**WINDOWS, within: within}, (within,))
    groups_menu = suggestions.menu(suggestions.chosen_groups(groups, handles), "Choose user groups")
    chosen: Block = {"type": "multi_users_select", **({"initial_users": people} if people else {})}
    quiet, zone = (spell_hours(start.quiet), start.quiet.zone) if start.quiet else ("", zone)
    through = {"critical": "Critical alerts pass (production)"}
    passes = ("critical",) if start.quiet and start.quiet.critical else ()
    return [
        _input("after", "Only from this many failures on", number | _start(count), hint="2 to 100. Empty: each one."),
        _input("window", "… within", window, optional=False),
        _input("people", "Mention people", chosen),
        _input(suggestions.GROUPS, "Mention user groups", groups_menu),
        _line("quiet", "Quiet hours", quiet, hint=_HOURS, example="22:00-07:00, sat, sun"),
        _line("zone", "Time zone of the quiet hours", zone, hint="Empty: your own.", example="Europe/Berlin"),
        _input("critical", "In quiet hours", _chosen("checkboxes", through, passes)),
        _line("escalate", "Escalate", _steps(start), hint=_STEPS, example="15m->@oncall, 45m->U024BE7LH"),
        _line("reack", "Ask again who is on it after", spans.spelled(start.reack) if start.reack else "", example="4h"),
    ]


def _window(after: After) -> str:
    return IN_A_ROW if after.in_a_row else spans.spelled(after.window)


def _steps(start: Subscription) -> str:
    """Each time in front of the first whom it reaches."""
    return ", ".join(f"{spans.spelled(step.after)}->{', '.join(step.mention)}" for step in start.escalate)


def _foreseen(said: str) -> list[Block]:
    return [section(said) | {"block_id": "foreseen"}, *(row | {"block_id": "preview"} for row in _preview_row())]


def _preview_row() -> list[Block]:
    return actions(button("Preview", PREVIEW, {}, aloud="Preview what this would have posted"))


def _place(channel: str) -> str:
    return f"<#{channel}>" if channel.startswith(("C", "G")) and channel.isalnum() else "this conversation"


def _start(value: str) -> Block:
    if len(value) > LONGEST_LIST:
        raise BadInput("This subscription is too long for a form.", "End it and type it anew.")
    return {"initial_value": value} if value else {}


def _input(block: str, label: str, element: Block, *, hint: str = "", optional: bool = True) -> Block:
    made: Block = {"type": "input", "block_id": block, "label": plain_text(label, 2000), "optional": optional}
    return made | {"element": element | {"action_id": block}} | ({"hint": plain_text(hint, 2000)} if hint else {})


def _line(block: str, label: str, start: str, *, hint: str = "", example: str) -> Block:
    element: Block = {"type": "plain_text_input", "multiline": "\n" in start, "placeholder": plain_text(example, 150)}
    return _input(block, label, element | _start(start), hint=hint)


def _chosen(kind: str, choices: Mapping[Any, str], chosen: tuple[Any, ...]) -> Block:
    """Something to choose from, with what is chosen already."""
    options = {str(value): {"text": plain_text(label), "value": str(value)} for value, label in choices.items()}
    start = [options[str(one)] for one in chosen if str(one) in options]
    first: Block = {"initial_options": start} if kind == "checkboxes" else {"initial_option": start[0]}
    return {"type": kind, "options": list(options.values())} | (first if start else {})

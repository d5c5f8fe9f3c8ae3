"""What somebody has filled in, as a subscription, or as errors below the fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zofbot.domain.errors import BadInput, ZofbotError, ZofError
from zofbot.domain.text import format_mention, read_input
from zofbot.notifications import text
from zofbot.slack.views import menu_options
from zofbot.slack.views.subscription_form.fields import GROUPS_HINT, QUIET_ACTION_IDS, QUIET_BLOCK_ID
from zofbot.slack.views.subscription_form.labels import DEFAULT_WINDOW
from zofbot.subscriptions import Broadcast, Subscription, parse_filters
from zofbot.subscriptions.filter_people import MAX_ESCALATION_STEPS
from zofbot.subscriptions.filter_values import NO_IDS
from zofbot.subscriptions.tokenizer import parse_form_list, quote_list

_ID_PATTERN = re.compile(r"[UWS][A-Z0-9]+")
_STEP_PATTERN = re.compile(r"(?:(?P<after>[\w ]+?) ?(?:->|→) ?)?(?P<id>[UWS][A-Z0-9]+)")

_FILTER_NAME = re.compile(r"`[a-z]+:`")
_FIELD_STEPS = {
    "after": "Enter a number from 2 to 100.",
    "quiet": "Enter hours or days, such as 22:00-07:00, sat, sun.",
    "zone": "Enter a name such as Europe/Berlin.",
    "people": "Choose someone else.",
    "groups": GROUPS_HINT,
    "escalate": "Enter groups by handle, such as 15m->@oncall, and people by member ID.",
    "reack": "Enter a duration from 1m to 30d, such as 4h.",
}
"""What to enter in a field, where the command line's advice would name filters."""

FormState = Mapping[str, Mapping[str, Any]]
"""Slack's ``view.state.values``: block id -> action id -> value."""


def field_error_text(error: ZofbotError, block: str = "", *, reference: str = "") -> str:
    """Format an error for display below a field (plain text)."""
    sentence, step = error.sentence, error.next_step
    if isinstance(error, BadInput):  # in words of the form, not of the command line
        sentence = re.sub("^this", "This", _FILTER_NAME.sub("this field", sentence)).replace("`", "")
        step = _FIELD_STEPS.get(block) or _FILTER_NAME.sub("this field", step).replace("`", "")
    asked = f" Request ID: {error.request_id}" if isinstance(error, ZofError) and error.request_id else ""
    asked += f" Reference: {reference}" if reference else ""
    return f"{text.clean_literal(f'{sentence} {step}', 800)} {text.clean_literal(asked, 200)}".strip()


def invalid_form_text(filled: ParsedForm) -> str:
    """Return the text shown instead of a preview while the form has errors (mrkdwn)."""
    return "⚠️ No preview yet:\n" + "\n".join(
        f"• {text.escape_mrkdwn(sentence, 400)}" for sentence in filled.errors.values()
    )


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
                typed_name = "on" if name == "standings" else name
                values[name] = getattr(parse_filters(f"{typed_name}:{line}", zone=zone, ids=ids), name)
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
    for name in ("branch", "tag", "owner"):
        yield name, name, partial(_typed_list, state, name)
    events = [*_selected_options(state, "on"), *_selected_options(state, "standings")]
    yield "on", "on", lambda: ",".join(events) if _selected_options(state, "on") else ","
    yield "standings", "standings", lambda: ",".join(events)
    yield "group", "group", lambda: ",".join(_selected_options(state, "group"))
    yield "layout", "layout", lambda: ",".join(_selected_options(state, "layout"))
    nothing = Broadcast.NEVER.value if "broadcast" in state else ""
    yield "broadcast", "broadcast", lambda: ",".join(_selected_options(state, "broadcast")) or nothing
    window = ",".join(_selected_options(state, "window")) or DEFAULT_WINDOW
    yield (
        "after",
        "after",
        lambda: f"{quote_list([_field_text(state, 'after')])}/{window}" if _field_text(state, "after") else "",
    )
    people = ",".join(map(format_mention, _field_state(state, "people").get("selected_users") or []))
    yield "people", "mention", lambda: people
    yield "groups", "mention", lambda: _typed_groups(state)
    roles = ",".join(_selected_options(state, "roles"))
    yield "people", "mention", lambda: ",".join(filter(None, (people, _typed_groups(state), roles)))
    yield from _typed_quiet_hours(state)
    yield from _typed_escalation(state)
    yield "reack", "reack", partial(_typed_list, state, "reack")


def _typed_escalation(state: FormState) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Yield the steps up to each one; or those typed into an earlier version's form."""
    if entered := _field_text(state, "escalate"):
        yield "escalate", "escalate", lambda: ",".join(map(_typed_step, parse_form_list(entered)))
        return
    for number in range(1, MAX_ESCALATION_STEPS + 1):
        yield f"escalate_after_{number}", "escalate", partial(_chosen_steps, state, number)


def _chosen_steps(state: FormState, last: int) -> str:
    """Return the typed form of the steps up to ``last``. Raises BadInput for half a step."""
    typed: list[str] = []
    for number in range(1, last + 1):
        after = "".join(_selected_options(state, f"escalate_after_{number}"))
        mentions = _chosen_mentions(
            state, f"escalate_people_{number}", f"{menu_options.STEP_GROUPS_ACTION_PREFIX}{number}"
        )
        if bool(after) != bool(mentions):
            raise BadInput(f"Escalation {number} needs a time and someone to mention.", "Choose both, or neither.")
        typed += [f"{after}->{mentions}"] if after else []
    return ",".join(typed)


def _chosen_mentions(state: FormState, people: str, groups: str) -> str:
    users = map(format_mention, _field_state(state, people).get("selected_users") or [])
    return ",".join(filter(None, (*users, _typed_groups(state, groups))))


def _typed_step(entered: str) -> str:
    """Convert an escalation step to its typed form; a form cannot hold mentions, so an id becomes one."""
    found = _STEP_PATTERN.fullmatch(entered)
    if not found:
        return quote_list([entered])
    return (f"{found['after'].replace(' ', '')}->" if found["after"] else "") + format_mention(found["id"])


def _typed_quiet_hours(state: FormState) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Yield hours, hours with days, and all; or what was typed into an earlier version's form."""
    entered, days = _typed_list(state, "quiet"), ",".join(_selected_options(state, "days"))
    zone = _field_text(state, "zone")
    more = [*_selected_options(state, "critical"), *([quote_list([zone])] if zone else [])]

    def type_hours(*others: str) -> str:
        hours = ",".join(filter(None, (entered or _chosen_hours(state), days)))
        return ",".join([hours, *others]) if hours else ""

    yield "quiet" if entered else QUIET_BLOCK_ID, "quiet", lambda: entered or _chosen_hours(state)
    yield "days", "quiet", type_hours
    yield "zone", "quiet", partial(type_hours, *more)


def _chosen_hours(state: FormState) -> str:
    """Return the hours of both pickers; empty if there are none. Raises BadInput for a single time."""
    row = state.get(QUIET_BLOCK_ID) or {}
    start, end = (str((row.get(action) or {}).get("selected_time") or "") for action in QUIET_ACTION_IDS)
    if bool(start) != bool(end):
        raise BadInput("Quiet hours need two times.", "Choose both, or the same time twice for none.")
    return f"{start}-{end}" if start != end else ""


def _typed_list(state: FormState, block: str) -> str:
    return quote_list(parse_form_list(_field_text(state, block)))


def _typed_groups(state: FormState, block: str = menu_options.GROUPS_ACTION_ID) -> str:
    """Return the selected groups, and those typed into an earlier version's form."""
    groups = [*_selected_options(state, block), *parse_form_list(_field_text(state, block))]
    return ",".join(format_mention(group) if _ID_PATTERN.fullmatch(group) else quote_list([group]) for group in groups)


def _field_state(state: FormState, block: str) -> Mapping[str, Any]:
    return (state.get(block) or {}).get(block) or {}


def _field_text(state: FormState, block: str) -> str:
    return read_input(str(_field_state(state, block).get("value") or ""), markup=False)


def _selected_options(state: FormState, block: str) -> list[str]:
    value = _field_state(state, block)
    chosen = value.get("selected_options") or [value.get("selected_option")]
    return [str(option.get("value") or "") for option in chosen if option]

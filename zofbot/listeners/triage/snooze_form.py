"""Snooze form: parses the end that people choose or type, and updates the preview while they type."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog

from zofbot.domain.errors import BadInput, SlackError
from zofbot.domain.permissions import Person
from zofbot.listeners.context import ListenerContext
from zofbot.slack.views.forms import parse_private_metadata
from zofbot.slack.views.triage import triage_modals
from zofbot.slack.views.triage.triage_modals import TriageFormState
from zofbot.triage import Action, ActionRequest, Actor
from zofbot.triage.wake_times import describe_time, parse_wake_time

log = structlog.get_logger()

_PASSES_PATTERN = re.compile(
    r"(?:(?:until|till) )?(?:(?:it|this|(?:this |the )?cause) )?(?:passes|recovers|stops)(?: again)?"
)
_FAILS_PATTERN = re.compile(r"until it fails (?:once more|([1-9]\d{0,2})(?: more)?(?: times?)?)")


MAX_OPEN_FORMS = 1000
"""Maximum open forms whose latest input is kept."""


class SnoozeInput(NamedTuple):
    """A form's ``view`` as Slack sends it on each input, and the input's timestamp (``at``)."""

    at: str
    view: Mapping[str, Any]


def with_snooze(request: ActionRequest, words: str, person: Person, key: str) -> ActionRequest:
    """Add the end of a snooze to a request: a typed time, or a condition, for the failure ``key``.

    Raises BadInput.
    """
    typed = " ".join(words.lower().split())
    if typed == triage_modals.RECOVERS_CHOICE or _PASSES_PATTERN.fullmatch(typed):
        return request.model_copy(update={"until": None})  # set, which tells it from a form that was not filled in
    counted = _FAILS_PATTERN.fullmatch(typed)
    if not counted and typed != triage_modals.FAILS_MORE_CHOICE:
        return request.model_copy(update={"until": parse_wake_time(typed, request.at, person.zone)})
    if key.startswith("run:"):
        raise BadInput("A run fails only once, so it can't be snoozed by failure count.",
                       "Give a time, or `until it passes`.", example="until it passes")  # fmt: skip
    return request.model_copy(update={"more": int(counted[1] or 1) if counted else triage_modals.SNOOZE_FAILURE_COUNT})


def describe_wake(request: ActionRequest, words: str, person: Person, key: str) -> str:
    """Describe the end of the snooze for the preview (mrkdwn)."""
    try:
        snoozed = with_snooze(request, words, person, key)
    except BadInput as error:
        return f"⚠️ {error.sentence} For example: `{error.example}`"
    if snoozed.until is not None:
        return f"⏰ Ends {describe_time(snoozed.until, request.at, person.zone)}, in your time zone."
    if snoozed.more:
        return f"⏰ Ends when it fails {'once more' if snoozed.more == 1 else f'{snoozed.more} more times'}."
    return "⏰ Ends when it passes. Alerts again if it fails after that."


class WakePreviews:
    """Updates the preview in each open form while somebody types.

    Slack sends a request per character, and requests may arrive out of order. Each form has one update at a time, for
    the newest input and on top of the version (Slack's hash) of the previous update, so old input never wins.
    """

    def __init__(self, context: ListenerContext) -> None:
        self._context = context
        self._newest: OrderedDict[str, SnoozeInput] = OrderedDict()
        self._updating: set[str] = set()

    async def update_preview(self, user: str, typed: SnoozeInput) -> None:
        """Update the preview of a form that ``user`` has open, unless newer input is known."""
        form = str(typed.view.get("id") or "")
        known = self._newest.get(form)
        if known and known.at > typed.at:
            return
        self._newest[form] = typed
        if form in self._updating:
            return
        self._updating.add(form)
        try:
            await self._show_newest(user, form)
        except (BadInput, SlackError) as error:
            log.info("preview not shown", cause=error.sentence)
        finally:
            self._updating.discard(form)
            while len(self._newest) > MAX_OPEN_FORMS:
                self._newest.popitem(last=False)

    async def _show_newest(self, user: str, form: str) -> None:
        """Update the form until it shows the newest input. Raises BadInput and SlackError."""
        person = await self._context.people.load_person(user)
        shown: SnoozeInput | None = None
        version = str(self._newest[form].view.get("hash") or "")
        while shown is not self._newest.get(form, shown):
            shown = self._newest[form]
            request = ActionRequest(act=Action.SNOOZE, who=Actor(id=user), at=self._context.clock.time())
            preview = describe_wake(
                request,
                triage_modals.snooze_input(shown.view),
                person,
                parse_private_metadata(TriageFormState, shown.view).key,
            )
            version = await self._update_modal(triage_modals.with_preview(shown.view, preview), form, version)

    async def _update_modal(self, view: dict[str, Any], form: str, version: str) -> str:
        """Update the form; returns its new version. Raises SlackError.

        Input that Slack's client sent before it received the previous update has an old version. It is still the newest
        input, so after a conflict the update is repeated without a version.
        """
        try:
            return await self._context.notifier.views.update_view(form, view, version)
        except SlackError as error:
            if error.reason != "hash_conflict":
                raise
            return await self._context.notifier.views.update_view(form, view)

"""Until when a failure is snoozed: what people choose or type, and the preview of it in the form while they type."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog

from zofbot.domain.errors import BadInput, SlackError
from zofbot.domain.permissions import Person
from zofbot.listeners.context import ListenerContext
from zofbot.slack.inbound import parse_private_metadata
from zofbot.slack.views import triage_modals
from zofbot.slack.views.triage_modals import TriageFormState
from zofbot.triage import Action, ActionRequest, Actor
from zofbot.triage.wake_times import describe_time, parse_wake_time

log = structlog.get_logger()

_PASSES_PATTERN = re.compile(r"(?:(?:until|till) )?(?:it )?(?:passes|recovers)(?: again)?")
_FAILS_PATTERN = re.compile(r"until it fails (?:once more|([1-9]\d{0,2})(?: more)?(?: times?)?)")


MAX_OPEN_FORMS = 1000
"""Forms of which it is remembered what was typed last."""


class SnoozeInput(NamedTuple):
    """A form's ``view``, as Slack sends it when something is typed or chosen, and Slack's time stamp (``at``)."""

    at: str
    view: Mapping[str, Any]


def with_snooze(wish: ActionRequest, words: str, person: Person, key: str) -> ActionRequest:
    """Say when a snooze ends: at a time as people type it, or by a condition, for the failure under ``key``.

    Raises BadInput.
    """
    typed = " ".join(words.lower().split())
    if typed == triage_modals.RECOVERS_CHOICE or _PASSES_PATTERN.fullmatch(typed):
        return wish
    counted = _FAILS_PATTERN.fullmatch(typed)
    if not counted and typed != triage_modals.FAILS_MORE_CHOICE:
        return wish.model_copy(update={"until": parse_wake_time(typed, wish.at, person.zone)})
    if key.startswith("run:"):
        raise BadInput("A run fails once, so it cannot sleep until it fails more often.",
                       "Say a time, or `until it passes`.", example="until it passes")  # fmt: skip
    return wish.model_copy(update={"more": int(counted[1] or 1) if counted else triage_modals.SNOOZE_FAILURE_COUNT})


def describe_wake(wish: ActionRequest, words: str, person: Person, key: str) -> str:
    """When it would wake by what is typed or chosen, for the preview (mrkdwn)."""
    try:
        asleep = with_snooze(wish, words, person, key)
    except BadInput as error:
        return f"⚠️ {error.sentence} For example: `{error.example}`"
    if asleep.until is not None:
        return f"⏰ Wakes {describe_time(asleep.until, wish.at, person.zone)}, in your time zone."
    if asleep.more:
        return f"⏰ Wakes when it has failed {'once more' if asleep.more == 1 else f'{asleep.more} more times'}."
    return "⏰ Sleeps until it passes, and wakes if it fails again after that."


class WakePreviews:
    """Keeps the preview in each open form in step with what is typed.

    Slack sends each character by itself, and requests may overtake each other. One update runs at a time for a form,
    for the newest of what was typed, and on the version (Slack's hash) that the update before it left; so what was
    typed earlier never stands in the end.
    """

    def __init__(self, desk: ListenerContext) -> None:
        self._desk = desk
        self._newest: OrderedDict[str, SnoozeInput] = OrderedDict()
        self._updating: set[str] = set()

    async def update_preview(self, user: str, typed: SnoozeInput) -> None:
        """Show what the form that ``user`` has open holds by now, unless something newer is known of it."""
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
        """Update the form until it shows the newest. Raises BadInput and SlackError."""
        person = await self._desk.people.load_person(user)
        shown: SnoozeInput | None = None
        version = str(self._newest[form].view.get("hash") or "")
        while shown is not self._newest.get(form, shown):
            shown = self._newest[form]
            wish = ActionRequest(act=Action.SNOOZE, who=Actor(id=user), at=self._desk.clock.time())
            said = describe_wake(
                wish,
                triage_modals.snooze_input(shown.view),
                person,
                parse_private_metadata(TriageFormState, shown.view).key,
            )
            version = await self._update_modal(triage_modals.with_preview(shown.view, said), form, version)

    async def _update_modal(self, drawn: dict[str, Any], form: str, version: str) -> str:
        """Change the form; gives its new version. Raises SlackError.

        What was typed before this client had heard of the last update comes with an old version; no newer text is
        known then, so this one is shown without asking for any version.
        """
        try:
            return await self._desk.notifier.update_view(form, drawn, version)
        except SlackError as error:
            if error.reason != "hash_conflict":
                raise
            return await self._desk.notifier.update_view(form, drawn)

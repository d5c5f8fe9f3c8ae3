"""What people do about failures, by button and by form: stored before Slack gets its answer, so no click is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.access import Person, Role, refusal
from zofbot.errors import BadInput, NotAllowed, SlackError, ZofbotError
from zofbot.listeners import endings, lookups, ordering, snooze_form, why
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.listeners.known import adopted, check_channel, known, may, note_refusal, require_reader, require_visible
from zofbot.listeners.snooze_form import Typed
from zofbot.pipeline.failures import Failure, Forbidden, Gone, Stale
from zofbot.pipeline.keys import parted
from zofbot.slack import act_forms, acts
from zofbot.slack.act_forms import Meant
from zofbot.slack.bodies import CaseBody
from zofbot.slack.controls import MORE, REASONS, About, Insisted, insisted, pressed
from zofbot.slack.message import Message
from zofbot.slack.payload import carried
from zofbot.triage import TABLE, Act, Who, Wish
from zofbot.triage.life import BY_PEOPLE
from zofbot.triage.times import choices

log = structlog.get_logger()

ASKS = {Act.ASSIGN, Act.SNOOZE, Act.RESOLVE}
"""Acts that a form asks about first."""

_MENU = ("why", "rerun", "run", "open")
"""What else the menu of a card holds."""

_TYPED = {
    Act.ASSIGN: "@zofbot assign @ben",
    Act.SNOOZE: "@zofbot snooze 2h",
    Act.RESOLVE: "@zofbot resolve flaky: retried",
}
"""How each of them is typed instead."""


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the controls of cards, to the buttons of answers about them, and to the forms of acts."""
    previews = snooze_form.WakePreviews(desk)

    async def press(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """A button or the menu of a card."""
        word, about = pressed(action)
        await _press(desk, ack, body, word, Insisted(about))

    async def again(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """A button of an answer: *Undo*, *Do it anyway*, *Still on it*."""
        await _press(desk, ack, body, str(action.get("action_id") or "").removeprefix("zof_do_"), insisted(action))

    async def filled(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await _submitted(desk, asked(body), view))

    async def changed(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """Something else was chosen or typed in the form of a snooze."""
        await ack()
        desk.errands.start(
            previews.follow(asked(body).user, Typed(str(action.get("action_ts") or ""), body.get("view") or {}))
        )

    for act in BY_PEOPLE:
        app.action(f"zof_triage_{act}")(press)
        app.action(f"zof_do_{act}")(again)
    for act in ASKS:
        app.view(f"{act_forms.FORM}_{act}")(filled)
    app.action(MORE)(press)
    app.action(act_forms.WAKES)(changed)


async def _press(desk: Desk, ack: Any, body: dict[str, Any], word: str, press: Insisted) -> None:
    who, about = asked(body), press.about
    if about is None or word not in (*BY_PEOPLE, *_MENU) or parted(about.key)[2] != who.channel:
        await ack()
        desk.answer_later(who, _unusable(about, who.channel))
    elif word in BY_PEOPLE and (Act(word) not in ASKS or _still(press, now(desk))):
        told = await desk.told(do(desk, who, about, Act(word), **press.filled))
        await ack()
        if told.message.text:
            desk.errands.start(desk.respond(who, told.message))
    else:
        await ack()
        if word in BY_PEOPLE:
            desk.errands.start(open_form(desk, who, about, Act(word)))
        elif word == "why":
            desk.answer_later(who, why.of_alert(desk, who, about.key))
        elif word == "rerun":
            desk.answer_later(who, ordering.offer_rerun(desk, who, about))
        elif word == "run":
            desk.answer_later(who, _show_run(desk, who, about))


def _still(press: Insisted, at: float) -> bool:
    """Whether what was filled in is still worth doing; else it is asked for again."""
    return press.again and bool(press.filled) and press.filled.get("until", at + 1) > at


async def _unusable(about: About | None, channel: str) -> Message:
    """Say what is wrong with a press that no client of Slack's sends. Raises BadInput."""
    if about is not None:
        check_channel(about.key, channel)
    raise BadInput("This button does not say what it is about.", "Use the latest card of this failure.")


async def do(desk: Desk, who: Asked, about: About, act: Act, **filled: Any) -> Message:
    """Do it, or say what keeps it from being done. Raises ZofbotError."""
    person = await may(desk, who, Role.RESPONDER, acts.attempt(act), about.key)
    return await done(desk, who, about, wish(desk, who, person, act, **filled))


def wish(desk: Desk, who: Asked, person: Person, act: Act, **filled: Any) -> Wish:
    """What somebody wants done, with what a form asked for ``filled`` in."""
    by = Who(id=who.user, name=person.name or who.name)
    return Wish(act=act, who=by, at=now(desk), request=who.request, **filled)


async def done(desk: Desk, who: Asked, about: About, wish: Wish) -> Message:
    """Carry a wish out on the version that ``about`` names, or on any if it names none, and say how that went.

    Raises ZofbotError.
    """
    try:
        failure = await desk.failures.get(about.key)
        if wish.act is Act.ESCALATE and failure and not failure.body.policy.escalate:
            return acts.nobody()
        failure = await desk.failures.do(about.key, wish, version=about.version)
    except Gone:
        if not await adopted(desk, who, about):
            return acts.gone(about.key)
        failure = await desk.failures.do(about.key, wish)
    except Stale as error:
        await note_refusal(desk, who, acts.attempt(wish.act), "the card showed what has passed", about.key)
        return _stale(error.failure, wish)
    except Forbidden as error:
        present = error.failure.present
        await note_refusal(desk, who, acts.attempt(wish.act), f"not possible while {present.state.value}", about.key)
        return acts.forbidden(error.act, error.failure.title, About(about.key, present.version), present, wish.at)
    return acts.done(wish.act, failure.title, About(failure.key, failure.present.version), failure.present)


# --- forms


async def open_form(desk: Desk, who: Asked, about: About, act: Act) -> None:
    """Open the form of an act, or say why it cannot be done."""
    try:
        person = await may(desk, who, Role.RESPONDER, acts.attempt(act), about.key)
        failure = await desk.failures.get(about.key)
        version = about.version if failure else ""
        failure = failure or await known(desk, who, about)
        refused = _overtaken(failure, Wish(act=act, who=Who(id=who.user), at=now(desk)), version)
        if refused:
            await note_refusal(desk, who, acts.attempt(act), "overtaken before its form was opened", about.key)
            await desk.respond(who, refused)
            return
        meant = Meant(about.key, failure.present.version, who.channel, who.response_url, who.thread)
        await desk.open_form(who, form(desk, act, meant, failure, person))
    except Gone:
        await desk.respond(who, acts.gone(about.key))
    except SlackError as error:
        log.warning("form not opened", act=act, reason=error.reason, user=who.user)
        step = "Press the button again, or type it in the alert's thread."
        await desk.respond(who, endings.failed(BadInput("Slack did not open the form.", step, example=_TYPED[act])))
    except ZofbotError as error:
        await desk.respond(who, endings.failed(error))


def _overtaken(failure: Failure, wish: Wish, version: str) -> Message | None:
    """Why there is no use in asking for more: the card shows what has passed, or the act makes no sense by now."""
    present = failure.present
    about = About(failure.key, present.version)
    if version and version != present.version:
        return _stale(failure, wish)
    if wish.act in TABLE[present.state]:
        return None
    return acts.forbidden(wish.act, failure.title, about, present, wish.at)


def _stale(failure: Failure, wish: Wish) -> Message:
    """What somebody is told whose card showed what has passed."""
    about = About(failure.key, failure.present.version)
    return acts.stale(wish, failure.title, about, failure.present, allowed=failure.allows(wish))


def form(desk: Desk, act: Act, meant: Meant, failure: Failure, person: Person) -> dict[str, Any]:
    """The form of an act that asks something first."""
    match act:
        case Act.ASSIGN:
            return act_forms.assign(meant, failure.title, person.id)
        case Act.SNOOZE:
            offered = choices(now(desk), person.zone)
            counts = isinstance(failure.body, CaseBody)
            chosen = Wish(act=act, who=Who(id=person.id), at=now(desk))
            foreseen = snooze_form.describe_wake(chosen, offered[1].value, person, failure.key)
            return act_forms.snooze(meant, failure.title, offered, foreseen, counts=counts)
        case _:
            return act_forms.resolve(meant, failure.title, note=desk.note)


async def _submitted(desk: Desk, who: Asked, view: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a form says; gives what Slack is to do with the form."""
    act = Act(str(view["callback_id"]).removeprefix(f"{act_forms.FORM}_"))
    try:
        meant = carried(Meant, view)
        check_channel(meant.key, meant.channel)
        there = replace(who, channel=meant.channel, response_url=meant.url, thread=meant.thread)
        person = await may(desk, there, Role.RESPONDER, acts.attempt(act), meant.key)
        wanted = await _wished(desk, act, there, person, meant.key, view)
    except (BadInput, NotAllowed) as error:
        return _wrong(act, endings.beneath(error))
    told = await desk.told(done(desk, there, About(meant.key, meant.version), wanted))
    if told.failed:  # what was typed stays
        return _wrong(act, told.message.text)
    if meant.url:
        desk.errands.start(desk.respond(there, told.message))
    return {}


def _wrong(act: Act, said: str) -> dict[str, Any]:
    field = {Act.SNOOZE: "words", Act.ASSIGN: "owner"}.get(act, "note")
    return {"response_action": "errors", "errors": {field: said.strip()[:1000]}}


async def _wished(  # noqa: PLR0913, PLR0917  (what a form has)
    desk: Desk, act: Act, who: Asked, person: Person, key: str, view: Mapping[str, Any]
) -> Wish:
    wanted = wish(desk, who, person, act)
    match act:
        case Act.ASSIGN:
            chosen = act_forms.filled(view, "owner", "owner")
            return await assigned(desk, wanted, chosen)
        case Act.SNOOZE:
            return snooze_form.with_end(wanted, act_forms.snooze_words(view), person, key)
        case _:
            reason = act_forms.filled(view, "reason", "reason")
            return resolved(desk, wanted, reason, act_forms.filled(view, "note", "note"))


async def assigned(desk: Desk, wish: Wish, user: str) -> Wish:
    """Assign it to somebody who could work on it; to oneself is to acknowledge it. Raises BadInput."""
    if user == wish.who.id:
        return wish.model_copy(update={"act": Act.ACKNOWLEDGE})
    chosen = await desk.people.person(user)
    if refusal(Role.RESPONDER, chosen, desk.roles) and not chosen.doubt:
        raise BadInput(f"You cannot assign this failure to {chosen.name or user}, who may not work on failures here.",
                       "Choose a full member of this workspace.")  # fmt: skip
    return wish.model_copy(update={"owner": Who(id=user, name=chosen.name or user)})


def resolved(desk: Desk, wish: Wish, reason: str, note: str) -> Wish:
    """For a reason, with a note where the operator wants one. Raises BadInput."""
    if reason not in REASONS:
        raise BadInput("Why is it resolved?", f"Choose one of {', '.join(REASONS)}.", example="resolve flaky: retried")
    if desk.note and not note.strip():
        raise BadInput("A note is compulsory here.", "Say in a sentence what you found.",
                       example="resolve flaky: retried")  # fmt: skip
    return wish.model_copy(update={"reason": reason, "note": note.strip()[:1000]})


# --- the rest of the menu


async def _show_run(desk: Desk, who: Asked, about: About) -> Message:
    tried = "look up this run"
    await require_reader(desk, who, tried)
    failure = await desk.failures.get(about.key)
    if failure is not None:
        await require_visible(desk, who, failure.channel, tried)
    if failure is None:
        return acts.gone(about.key)
    return await lookups.run(desk, failure.body.run.id)


def now(desk: Desk) -> float:
    """Unix seconds by the bot's clock."""
    return desk.clock.time()

"""Notifications as people read them in a channel: drawn from their body when they are sent."""

from __future__ import annotations

from typing import assert_never

from pydantic import ValidationError

from zofbot.notification import Claimed, Kind, Unwanted
from zofbot.slack import bodies, text
from zofbot.slack.bodies import ActBody, Body, FailureBody, NoticeBody, Place, StormBody, TimerBody
from zofbot.slack.controls import About
from zofbot.slack.links import Links
from zofbot.slack.message import Message, context, section
from zofbot.slack.pieces import ending, moment, paging, run_buttons
from zofbot.slack.replies import (
    act_message,
    assigned_message,
    thread_reply,
    timer_reply,
)
from zofbot.slack.roots import View, case_root, run_root
from zofbot.slack.storms import members_reply, storm_root
from zofbot.triage import Triage, current, stand_in_storm, under_way

LATE = 600.0
"""Seconds after which a message says when the thing happened, and why it comes so late."""

NO_LINKS = Links()

NOTICES = {
    "gate": ("🚧", "Release gate blocked"),
    "agent": ("🔌", "Agent offline"),
    "integration": ("🔗", "Integration error"),
    "plan": ("📝", "Remediation plan waits for approval"),
}
"""Emoji and words of Zof's own events."""


def render(claimed: Claimed, now: float, links: Links = NO_LINKS, *, runs: bool = False) -> Message:
    """Draw a claimed notification as it is to stand at ``now`` (Unix seconds); ``runs`` may be started from it or not.

    A root shows its failure's latest state, whatever it was when the notification was committed. A body of a version
    that this one does not know becomes one plain line. Raises Unwanted where there is nothing to say any more.
    """
    shown, notification = claimed.notification.body, claimed.notification
    if notification.kind is not Kind.REPLY:
        shown = claimed.failure or shown
        if not shown:
            raise Unwanted
    try:
        body = bodies.read(shown)
        failure = bodies.read(claimed.failure) if claimed.failure and shown is not claimed.failure else body
        record = Triage.model_validate_json(claimed.triage) if claimed.triage else Triage()
        storm = _storm_of(claimed, now)
    except ValidationError:
        name = text.code(claimed.notification.key, 200)
        said = f"Zof has news that this version of zofbot cannot show: {name}"
        return Message(said, [section(said)])
    key = notification.root or notification.key
    present = current(record, failure.course, now) if isinstance(failure, FailureBody) else record
    if storm:
        if isinstance(body, TimerBody) and body.sort == "escalate" and present.at <= storm.at:
            raise Unwanted  # the storm is escalated as a whole
        present = stand_in_storm(present, storm)
    if isinstance(body, TimerBody):
        return timer_reply(body, failure, About(key, present.version), present)
    if isinstance(body, ActBody) and key.startswith("assigned:"):
        return assigned_message(body, links)
    offered = runs and not under_way(claimed.rerun, now)
    message = _drawn(body, View(key, present, links, offered, storm is not None), now)
    late = _late(claimed, now)
    return ending(message, context(late)) if late else message


def _storm_of(claimed: Claimed, now: float) -> Triage | None:
    """How the storm stands that the failure is part of. Raises pydantic's ValidationError."""
    body = bodies.read(claimed.storm) if claimed.storm else None
    if not isinstance(body, StormBody):
        return None
    record = Triage.model_validate_json(claimed.storm_triage) if claimed.storm_triage else Triage()
    return current(record, body.course, now)


def _drawn(body: Body, view: View, now: float) -> Message:
    links = view.links
    match body:
        case bodies.RunBody():
            return run_root(body, view)
        case bodies.CaseBody():
            return case_root(body, view)
        case (
            bodies.ResultBody()
            | bodies.RestBody()
            | bodies.AgainBody()
            | bodies.FlappingBody()
            | bodies.RecoveredBody()
            | bodies.RerunBody()
        ):
            return thread_reply(body, links)
        case StormBody():
            return storm_root(body, view, now)
        case bodies.MembersBody():
            return members_reply(body, links)
        case ActBody():
            return act_message(body, links)
        case NoticeBody():
            return _notice(body, links)
        case TimerBody():
            raise Unwanted  # it is about a failure that is not known any more
        case _:
            assert_never(body)


def _late(claimed: Claimed, now: float) -> str:
    """When it happened and what kept it, if it is told late; an edit is about the present."""
    one, waited = claimed.notification, now - claimed.committed
    if one.kind is Kind.EDIT or now - one.happened < LATE:
        return ""
    ago = f"Happened {text.duration(now - one.happened)} ago ({moment(one.happened)}), told late"
    if one.not_before - one.happened >= LATE / 2 and one.not_before > claimed.committed:
        return f"{ago}: quiet hours held it back."
    if claimed.committed - one.happened >= waited:
        return f"{ago}: zofbot heard of it only {text.duration(max(0.0, waited))} ago."
    return f"{ago}: Slack did not take it sooner."


def _notice(body: NoticeBody, links: Links) -> Message:
    """One of Zof's own events."""
    emoji, words = NOTICES.get(body.event, ("📣", "News from Zof"))
    facts = [text.line(part, 100) for part in (body.project, body.environment)]
    said = " · ".join([words, *(fact for fact in facts if fact)])
    told = f"\n{text.mrkdwn(body.said, 600)}" if body.said else ""
    about = text.code(body.about)
    below = [
        *(run_buttons(Place(id=body.run_id), links) if body.run_id else []),
        *([context(about)] if about else []),
    ]
    message = paging(said, [section(f"{emoji} *{said}*{told}")], "", [], body.mention)
    for block in below:
        message = ending(message, block)
    return message

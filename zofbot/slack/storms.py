"""The summary of a storm, which people work on as on any failure, and the list of what it is made of."""

from __future__ import annotations

from zofbot.model import Outcome, Result, Run
from zofbot.slack import text
from zofbot.slack.bodies import Member, MembersBody, Standing, StormBody
from zofbot.slack.cards import LOOKS
from zofbot.slack.controls import LOOKS as STATES
from zofbot.slack.controls import Offers, controls, standing
from zofbot.slack.links import Links
from zofbot.slack.message import Block, Message, context, header, section
from zofbot.slack.pieces import as_run, count, moment, paging, paragraphs
from zofbot.slack.roots import View

CALM = 60.0
"""Seconds after its last failure when a storm is over."""

MAX_LINK_LENGTH = 500
"""Characters of a link in the list, of which many stand in one message."""

_STANDING = {Standing.OPEN: "🔴", Standing.RECOVERED: "✅", Standing.AGAIN: "🔁"}


def storm_root(body: StormBody, view: View, now: float) -> Message:
    """So many failures that they share one message: where, how many are still open, and what people make of it."""
    over = body.closed or now >= body.last + CALM
    said = _headline(body, over=over)
    look = LOOKS[Outcome.CANCELED if over and not body.open else Outcome.FAILED]
    emoji, colour, shown = "🌤️" if over else "🌩️", look.colour, said
    if body.members and view.present.state in STATES:
        word, emoji, colour = STATES[view.present.state]
        shown = f"{word}: {said}"
    rows = (f"*{_place(project, environment)}*: {number}" for project, environment, number in body.places)
    kept = f"{count(body.alerts, 'alert')} came too fast to stand alone and {'were' if over else 'are'} counted here"
    run = as_run(body.run)
    below = [
        *([section(f"All in run *{text.line(run.title or run.id, 150)}*")] if run.id else []),
        *paragraphs(rows),
        *([context(f"and {body.elsewhere} elsewhere")] if body.elsewhere else []),
        *_members(body, view),
        context(f"{kept}, since {moment(body.since)}."),
    ]
    line = f"{shown} · {_left(body)}" if body.members else shown
    return paging(line, [header(text.literal(f"{emoji} {shown}", 150))], colour, below, body.mention)


def _headline(body: StormBody, *, over: bool) -> str:
    failures, lasted = count(body.failures, "failure"), text.duration(max(body.last - body.since, 1.0))
    return f"The storm is over: {failures} in {lasted}" if over else f"Storm: {failures} so far"


def _members(body: StormBody, view: View) -> list[Block]:
    """How many are open and who has them, with the controls; nothing for a storm that nobody can work on."""
    left_out = f"{count(body.unmentioned, 'mention')} left out: the same people are mentioned twice a minute at most."
    if not body.members:
        return [context(left_out)] if body.unmentioned else []
    offers = Offers(bool(body.policy.escalate), link=view.links.run(as_run(body.run)), run_id=body.run.id)
    return [
        section(f"*{_left(body)}*. The thread lists all of them; what you do here is done about each."),
        *standing(view.present),
        *controls(view.about, view.present, offers),
        *([context(left_out)] if body.unmentioned else []),
    ]


def _left(body: StormBody) -> str:
    alerts = count(body.members, "alert")
    return f"{body.open} of {alerts} still open" if body.open else f"All of {alerts} recovered"


def members_reply(body: MembersBody, links: Links) -> Message:
    """One page of what the storm is made of, with how each stands now."""
    last = body.first + len(body.members) - 1
    said = f"Alerts {body.first} to {last} of this storm" if last > body.first else f"Alert {body.first} of this storm"
    return Message(said, [section(f"*{said}*"), *paragraphs(_row(member, links) for member in body.members)])


def _row(member: Member, links: Links) -> str:
    title = text.line(member.title or member.id, 100)
    link = _link(member, links)
    linked = link and len(link) <= MAX_LINK_LENGTH and "|" not in link and ">" not in link
    shown = f"<{link}|{title}>" if linked else title
    facts = [
        _place(member.project, member.environment),
        text.code(member.id) if member.id != member.title else "",
        f"failed {member.count} times" if member.count > 1 else "",
        {Standing.RECOVERED: "recovered", Standing.AGAIN: "failing again"}.get(member.standing, ""),
    ]
    emoji = _STANDING[member.standing] if member.followed else "📣"
    return f"{emoji} *{shown}* · {' · '.join(fact for fact in facts if fact)}"


def _link(member: Member, links: Links) -> str:
    """Its page in Zof, where there is one."""
    if not member.followed:
        return ""
    if member.key.startswith("run:"):
        return links.run(Run(id=member.id, url=member.url or None))
    return links.result(Result(id=member.id, url=member.url or None))


def _place(project: str, environment: str) -> str:
    known = [part for part in (text.line(project, 85), text.line(environment, 85)) if part]
    return " · ".join(known) or "not known where"

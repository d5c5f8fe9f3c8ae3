"""Which failure is meant, where its message stands, and who may work on it."""

from __future__ import annotations

import structlog

from zofbot import tracing
from zofbot.access import Person, Role, Standing, refusal, role_of
from zofbot.errors import BadInput, NotAllowed, SlackError, StoreUnavailable, ZofError
from zofbot.listeners.desk import Asked, Desk
from zofbot.model import Outcome
from zofbot.notification import Receipt
from zofbot.pipeline.failures import Failure, Gone
from zofbot.pipeline.keys import parted, root_of
from zofbot.routing import Finding
from zofbot.slack.bodies import Case, CaseBody, Place, RunBody
from zofbot.slack.controls import About
from zofbot.store import audit
from zofbot.store.audit import REFUSED
from zofbot.store.entry import Entry

log = structlog.get_logger()


async def display_name(desk: Desk, who: Asked) -> str:
    """What somebody is called everywhere: as Slack shows them; as they came with the request where it does not say.

    Slack sends handles with commands and ids with events, so that one person would go by three names.
    """
    return (await desk.people.person(who.user)).name or who.name


async def note_refusal(desk: Desk, who: Asked, tried: str, reason: str, key: str = "") -> None:
    """Write into the audit that somebody was kept from what they ``tried``, once for each request of Slack's."""
    entry = audit.Entry(
        at=desk.clock.time(), act=REFUSED, user=who.user, name=await display_name(desk, who), channel=who.channel,
        key=key, details={"tried": tried, "reason": reason}, request=who.request,
    )  # fmt: skip
    try:
        if not who.request or await desk.store.claim(f"refused:{who.request}"):
            await desk.audit.append(entry)
    except StoreUnavailable as error:  # it is refused all the same
        log.error("refusal not in the audit", tried=tried, user=who.user, cause=error.sentence)


async def may(desk: Desk, who: Asked, needed: Role, tried: str, key: str = "") -> Person:
    """Who somebody is, if they may do what takes that role: ``tried``, as it follows "you cannot".

    ``key`` names the failure it is about. Raises NotAllowed with the reason where they may not; the audit knows it.
    """
    person = await desk.people.person(who.user)
    reason = refusal(needed, person, desk.roles, tried)
    tracing.step(
        "permission", f"needs {needed.name.lower()}", "refused" if reason else "granted", bad=bool(reason),
        has=role_of(person, desk.roles).name.lower(), standing=person.standing.value,
    )  # fmt: skip
    if reason:
        await note_refusal(desk, who, tried, f"needs the role {needed.name.lower()}", key)
        raise NotAllowed(reason)
    return person


async def require_reader(desk: Desk, who: Asked, tried: str) -> None:
    """Let those on who may see more than what stands in their channel: the one rule for reading, typed or pressed.

    Members and guests of this workspace may. People of other organizations may where an operator shows them details,
    and somebody of whom Slack does not say who they are may where nobody but us reads. ``tried`` follows "you cannot".
    Raises NotAllowed.
    """
    person = await desk.people.person(who.user)
    if person.standing in (Standing.MEMBER, Standing.GUEST):
        return
    if person.standing is Standing.UNKNOWN:
        if not await desk.inward(who.channel):
            return
        reason = f"Slack did not say who you are, so you cannot {tried}: you see no more than this channel."
        reason = f"{reason} {person.doubt}".strip()
    elif person.standing is Standing.STRANGER and desk.details:
        return
    else:
        reason = f"You cannot {tried} here. Only people of this workspace see more than the cards in this channel."
    await note_refusal(desk, who, tried, f"is no reader: {person.standing.value}")
    raise NotAllowed(reason)


async def require_visible(desk: Desk, who: Asked, channel: str, tried: str) -> None:
    """Let those on who may see what stands in ``channel``: the one they ask in, or one that is visible to them.

    ``tried`` follows "you cannot". Raises NotAllowed.
    """
    if channel == who.channel:
        return
    if channel not in await desk.people.visible(await desk.people.person(who.user), [channel]):
        await note_refusal(desk, who, tried, f"is not in the channel {channel}")
        raise NotAllowed(f"You cannot {tried}: you are not in its channel, as far as Slack tells.")


def check_channel(key: str, channel: str) -> None:
    """Raise BadInput where the failure under ``key`` belongs to another channel: no client of Slack's sends that."""
    if parted(key)[2] != channel:
        raise BadInput("This failure belongs to another channel.", "Use its card there.")


async def known(desk: Desk, who: Asked, about: About) -> Failure:
    """The failure, read from Zof again if it has to be. Raises Gone."""
    failure = await desk.failures.get(about.key)
    if failure is None and await adopted(desk, who, about):
        failure = await desk.failures.get(about.key)
    if failure is None:
        raise Gone(about.key)
    return failure


async def root_at(desk: Desk, channel: str, ts: str) -> str:
    """The key of the failure whose message stands there; empty for any other message.

    Our own receipts are asked first: Slack may let us read no more than one message a minute. Raises SlackError.
    """
    own = await desk.failures.root_at(Receipt(channel, ts))
    return own or root_of(await desk.notifier.key_of(channel, ts), channel)


async def standing(desk: Desk, key: str) -> Entry | None:
    """What the outbox knows of a message; of one that people deleted, what it knows of the one in its place."""
    entry = await desk.outbox.show(key)
    return await desk.outbox.show(entry.replaced_by) if entry and entry.replaced_by else entry


async def link(desk: Desk, entry: Entry | None) -> str:
    """Where a message can be seen; nothing while it is on its way, or when Slack does not say."""
    if entry is None or entry.receipt is None:
        return ""
    try:
        return await desk.notifier.permalink(entry.receipt)
    except SlackError as error:
        log.info("no permalink", key=entry.key, reason=error.reason)
        return ""


async def adopted(desk: Desk, who: Asked, about: About) -> bool:
    """Know a failure again whose record is gone, by reading from Zof what its key names; False when that fails.

    The message it was asked on is its own, so that this one shows what becomes of it.
    """
    kind, identifier, channel = parted(about.key)
    now = desk.clock.time()
    try:
        if kind == "case":
            result = await desk.zof.result(identifier)
            run = await desk.zof.run(result.run_id) if result.run_id else None
            place = Place.of(run, run.outcome) if run else Place(id="")
            at = result.when.timestamp() if result.when else now
            body: RunBody | CaseBody = CaseBody(run=place, case=Case.of(result, 1500), first=at, last=at, opened=at)
        elif kind == "run":
            run = await desk.zof.run(identifier)
            at = run.when.timestamp() if run.when else now
            finding = Finding.of(run, run.results or (), otherwise=now)
            top = tuple(map(Case.of, finding.bad[:3]))
            known = finding.outcome.bad or finding.passed_with_failures
            place = Place.of(run, finding.outcome if known else Outcome.FAILED)
            body = RunBody(run=place, bad=finding.total, top=top, last=at, opened=at)
        else:
            return False
    except ZofError as error:
        log.info("failure not adopted", key=about.key, cause=error.sentence, request_id=error.request_id)
        return False
    stands = Receipt(channel, who.message) if who.message and channel == who.channel else None
    await desk.failures.adopt(about.key, body, stands)
    return True

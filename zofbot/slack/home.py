"""App Home: what needs somebody next, how things stand, and whether all works; never more than Slack takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from zofbot.model import Run, Schedule
from zofbot.routing.mute import Mute
from zofbot.slack import answers, mutes, text
from zofbot.slack.cards import LOOKS, word
from zofbot.slack.links import Links
from zofbot.slack.message import Block, button, context, fields, header, link_button, plain_text, section
from zofbot.slack.pieces import count, moment, paragraphs, planned
from zofbot.slack.rounds import Row, row
from zofbot.slack.verdict import MENDS
from zofbot.verbs import COMMAND, VERBS

EDIT, RETRY = "zof_home_edit", "zof_home_retry"
"""``action_id`` of the buttons."""

ROWS, GOING, NEXT, WISHES, DEAD = 8, 5, 5, 15, 5
"""How many are shown of each: failures, runs in progress, next runs, subscriptions, dead letters."""

CONSOLE_ONLY = "Coverage, risk and specifications are in Zof's Console only: Zof has no API for them."
"""What is missing here, and why (https://zof.ai/docs/reliability/risk, https://zof.ai/docs/specifications)."""

LATE_SECONDS = 60.0
"""For how long a run that is due counts as one to come: Zof may not have listed the schedule anew yet."""

MOST = 100
"""Blocks that Slack takes (https://docs.slack.dev/reference/views/home-tab-views); the parts come to fewer."""


@dataclass(frozen=True)
class Figures:
    """Runs of the last 24 hours, as of ``at`` (Unix seconds); ``cut``: Zof has more than were read."""

    at: float
    runs: int = 0
    passed: int = 0
    bad: int = 0
    going: tuple[Run, ...] = ()
    cut: bool = False

    @property
    def rate(self) -> float | None:
        """The part that passed of those that passed, failed or errored."""
        ended = self.passed + self.bad
        return self.passed / ended if ended else None


@dataclass(frozen=True)
class Part:
    """The first rows of a list, and how many there are."""

    rows: Sequence[Row] = ()
    total: int = 0


@dataclass(frozen=True)
class Wanted:
    """A subscription, as it is typed, and the id of its channel."""

    id: str
    channel: str
    wish: str


@dataclass(frozen=True)
class Dead:
    """A notification that was given up."""

    key: str
    channel: str
    reason: str
    since: float | None = None


@dataclass(frozen=True)
class Trouble:
    """What went wrong with Zof, and its id of the request; ``since`` in Unix seconds where it is known."""

    sentence: str
    request_id: str = ""
    since: float = 0.0


@dataclass(frozen=True)
class Health:
    """Whether all works. ``polled`` (Unix seconds) is when Zof was last read well, 0 for never.

    ``store`` says what is wrong with Redis; then the rest of what Redis knows is not known.
    """

    zof: Trouble | None = None
    lacking: Sequence[Trouble] = ()
    """What the key may not read, while the rest works."""
    store: str = ""
    polled: float = 0.0
    polling: bool = False
    late: bool = False
    waiting: int = 0
    oldest: float = 0.0
    parked: int = 0
    paused: str = ""
    dead: int = 0
    letters: Sequence[Dead] = ()


@dataclass(frozen=True)
class Home:
    """All that one person's Home shows at ``now`` (Unix seconds).

    ``open`` failures stand in their channels; ``since`` is when the oldest was told that nobody acknowledged. ``note``
    says what became of their last press. ``rooms``: Slack said which channels are theirs.
    """

    now: float
    figures: Figures | None = None
    open: int = 0
    since: float | None = None
    mine: Part = Part()
    waiting: Part = Part()
    wishes: Sequence[Wanted] = ()
    muted: Sequence[Mute] = ()
    health: Health = Health()
    rooms: bool = True
    edits: bool = False
    retries: bool = False
    links: Links = field(default_factory=Links)
    note: Sequence[Block] = ()
    schedules: Sequence[Schedule] = ()


def draw(home: Home) -> Block:
    """The view as Slack takes it."""
    known = not home.health.store
    parts = (
        _failures("Yours", home.mine, home.now) if known else [],
        _failures("Waiting for an acknowledgement in your channels", home.waiting, home.now) if known else [],
        _going(home),
        _next(home),
        _wishes(home) if known else [],
        _muted(home) if known else [],
        _health(home),
    )
    blocks = [
        *home.note,
        header(_headline(home)),
        *fields(_figures(home)),
        *(block for part in parts if part for block in ({"type": "divider"}, *part)),
        context(
            f"As of {moment(home.now)}. `{COMMAND} help` lists what can be typed; `{COMMAND} triage all` what is open "
            f"elsewhere. {CONSOLE_ONLY}"
        ),
    ]
    return {"type": "home", "blocks": blocks[:MOST]}


def little(doubt: str = "") -> Block:
    """What everybody may see who is not known to be a full member of the workspace; ``doubt`` says why."""
    verbs = (VERBS[name] for name in ("result", "run", "runs", "help"))
    return {
        "type": "home",
        "blocks": [
            header("Zof's results, where you talk"),
            section("Type these in a channel. Answers are private."),
            *(section(f"`{COMMAND} {text.mrkdwn(verb.usage)}`\n{verb.does}") for verb in verbs),
            context(text.line(doubt, 500) if doubt else "Full members of this workspace see how things stand here."),
        ],
    }


def plain() -> Block:
    """The last resort where Slack refuses the view as it is drawn."""
    said = (
        f"Slack refused the full view; an operator finds the reason in the log. `{COMMAND} triage all` says the same."
    )
    return {"type": "home", "blocks": [header("Zof's results, where you talk"), section(said)]}


def broken(reference: str) -> Block:
    """Something nobody foresaw; ``reference`` stands in the log beside the traceback."""
    return {
        "type": "home",
        "blocks": [*answers.broken(reference).blocks, context(f"`{COMMAND} help` works without it.")],
    }


def _headline(home: Home) -> str:
    waiting = home.waiting.total
    if home.health.store:
        return "⚠️ zofbot's store does not answer"
    if not waiting and not home.mine.total:
        return "🌤️ Nothing waits for you"
    parts = [f"{count(waiting, 'failure')} {'waits' if waiting == 1 else 'wait'} for somebody"] if waiting else []
    parts += [f"{home.mine.total} {'is' if home.mine.total == 1 else 'are'} yours"] if home.mine.total else []
    return f"🔥 {', '.join(parts)}"


def _figures(home: Home) -> list[tuple[str, str]]:
    """The headline figures, as label and value; what is not known is left out."""
    shown: list[tuple[str, str]] = []
    if home.figures:
        over = "over " if home.figures.cut else ""
        shown = [("Runs in 24 h", f"{over}{home.figures.runs}"), ("Pass rate", _rate(home.figures))]
    elif not home.health.zof:
        shown = [("Runs in 24 h", "⏳ asking Zof…")]
    if home.health.store:
        return shown
    age = text.duration(max(home.now - home.since, 1)) if home.since is not None else "none"
    lag = text.duration(home.health.oldest) if home.health.oldest >= 1 else "none"
    return [*shown, ("Open in your channels", str(home.open)), ("Oldest unacknowledged", age), ("Delivery lag", lag)]


def _rate(figures: Figures) -> str:
    if figures.rate is None:
        return "no run has ended"
    squares = round(figures.rate * 10)
    squares = min(max(squares, int(figures.passed > 0)), 10 - int(figures.bad > 0))
    return f"{percent(figures.rate)} {'🟩' * squares}{'🟥' * (10 - squares)}"


def percent(part: float) -> str:
    """A part of one in whole percent; all and nothing are said only of all and nothing."""
    return f"{min(max(round(part * 100), int(part > 0)), 100 - int(part < 1))} %"


def _failures(title: str, part: Part, now: float) -> list[Block]:
    if not part.total:
        return []
    more = part.total - len(part.rows)
    rows = [section(row(one, now)) for one in part.rows]
    return [_title(title, part.total), *rows, *([context(f"and {more} more: `{COMMAND} triage`")] if more > 0 else [])]


def _title(title: str, number: int) -> Block:
    return section(f"*{title}* ({number})")


def _going(home: Home) -> list[Block]:
    runs = home.figures.going if home.figures else ()
    if not runs:
        return []
    more = len(runs) - GOING
    rows = [_run(run, home) for run in runs[:GOING]]
    return [_title("Runs in progress", len(runs)), *rows, *([context(f"and {more} more")] if more > 0 else [])]


def _next(home: Home) -> list[Block]:
    """What Zof's schedules start next; those of which the time is not known come last, with their cron line."""
    active = [each for each in home.schedules if not each.paused and (_due(each, home.now) or each.cron)]
    if not active:
        return []
    active.sort(key=lambda each: (_due(each, home.now) or math.inf, each.name or each.id))
    more = len(active) - NEXT
    lines = [_schedule(each, home.now) for each in active[:NEXT]]
    return [
        _title("Next runs", len(active)),
        *paragraphs(lines),
        *([context(f"and {more} more")] if more > 0 else []),
    ]


def _due(schedule: Schedule, now: float) -> float | None:
    """When a schedule starts its next run (Unix seconds); what is over says nothing of the next one."""
    at = schedule.next.timestamp() if schedule.next else None
    return at if at is not None and at >= now - LATE_SECONDS else None


def _schedule(schedule: Schedule, now: float) -> str:
    at = _due(schedule, now)
    facts = [
        planned(at) if at else f"cron {text.code(schedule.cron or '', 60)}",
        text.line(schedule.project or "", 60),
        text.line(schedule.environment or "", 60),
    ]
    return f"🕓 *{text.line(schedule.name or schedule.id, 120)}*: {' · '.join(fact for fact in facts if fact)}"


def _run(run: Run, home: Home) -> Block:
    began = run.started or run.created
    facts = [
        text.line(run.project or "", 60),
        text.line(run.environment or "", 60),
        f"for {text.duration(max(home.now - began.timestamp(), 1))}" if began else "",
        text.code(run.id),
    ]
    title = f"{LOOKS[run.outcome].emoji} *{text.line(f'{word(run)}: {run.title or run.id}', 160)}*"
    link = link_button("Open in Zof", "zof_open", home.links.run(run))
    return section(f"{title}\n{' · '.join(fact for fact in facts if fact)}", link)


def _wishes(home: Home) -> list[Block]:
    if not home.rooms:
        return [context("⚠️ Slack does not say which channels are yours, so what they are told is not shown.")]
    if not home.wishes:
        example = f"`{COMMAND} subscribe` in a channel has it told of failures."
        return [section(f"*Your channels' subscriptions*\nNone of your channels is told of failures. {example}")]
    more = len(home.wishes) - WISHES
    rows = [_wish(one, edits=home.edits) for one in home.wishes[:WISHES]]
    note = [context(f"and {more} more: `{COMMAND} subscriptions` in their channels")] if more > 0 else []
    return [_title("Your channels' subscriptions", len(home.wishes)), *rows, *note]


def _muted(home: Home) -> list[Block]:
    places = [f"{_channel(mute.channel)} " for mute in home.muted]
    return mutes.listed(home.muted, ends=False, places=places)


def _wish(one: Wanted, *, edits: bool) -> Block:
    edit = button("Edit", EDIT, {"id": one.id, "channel": one.channel}, aloud="Edit this subscription")
    return section(f"{_channel(one.channel)} {text.code(one.wish or 'all failures', 300)}", edit if edits else None)


def _channel(identifier: str) -> str:
    if identifier.startswith("D"):
        return "your messages with zofbot:"
    return f"<#{identifier}>" if identifier.isalnum() and identifier.isascii() else ""


def _health(home: Home) -> list[Block]:
    lines = list(_lines(home))
    bad = sum(line.startswith("⚠️") for line in lines)
    title = f"*Health*: {'all is well' if not bad else count(bad, 'trouble')}"
    return [section(title), *paragraphs(lines), *_letters(home)]


def _lines(home: Home) -> Iterable[str]:
    health = home.health
    yield _trouble(health.zof) if health.zof else "✅ Zof answers."
    yield from map(_trouble, health.lacking)
    if health.store:
        yield f"⚠️ {text.mrkdwn(health.store, 300)} What it knows is not shown here; nothing is lost by that."
        return
    yield "✅ Redis answers."
    yield _polled(health)
    yield _slack(health)
    if health.dead:
        yield f"⚠️ {count(health.dead, 'notification')} {'was' if health.dead == 1 else 'were'} given up."


def _trouble(trouble: Trouble) -> str:
    asked = f"Request ID: {text.code(trouble.request_id)}" if trouble.request_id else "Zof returned no request id."
    since = f" ({moment(trouble.since)})" if trouble.since else ""
    return f"⚠️ Zof: {text.mrkdwn(trouble.sentence, 400)}{since} {asked}"


def _polled(health: Health) -> str:
    if not health.polled:
        return (
            "⏳ The first poll of Zof is under way." if health.polling else "⚠️ Nobody polls Zof: `zofbot worker` does."
        )
    last = f"Zof was last polled to the end {moment(health.polled)}"
    if health.late or not health.polling:
        return f"⚠️ {last}{'' if health.polling else '. Nobody polls now: `zofbot worker` does'}."
    return f"✅ {last}."


def _slack(health: Health) -> str:
    waits = f"{count(health.waiting, 'notification')} {'waits' if health.waiting == 1 else 'wait'} to be sent"
    if health.paused:
        return (
            f"⚠️ Slack: {MENDS.get(health.paused, (f'It takes nothing ({text.line(health.paused, 80)}).',))[0]} {waits}."
        )
    if health.parked:
        return f"⚠️ Slack: {count(health.parked, 'channel')} {'refuses' if health.parked == 1 else 'refuse'}; {waits}."
    return f"✅ Slack takes messages; {waits}." if health.waiting else "✅ Slack takes messages; nothing waits."


def _letters(home: Home) -> list[Block]:
    """What was given up, for those who may have it sent after all."""
    if not home.retries or not home.health.letters:
        return []
    blocks = []
    for one in home.health.letters[:DEAD]:
        since = f" · {moment(one.since)}" if one.since else ""
        retry = button("Retry", RETRY, {"key": one.key}, aloud="Send this notification after all")
        said = f"💀 {_channel(one.channel)} {text.code(one.key, 300)}\n{text.line(one.reason, 200)}{since}"
        blocks.append(section(said, retry and retry | {"confirm": _SURE}))
    more = home.health.dead - len(blocks)
    return [*blocks, *([context(f"and {more} more: `zofbot outbox list --state dead`")] if more > 0 else [])]


_SURE: Block = {
    "title": plain_text("Send it after all?"),
    "text": plain_text("It is looked for first, so that it is not there twice."),
    "confirm": plain_text("Retry"),
    "deny": plain_text("Leave it"),
}

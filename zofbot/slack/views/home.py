"""App Home view: failures that need attention, statistics, subscriptions and health, within Slack's limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from zofbot.domain.commands import SLASH_COMMAND, VERBS
from zofbot.domain.model import Run, Schedule
from zofbot.notifications import text
from zofbot.slack.errors import EXPLANATIONS
from zofbot.slack.links import ZofLinks
from zofbot.slack.views import mutes, replies
from zofbot.slack.views.blocks import (
    Block,
    build_button,
    context_block,
    field_blocks,
    header_block,
    link_button,
    plain_text,
    section_block,
)
from zofbot.slack.views.cards import OUTCOME_STYLES, outcome_word
from zofbot.slack.views.components import count_noun, format_moment, format_planned_time, paragraph_blocks
from zofbot.slack.views.oncall import FailureRow, failure_row_text
from zofbot.subscriptions.mute import Mute

EDIT_ACTION_ID, RETRY_ACTION_ID = "zof_home_edit", "zof_home_retry"
"""``action_id`` of the buttons."""

MAX_FAILURE_ROWS, MAX_RUNS_IN_PROGRESS, MAX_NEXT_RUNS, MAX_SUBSCRIPTION_ROWS, MAX_DEAD_LETTERS = 8, 5, 5, 15, 5
"""Maximum rows shown of each: failures, runs in progress, next runs, subscriptions, dead letters."""

CONSOLE_ONLY_NOTE = "Coverage, risk and specifications are in Zof's Console only: Zof has no API for them."
"""What App Home lacks, and why (https://zof.ai/docs/reliability/risk, https://zof.ai/docs/specifications)."""

SCHEDULE_GRACE_SECONDS = 60.0
"""Seconds that an overdue run is still shown as the next one: the schedule may not have been read again yet."""

MAX_HOME_BLOCKS = 100
"""Maximum blocks (https://docs.slack.dev/reference/views/home-tab-views); all sections together have fewer."""


@dataclass(frozen=True)
class DailyStats:
    """Runs of the last 24 hours, as of ``at`` (Unix seconds); ``cut``: Zof has more than were read."""

    at: float
    runs: int = 0
    passed: int = 0
    bad: int = 0
    going: tuple[Run, ...] = ()
    cut: bool = False

    @property
    def pass_rate(self) -> float | None:
        """Share of passed runs among those that passed, failed or errored, 0 to 1."""
        ended = self.passed + self.bad
        return self.passed / ended if ended else None


@dataclass(frozen=True)
class FailureList:
    """The first rows of a list, and the total number."""

    rows: Sequence[FailureRow] = ()
    total: int = 0


@dataclass(frozen=True)
class HomeSubscription:
    """A subscription's filters as typed (``wish``), and its channel id."""

    id: str
    channel: str
    wish: str


@dataclass(frozen=True)
class DeadLetterRow:
    """A notification that could not be delivered."""

    key: str
    channel: str
    reason: str
    since: float | None = None


@dataclass(frozen=True)
class ZofProblem:
    """An error from Zof with its request id; ``since`` in Unix seconds, 0 if unknown."""

    sentence: str
    request_id: str = ""
    since: float = 0.0


@dataclass(frozen=True)
class BotHealth:
    """Health of the bot. ``polled`` (Unix seconds) is the last successful poll of Zof, 0 for never.

    ``store`` is the error from Redis; if it is set, the values that come from Redis are unknown.
    """

    zof: ZofProblem | None = None
    lacking: Sequence[ZofProblem] = ()
    """Listings that the API key may not read."""
    store: str = ""
    polled: float = 0.0
    polling: bool = False
    late: bool = False
    waiting: int = 0
    oldest: float = 0.0
    parked: int = 0
    paused: str = ""
    dead: int = 0
    letters: Sequence[DeadLetterRow] = ()


@dataclass(frozen=True)
class HomeData:
    """Data of one person's Home at ``now`` (Unix seconds).

    ``open`` counts failures in their channels; ``since`` is the first alert of the oldest unacknowledged one.
    ``note`` is the result of their last click. ``rooms``: Slack returned the person's channels.
    """

    now: float
    figures: DailyStats | None = None
    open: int = 0
    since: float | None = None
    mine: FailureList = FailureList()
    waiting: FailureList = FailureList()
    wishes: Sequence[HomeSubscription] = ()
    muted: Sequence[Mute] = ()
    health: BotHealth = BotHealth()
    rooms: bool = True
    edits: bool = False
    retries: bool = False
    links: ZofLinks = field(default_factory=ZofLinks)
    note: Sequence[Block] = ()
    schedules: Sequence[Schedule] = ()


def render_home(home: HomeData) -> Block:
    """Render the view."""
    known = not home.health.store
    parts = (
        _failure_section("Yours", home.mine, home.now) if known else [],
        _failure_section("Waiting for an acknowledgement in your channels", home.waiting, home.now) if known else [],
        _runs_in_progress(home),
        _next_runs(home),
        _subscription_section(home) if known else [],
        _muted(home) if known else [],
        _health_section(home),
    )
    blocks = [
        *home.note,
        header_block(_headline_text(home)),
        *field_blocks(_stats_fields(home)),
        *(block for part in parts if part for block in ({"type": "divider"}, *part)),
        context_block(
            f"As of {format_moment(home.now)}. `{SLASH_COMMAND} help` lists what can be typed; "
            f"`{SLASH_COMMAND} triage all` what is open elsewhere. {CONSOLE_ONLY_NOTE}"
        ),
    ]
    return {"type": "home", "blocks": blocks[:MAX_HOME_BLOCKS]}


def guest_view(doubt: str = "") -> Block:
    """Render the view for people not known to be full members of the workspace; ``doubt`` says why."""
    verbs = (VERBS[name] for name in ("result", "run", "runs", "help"))
    return {
        "type": "home",
        "blocks": [
            header_block("Zof's results, where you talk"),
            section_block("Type these in a channel. Answers are private."),
            *(section_block(f"`{SLASH_COMMAND} {text.escape_mrkdwn(verb.usage)}`\n{verb.does}") for verb in verbs),
            context_block(
                text.escape_line(doubt, 500) if doubt else "Full members of this workspace see how things stand here."
            ),
        ],
    }


def fallback_view() -> Block:
    """Render the fallback for when Slack rejects the full view's layout."""
    sentence = (
        "Slack refused the full view; an operator finds the reason in the log. "
        f"`{SLASH_COMMAND} triage all` says the same."
    )
    return {"type": "home", "blocks": [header_block("Zof's results, where you talk"), section_block(sentence)]}


def unexpected_error_view(reference: str) -> Block:
    """Render the view for an unexpected error; the log has ``reference`` with the traceback."""
    return {
        "type": "home",
        "blocks": [
            *replies.unexpected_error_reply(reference).blocks,
            context_block(f"`{SLASH_COMMAND} help` works without it."),
        ],
    }


def _headline_text(home: HomeData) -> str:
    waiting = home.waiting.total
    if home.health.store:
        return "⚠️ zofbot's store does not answer"
    if not waiting and not home.mine.total:
        return "🌤️ Nothing waits for you"
    parts = [f"{count_noun(waiting, 'failure')} {'waits' if waiting == 1 else 'wait'} for somebody"] if waiting else []
    parts += [f"{home.mine.total} {'is' if home.mine.total == 1 else 'are'} yours"] if home.mine.total else []
    return f"🔥 {', '.join(parts)}"


def _stats_fields(home: HomeData) -> list[tuple[str, str]]:
    """Return the headline statistics as labels and values; unknown ones are left out."""
    shown: list[tuple[str, str]] = []
    if home.figures:
        over = "over " if home.figures.cut else ""
        shown = [("Runs in 24 h", f"{over}{home.figures.runs}"), ("Pass rate", _pass_rate_text(home.figures))]
    elif not home.health.zof:
        shown = [("Runs in 24 h", "⏳ asking Zof…")]
    if home.health.store:
        return shown
    age = text.describe_duration(max(home.now - home.since, 1)) if home.since is not None else "none"
    lag = text.describe_duration(home.health.oldest) if home.health.oldest >= 1 else "none"
    return [*shown, ("Open in your channels", str(home.open)), ("Oldest unacknowledged", age), ("Delivery lag", lag)]


def _pass_rate_text(figures: DailyStats) -> str:
    if figures.pass_rate is None:
        return "no run has ended"
    squares = round(figures.pass_rate * 10)
    squares = min(max(squares, int(figures.passed > 0)), 10 - int(figures.bad > 0))
    return f"{format_percent(figures.pass_rate)} {'🟩' * squares}{'🟥' * (10 - squares)}"


def format_percent(part: float) -> str:
    """Format a share (0 to 1) as a whole percentage; only exactly 0 and 1 become 0 % and 100 %."""
    return f"{min(max(round(part * 100), int(part > 0)), 100 - int(part < 1))} %"


def _failure_section(title: str, part: FailureList, now: float) -> list[Block]:
    if not part.total:
        return []
    more = part.total - len(part.rows)
    rows = [section_block(failure_row_text(row, now)) for row in part.rows]
    return [
        _list_title(title, part.total),
        *rows,
        *([context_block(f"and {more} more: `{SLASH_COMMAND} triage`")] if more > 0 else []),
    ]


def _list_title(title: str, number: int) -> Block:
    return section_block(f"*{title}* ({number})")


def _runs_in_progress(home: HomeData) -> list[Block]:
    runs = home.figures.going if home.figures else ()
    if not runs:
        return []
    more = len(runs) - MAX_RUNS_IN_PROGRESS
    rows = [_run_row(run, home) for run in runs[:MAX_RUNS_IN_PROGRESS]]
    return [
        _list_title("Runs in progress", len(runs)),
        *rows,
        *([context_block(f"and {more} more")] if more > 0 else []),
    ]


def _next_runs(home: HomeData) -> list[Block]:
    """Return the next scheduled runs; schedules without a known time come last, with their cron expression."""
    active = [each for each in home.schedules if not each.paused and (_due_time(each, home.now) or each.cron)]
    if not active:
        return []
    active.sort(key=lambda each: (_due_time(each, home.now) or math.inf, each.name or each.id))
    more = len(active) - MAX_NEXT_RUNS
    lines = [_schedule_line(each, home.now) for each in active[:MAX_NEXT_RUNS]]
    return [
        _list_title("Next runs", len(active)),
        *paragraph_blocks(lines),
        *([context_block(f"and {more} more")] if more > 0 else []),
    ]


def _due_time(schedule: Schedule, now: float) -> float | None:
    """Return the time of a schedule's next run (Unix seconds); None if it is unknown or in the past."""
    at = schedule.next.timestamp() if schedule.next else None
    return at if at is not None and at >= now - SCHEDULE_GRACE_SECONDS else None


def _schedule_line(schedule: Schedule, now: float) -> str:
    at = _due_time(schedule, now)
    facts = [
        format_planned_time(at) if at else f"cron {text.inline_code(schedule.cron or '', 60)}",
        text.escape_line(schedule.project or "", 60),
        text.escape_line(schedule.environment or "", 60),
    ]
    return f"🕓 *{text.escape_line(schedule.name or schedule.id, 120)}*: {' · '.join(fact for fact in facts if fact)}"


def _run_row(run: Run, home: HomeData) -> Block:
    began = run.started or run.created
    facts = [
        text.escape_line(run.project or "", 60),
        text.escape_line(run.environment or "", 60),
        f"for {text.describe_duration(max(home.now - began.timestamp(), 1))}" if began else "",
        text.inline_code(run.id),
    ]
    title = (
        f"{OUTCOME_STYLES[run.outcome].emoji} *{text.escape_line(f'{outcome_word(run)}: {run.title or run.id}', 160)}*"
    )
    link = link_button("Open in Zof", "zof_open", home.links.run_url(run))
    return section_block(f"{title}\n{' · '.join(fact for fact in facts if fact)}", link)


def _subscription_section(home: HomeData) -> list[Block]:
    if not home.rooms:
        return [context_block("⚠️ Slack does not say which channels are yours, so what they are told is not shown.")]
    if not home.wishes:
        example = f"`{SLASH_COMMAND} subscribe` in a channel has it told of failures."
        return [section_block(f"*Your channels' subscriptions*\nNone of your channels is told of failures. {example}")]
    more = len(home.wishes) - MAX_SUBSCRIPTION_ROWS
    rows = [_subscription_row(wish, edits=home.edits) for wish in home.wishes[:MAX_SUBSCRIPTION_ROWS]]
    note = [context_block(f"and {more} more: `{SLASH_COMMAND} subscriptions` in their channels")] if more > 0 else []
    return [_list_title("Your channels' subscriptions", len(home.wishes)), *rows, *note]


def _muted(home: HomeData) -> list[Block]:
    places = [f"{_channel_mention(mute.channel)} " for mute in home.muted]
    return mutes.listed(home.muted, ends=False, places=places)


def _subscription_row(subscription: HomeSubscription, *, edits: bool) -> Block:
    edit = build_button(
        "Edit", EDIT_ACTION_ID, {"id": subscription.id, "channel": subscription.channel}, aloud="Edit this subscription"
    )
    return section_block(
        f"{_channel_mention(subscription.channel)} {text.inline_code(subscription.wish or 'all failures', 300)}",
        edit if edits else None,
    )


def _channel_mention(identifier: str) -> str:
    if identifier.startswith("D"):
        return "your messages with zofbot:"
    return f"<#{identifier}>" if identifier.isalnum() and identifier.isascii() else ""


def _health_section(home: HomeData) -> list[Block]:
    lines = list(_health_lines(home))
    bad = sum(line.startswith("⚠️") for line in lines)
    title = f"*Health*: {'all is well' if not bad else count_noun(bad, 'trouble')}"
    return [section_block(title), *paragraph_blocks(lines), *_dead_letter_rows(home)]


def _health_lines(home: HomeData) -> Iterable[str]:
    health = home.health
    yield _problem_line(health.zof) if health.zof else "✅ Zof answers."
    yield from map(_problem_line, health.lacking)
    if health.store:
        yield f"⚠️ {text.escape_mrkdwn(health.store, 300)} What it knows is not shown here; nothing is lost by that."
        return
    yield "✅ Redis answers."
    yield _poller_line(health)
    yield _slack_line(health)
    if health.dead:
        yield f"⚠️ {count_noun(health.dead, 'notification')} {'was' if health.dead == 1 else 'were'} given up."


def _problem_line(trouble: ZofProblem) -> str:
    asked = (
        f"Request ID: {text.inline_code(trouble.request_id)}" if trouble.request_id else "Zof returned no request id."
    )
    since = f" ({format_moment(trouble.since)})" if trouble.since else ""
    return f"⚠️ Zof: {text.escape_mrkdwn(trouble.sentence, 400)}{since} {asked}"


def _poller_line(health: BotHealth) -> str:
    if not health.polled:
        return (
            "⏳ The first poll of Zof is under way." if health.polling else "⚠️ Nobody polls Zof: `zofbot worker` does."
        )
    last = f"Zof was last polled to the end {format_moment(health.polled)}"
    if health.late or not health.polling:
        return f"⚠️ {last}{'' if health.polling else '. Nobody polls now: `zofbot worker` does'}."
    return f"✅ {last}."


def _slack_line(health: BotHealth) -> str:
    waits = f"{count_noun(health.waiting, 'notification')} {'waits' if health.waiting == 1 else 'wait'} to be sent"
    if health.paused:
        unexplained = (f"It takes nothing ({text.escape_line(health.paused, 80)}).",)
        explanation = EXPLANATIONS.get(health.paused, unexplained)[0]
        return f"⚠️ Slack: {explanation} {waits}."
    if health.parked:
        return (
            f"⚠️ Slack: {count_noun(health.parked, 'channel')} {'refuses' if health.parked == 1 else 'refuse'}; {waits}."
        )
    return f"✅ Slack takes messages; {waits}." if health.waiting else "✅ Slack takes messages; nothing waits."


def _dead_letter_rows(home: HomeData) -> list[Block]:
    """Return dead letters with retry buttons, for people who may retry them."""
    if not home.retries or not home.health.letters:
        return []
    blocks = []
    for letter in home.health.letters[:MAX_DEAD_LETTERS]:
        since = f" · {format_moment(letter.since)}" if letter.since else ""
        retry = build_button("Retry", RETRY_ACTION_ID, {"key": letter.key}, aloud="Send this notification after all")
        which = f"{_channel_mention(letter.channel)} {text.inline_code(letter.key, 300)}"
        sentence = f"💀 {which}\n{text.escape_line(letter.reason, 200)}{since}"
        blocks.append(section_block(sentence, retry and retry | {"confirm": _RETRY_CONFIRMATION}))
    more = home.health.dead - len(blocks)
    return [*blocks, *([context_block(f"and {more} more: `zofbot outbox list --state dead`")] if more > 0 else [])]


_RETRY_CONFIRMATION: Block = {
    "title": plain_text("Send it after all?"),
    "text": plain_text("It is looked for first, so that it is not there twice."),
    "confirm": plain_text("Retry"),
    "deny": plain_text("Leave it"),
}

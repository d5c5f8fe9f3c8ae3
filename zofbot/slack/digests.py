"""A digest as people read it: totals, the pass rate as a chart, what fails, what is slow or flaky, what is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from zofbot.routing.rhythm import Regular, spelled
from zofbot.slack import text
from zofbot.slack.home import percent
from zofbot.slack.message import Block, Message, context, fields, header, section
from zofbot.slack.pieces import count, moment, paragraphs
from zofbot.verbs import COMMAND

CARD = "digest"
SPARKS = "▁▂▃▄▅▆▇█"
CHART_LABEL = 20
"""Characters of a label in a chart (https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block)."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Point(_Frozen):
    """One part of the time: of so many runs that ended, so many passed."""

    label: str
    passed: int = 0
    ended: int = 0

    @property
    def rate(self) -> float | None:
        return self.passed / self.ended if self.ended else None


class Counted(_Frozen):
    """A case, and how often: ``of`` so many results; or for how long (``seconds``)."""

    title: str
    where: str = ""
    times: int = 0
    of: int = 0
    seconds: float = 0.0


class DigestBody(_Frozen):
    """A digest as it is stored: text is stripped, redacted and clipped; times are Unix seconds.

    ``rhythm`` and ``zone`` say for which setting it was made. ``answered`` and ``ended`` are median seconds until
    somebody acknowledged and until it was over. ``back`` is how far back was read where Zof has more than that.
    """

    card: Literal["digest"] = "digest"
    every: Literal["daily", "weekly"] = "daily"
    rhythm: str = ""
    zone: str = "UTC"
    since: float = 0.0
    until: float = 0.0
    runs: int = 0
    passed: int = 0
    failed: int = 0
    error: int = 0
    other: int = 0
    results: int = 0
    bad: int = 0
    trend: tuple[Point, ...] = ()
    failing: tuple[Counted, ...] = ()
    slowest: tuple[Counted, ...] = ()
    flaky: tuple[Counted, ...] = ()
    open: int = 0
    oldest: float | None = None
    snoozed: int = 0
    answered: float | None = None
    ended: float | None = None
    narrowed: bool = False
    """Only what the channel's subscriptions mean is counted."""
    back: float | None = None
    trouble: str = ""
    request_id: str = ""

    @property
    def rate(self) -> float | None:
        """The part that passed of the runs that passed, failed or errored."""
        over = self.passed + self.failed + self.error
        return self.passed / over if over else None


@dataclass(frozen=True)
class Charted(Message):
    """A message with a chart, which some workspaces do not know yet: there the last resort says it in signs."""

    instead: Message | None = None

    def plain(self, reference: str = "") -> Message:
        """Return the same message without its chart."""
        return self.instead or super().plain(reference)


def stored(body: DigestBody) -> dict[str, Any]:
    """A digest as JSON, without what has its default value."""
    return {"card": CARD, **body.model_dump(mode="json", exclude_defaults=True)}


def drawn(kept: Mapping[str, Any]) -> Message | None:
    """The message of a notification's body that is a digest; nothing for any other."""
    return message(DigestBody.model_validate(dict(kept))) if kept.get("card") == CARD else None


PREVIEW = "Preview: what a digest would say now. Only you see it."
"""Stands above a digest that the channel does not get."""


def message(body: DigestBody, above: str = "") -> Message:
    """The digest, beneath a line (mrkdwn) if there is one."""
    title = f"{body.every.capitalize()} digest"
    said = " · ".join(filter(None, (f"{title}: {_runs(body)}", sparkline(body), _open(body))))
    top = [*([section(above)] if above else []), header(f"📊 {title}"), *fields(_facts(body))]
    below = [
        *_cases("Most failing", body.failing, _failing),
        *_cases("Flaky candidates, which failed and then passed", body.flaky, _flaky),
        *_cases("Slowest", body.slowest, _slow),
        context(*_notes(body), *([] if above else [f"`{COMMAND} digest off` ends it."])),
    ]
    bare = Message(said, [*top, *_signs(body), *below])
    chart = _chart(body)
    return Charted(said, [*top, chart, *below], instead=bare) if chart else bare


def _runs(body: DigestBody) -> str:
    if body.rate is None:
        return "no run has ended" if body.runs else "no runs"
    return f"{count(body.runs, 'run')}, {percent(body.rate)} passed"


def _open(body: DigestBody) -> str:
    return f"{count(body.open, 'failure')} open" if body.open else "nothing is open"


def _facts(body: DigestBody) -> list[tuple[str, str]]:
    kinds = (("passed", body.passed), ("failed", body.failed), ("error", body.error), ("other", body.other))
    parts = ", ".join(f"{number} {word}" for word, number in kinds if number)
    age = f", the oldest for {text.duration(max(body.until - body.oldest, 1))}" if body.oldest is not None else ""
    asleep = f", {body.snoozed} snoozed" if body.snoozed else ""
    return [
        ("Runs", f"{body.runs}: {parts}" if parts else str(body.runs)),
        ("Pass rate", percent(body.rate) if body.rate is not None else ""),
        ("Results", f"{body.results}, {body.bad} of them failed" if body.results else ""),
        ("Open here", f"{body.open}{age}{asleep}"),
        ("Half acknowledged within", _span(body.answered)),
        ("Half over within", _span(body.ended)),
    ]


def _span(seconds: float | None) -> str:
    return text.duration(max(seconds, 1)) if seconds is not None else ""


def _chart(body: DigestBody) -> Block | None:
    """The trend as a line; none for a single point, which is none."""
    points = [(point.label[:CHART_LABEL], round(100 * point.rate, 1)) for point in body.trend if point.rate is not None]
    names = {name for name, _ in points if name}
    if len(points) < 2 or len(names) < len(points):
        return None
    data = [{"label": name, "value": value} for name, value in points]
    axes = {"categories": [name for name, _ in points], "y_label": "% passed"}
    series = [{"name": "Pass rate", "data": data}]
    return {
        "type": "data_visualization",
        "title": "Pass rate by day" if body.every == "weekly" else "Pass rate by time of day",
        "chart": {"type": "line", "series": series, "axis_config": axes},
    }


def sparkline(body: DigestBody) -> str:
    """The trend in signs, a dot where no run ended; empty where none did at all."""
    rates = [point.rate for point in body.trend]
    if all(rate is None for rate in rates):
        return ""
    return "".join("·" if rate is None else SPARKS[min(int(rate * len(SPARKS)), len(SPARKS) - 1)] for rate in rates)


def _signs(body: DigestBody) -> list[Block]:
    signs = sparkline(body)
    if not signs:
        return []
    first, last = body.trend[0].label, body.trend[-1].label
    return [section(f"*Pass rate* `{signs}`\n{text.line(first, 40)} to {text.line(last, 40)}, low to high")]


def _cases(title: str, cases: tuple[Counted, ...], line: Any) -> list[Block]:
    return paragraphs([f"*{title}*", *(f"• {_name(one)} · {line(one)}" for one in cases)]) if cases else []


def _name(one: Counted) -> str:
    where = f" ({text.line(one.where, 120)})" if one.where else ""
    return f"{text.line(one.title, 120) or 'a case without a name'}{where}"


def _failing(one: Counted) -> str:
    return f"{one.times} of {one.of} failed"


def _flaky(one: Counted) -> str:
    return "once" if one.times == 1 else f"{one.times} times"


def _slow(one: Counted) -> str:
    return text.duration(one.seconds)


def _notes(body: DigestBody) -> list[str]:
    notes = [
        f"{moment(body.since)} to {moment(body.until)}, "
        + ("what this channel's subscriptions mean." if body.narrowed else "all that Zof ran.")
    ]
    if body.back is not None:
        notes.append(f"✂️ Zof lists more than was read here: what was listed since {moment(body.back)} is counted.")
    if body.trouble:
        asked = f"Request ID: {text.code(body.request_id)}" if body.request_id else "Zof returned no request id."
        notes.append(f"⚠️ Not all could be read from Zof. {text.mrkdwn(body.trouble, 300)} {asked}")
    return notes


# --- the setting, to whoever asked


def standing(regular: Regular | None, due: float) -> str:
    """How often the channel gets one (mrkdwn); ``due`` (Unix seconds) is when the next one comes."""
    if regular is None:
        begins = f"`{COMMAND} digest daily 09:00` or `{COMMAND} digest weekly mon 09:00` begins."
        return f"This channel gets no digest. {begins}"
    by = f", set by {text.line(regular.by_name, 80)}" if regular.by_name else ""
    zone = text.line(regular.rhythm.zone, 60)
    return f"This channel gets a digest *{spelled(regular.rhythm)}* ({zone}){by}. {_next(due)}"


def agreed(regular: Regular, due: float, caution: str) -> Message:
    """Told to whoever set it."""
    said = f"This channel gets a digest {spelled(regular.rhythm)} ({text.line(regular.rhythm.zone, 60)})."
    small = [context(caution)] if caution else []
    return Message(said, [section(f"✅ *{said}*\n{_next(due)}"), *small])


def ended() -> Message:
    """Told to whoever switched it off."""
    said = "This channel gets no digest any more."
    return Message(said, [section(f"✅ {said}")])


def waiting(said: str) -> Message:
    """The setting, before the preview that follows."""
    return Message(said, [section(said), context("⏳ A preview of what it would say now follows.")])


def _next(due: float) -> str:
    return f"The next one comes {moment(due)}."

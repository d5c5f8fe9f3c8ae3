"""Record steps on the trace of the current request or background job.

The current trace is a context variable, which tasks inherit; without one, recording does nothing. Steps contain ids,
templates, statuses and zofbot's own words, never text from people, Zof or Slack.
"""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from traceback import walk_tb
from typing import NamedTuple

from zofbot.clock import Clock
from zofbot.domain.redaction import MASK, redact
from zofbot.observability.trace_model import Trace, TraceStep

MAX_FIRST_STEPS, MAX_LAST_STEPS = 20, 40
"""Steps kept of a long trace: the first and the last."""

MAX_IDS = 40
"""Ids kept per trace: the latest."""

MAX_TEXT_CHARACTERS, MAX_ID_CHARACTERS = 200, 300
"""Limits of a text, which is cut, and of an id, which is left out if longer."""

MAX_SCANNED_CHARACTERS = 20_000
"""Characters of a text that are scanned for secrets; the rest is cut."""

_EMAIL_PATTERN = re.compile(r"[^\s@]+@[^\s@]+")
"""E-mail addresses and anything of that shape."""

_WORD_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,60}")


class _RecordedStep(NamedTuple):
    after: float
    component: str
    action: str
    outcome: str
    bad: bool
    facts: dict[str, object]

    def to_step(self, clean: Callable[[str], str]) -> TraceStep:
        """Convert to a stored step, with every text cleaned."""
        known = {name: str(value) for name, value in self.facts.items() if value not in (None, "")}
        return TraceStep(
            at=round(self.after * 1000),
            component=self.component,
            action=_clip_text(clean(self.action)),
            outcome=_clip_text(clean(self.outcome)),
            bad=self.bad,
            facts={name: _clip_text(clean(value)) for name, value in known.items()},
        )


class TraceRecorder:
    """A trace being recorded; passed to ``keep`` once the work and all tasks it started have released it."""

    __slots__ = (
        "_at", "_began", "_clock", "_first", "_holders", "_ids", "_keep", "_kind", "_last", "_names", "_reference",
        "_step_count", "about", "worth",
    )  # fmt: skip

    def __init__(self, keep: KeepTrace, kind: str, clock: Clock, names: tuple[str, ...], about: dict[str, str]) -> None:
        self._keep, self._kind, self._clock, self._names, self.about = keep, kind, clock, names, about
        self._at, self._began = clock.time(), clock.monotonic()
        self.worth = kind == "request"
        """Whether to keep it: requests always, other work only if a step failed."""
        self._holders, self._step_count, self._reference = 1, 0, ""
        self._ids: dict[str, None] = {}
        self._first: list[_RecordedStep] = []
        self._last: deque[_RecordedStep] | None = None

    @property
    def reference(self) -> str:
        """Id to show to people; created on first use."""
        self._reference = self._reference or _new_reference()
        return self._reference

    def add_step(  # noqa: PLR0913, PLR0917  (the fields of a step)
        self, component: str, action: str, outcome: str, bad: bool, ids: tuple[str, ...], facts: dict[str, object]
    ) -> None:
        """Record a step, unless the trace has ended."""
        if not self._holders:
            return
        step = _RecordedStep(self._clock.monotonic() - self._began, component, action, outcome, bad, facts)
        self._step_count += 1
        self.worth |= bad
        if len(self._first) < MAX_FIRST_STEPS:
            self._first.append(step)
        else:
            self._last = deque(maxlen=MAX_LAST_STEPS) if self._last is None else self._last
            self._last.append(step)
        for item in ids:
            self._ids[item] = None
            if len(self._ids) > MAX_IDS:
                del self._ids[next(iter(self._ids))]

    def retain(self) -> None:
        """Keep the trace open until one more ``release``, unless it has ended."""
        self._holders += bool(self._holders)

    def release(self) -> None:
        """Release the trace; the last release ends it and passes it to ``keep`` if it is worth keeping."""
        if not self._holders:
            return
        self._holders -= 1
        if not self._holders and self.worth:
            self._keep(self)

    def has_id(self, name: str) -> bool:
        """True if ``name`` is one of its ids."""
        return name == self._reference or name in self._names or name in self._ids

    def build_trace(self, *known: str) -> Trace:
        """Build the trace to store, with every text cleaned; ``known`` are secrets to redact."""
        recorded = [*self._first, *(self._last or ())]
        clean = self._make_cleaner(recorded, known)
        left_out = self._step_count - len(recorded)
        steps = tuple(item.to_step(clean) for item in recorded)
        ids = (self.reference, *(name for name in (*self._names, *self._ids) if _is_id(name) and clean(name) == name))
        about = {name: _clip_text(clean(value)) for name, value in self.about.items()}
        return Trace.model_validate(
            {"reference": self.reference, "kind": self._kind, "at": self._at, "ids": ids, "steps": steps,
             "left_out": left_out, "gap": MAX_FIRST_STEPS if left_out else 0, **about}
        )  # fmt: skip

    def _make_cleaner(self, steps: list[_RecordedStep], known: tuple[str, ...]) -> Callable[[str], str]:
        """Return the function that cleans texts; usually a no-op, after a single fast scan of all texts."""
        facts = (str(value) for item in steps for value in item.facts.values())
        texts = (
            *self._names,
            *self._ids,
            *self.about.values(),
            *(f"{item.action}\n{item.outcome}" for item in steps),
            *facts,
        )
        whole = "\n".join(texts)
        if len(whole) < MAX_SCANNED_CHARACTERS and redact_text(whole, *known) == whole:
            return str
        return lambda text: redact_text(text, *known)


KeepTrace = Callable[[TraceRecorder], None]
"""Receives a finished trace; must not block, because it is called in the middle of other work."""


_current_recorder: ContextVar[TraceRecorder | None] = ContextVar("zofbot_trace", default=None)


def current_recorder() -> TraceRecorder | None:
    """Return the recorder of the current trace, if any."""
    return _current_recorder.get()


@contextmanager
def record_trace(keep: KeepTrace, kind: str, clock: Clock, *names: str, **about: str) -> Iterator[TraceRecorder]:
    """Record a trace of the work inside and of ``BackgroundTasks`` started there; ``names`` are its ids."""
    recorder = TraceRecorder(keep, kind, clock, names, about)
    token = _current_recorder.set(recorder)
    try:
        yield recorder
    finally:
        _current_recorder.reset(token)
        recorder.release()


def record_step(
    component: str, action: str, outcome: str = "", *, bad: bool = False, ids: tuple[str, ...] = (), **facts: object
) -> None:
    """Record a step on the current trace, if any; the trace can be found under ``ids``."""
    recorder = _current_recorder.get()
    if recorder is not None:
        recorder.add_step(component, action, outcome, bad, ids, facts)


def record_error(error: BaseException) -> None:
    """Record an unexpected error by type and location; its message may contain text from outside."""
    recorder = _current_recorder.get()
    if recorder is not None:
        recorder.add_step("zofbot", type(error).__name__, _error_location(error), True, (), {})


def current_reference() -> str:
    """Return the current trace's reference to show to a person; the trace is then kept in any case."""
    recorder = _current_recorder.get()
    if recorder is None:
        return _new_reference()
    recorder.worth = True
    return recorder.reference


def redact_text(text: str, *known: str) -> str:
    """Redact ``known`` secrets, texts that look like secrets, and e-mail addresses."""
    return _EMAIL_PATTERN.sub(MASK, redact(text[:MAX_SCANNED_CHARACTERS], *known))


def _clip_text(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARACTERS else text[: MAX_TEXT_CHARACTERS - 1] + "…"


def is_findable(name: str) -> bool:
    """True if a trace can be found under this id: it is well-formed and contains nothing to redact."""
    return _is_id(name) and redact_text(name) == name


def _is_id(name: str) -> bool:
    return 0 < len(name) <= MAX_ID_CHARACTERS and name.isprintable()


def safe_word(text: str) -> str:
    """Return an error code such as ``is_archived`` unchanged; replace anything else."""
    return text if _WORD_PATTERN.fullmatch(text) else "(not a word)"


def _new_reference() -> str:
    return f"ref_{secrets.token_hex(5)}"


def _error_location(error: BaseException) -> str:
    """Return the innermost line of zofbot that an error was raised through."""
    location = "outside zofbot"
    for frame, line in walk_tb(error.__traceback__):
        name = frame.f_globals.get("__name__", "")
        if name.startswith("zofbot."):
            location = f"in {name}.{frame.f_code.co_name}, line {line}"
    return location

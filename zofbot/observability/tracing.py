"""Tracing: whoever takes a step says so here, and it is added to the trace of the work that is under way.

The work is known by a context variable, which tasks inherit; where none is under way, saying so costs next to nothing.
A step holds ids, templates, statuses and words of our own: never what somebody typed, nor what Zof or Slack wrote.
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
from zofbot.observability.trace import Trace, TraceStep

MAX_FIRST_STEPS, MAX_LAST_STEPS = 20, 40
"""Steps that are remembered of a long trace: the first and the last."""

MAX_IDS = 40
"""Ids that a trace is found under: the latest."""

MAX_TEXT_CHARACTERS, MAX_ID_CHARACTERS = 200, 300
"""Characters of a word that is shown, and of an id; a longer one is none."""

MAX_SCANNED_CHARACTERS = 20_000
"""Characters of a text that are looked at."""

_EMAIL_PATTERN = re.compile(r"[^\s@]+@[^\s@]+")
"""An e-mail address, and whatever else has that shape."""

_WORD_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,60}")


class _RecordedStep(NamedTuple):
    after: float
    room: str
    did: str
    came: str
    bad: bool
    facts: dict[str, object]

    def to_step(self, clean: Callable[[str], str]) -> TraceStep:
        """The step as it is kept."""
        known = {name: str(value) for name, value in self.facts.items() if value not in (None, "")}
        return TraceStep(
            at=round(self.after * 1000),
            room=self.room,
            did=_clip_text(clean(self.did)),
            came=_clip_text(clean(self.came)),
            bad=self.bad,
            facts={name: _clip_text(clean(value)) for name, value in known.items()},
        )


class TraceRecorder:
    """A trace that is being made, kept once all have let go of it: the work, and the tasks that it started."""

    __slots__ = (
        "_at", "_began", "_clock", "_first", "_held", "_ids", "_keep", "_kind", "_last", "_names", "_reference",
        "_seen", "about", "worth",
    )  # fmt: skip

    def __init__(self, keep: KeepTrace, kind: str, clock: Clock, names: tuple[str, ...], about: dict[str, str]) -> None:
        self._keep, self._kind, self._clock, self._names, self.about = keep, kind, clock, names, about
        self._at, self._began = clock.time(), clock.monotonic()
        self.worth = kind == "request"
        """Whether it is to be kept: what somebody asked for always, other work when something went wrong in it."""
        self._held, self._seen, self._reference = 1, 0, ""
        self._ids: dict[str, None] = {}
        self._first: list[_RecordedStep] = []
        self._last: deque[_RecordedStep] | None = None

    @property
    def reference(self) -> str:
        """What a person can be shown; made when it is first needed."""
        self._reference = self._reference or _new_reference()
        return self._reference

    def add_step(  # noqa: PLR0913, PLR0917  (a step's parts)
        self, room: str, did: str, came: str, bad: bool, ids: tuple[str, ...], facts: dict[str, object]
    ) -> None:
        """Take a step down, unless the work has ended."""
        if not self._held:
            return
        taken = _RecordedStep(self._clock.monotonic() - self._began, room, did, came, bad, facts)
        self._seen += 1
        self.worth |= bad
        if len(self._first) < MAX_FIRST_STEPS:
            self._first.append(taken)
        else:
            self._last = deque(maxlen=MAX_LAST_STEPS) if self._last is None else self._last
            self._last.append(taken)
        for item in ids:
            self._ids[item] = None
            if len(self._ids) > MAX_IDS:
                del self._ids[next(iter(self._ids))]

    def retain(self) -> None:
        """Have it last until ``release`` is called once more, unless it has ended."""
        self._held += bool(self._held)

    def release(self) -> None:
        """Keep it, if nobody else holds it and it is worth that."""
        if not self._held:
            return
        self._held -= 1
        if not self._held and self.worth:
            self._keep(self)

    def has_id(self, name: str) -> bool:
        """Whether this is one of its ids."""
        return name == self._reference or name in self._names or name in self._ids

    def build_trace(self, *known: str) -> Trace:
        """Give what is kept of it, all of it cleaned; ``known`` are secrets that certainly must not stand there."""
        taken = [*self._first, *(self._last or ())]
        clean = self._make_cleaner(taken, known)
        left_out = self._seen - len(taken)
        steps = tuple(item.to_step(clean) for item in taken)
        ids = (self.reference, *(name for name in (*self._names, *self._ids) if _is_id(name) and clean(name) == name))
        about = {name: _clip_text(clean(value)) for name, value in self.about.items()}
        return Trace.model_validate(
            {"reference": self.reference, "kind": self._kind, "at": self._at, "ids": ids, "steps": steps,
             "left_out": left_out, "gap": MAX_FIRST_STEPS if left_out else 0, **about}
        )  # fmt: skip

    def _make_cleaner(self, taken: list[_RecordedStep], known: tuple[str, ...]) -> Callable[[str], str]:
        """What cleans each of its texts: mostly none needs it, and to look at all at once costs far less."""
        facts = (str(value) for item in taken for value in item.facts.values())
        all_ = (*self._names, *self._ids, *self.about.values(), *(f"{item.did}\n{item.came}" for item in taken), *facts)
        whole = "\n".join(all_)
        if len(whole) < MAX_SCANNED_CHARACTERS and redact_text(whole, *known) == whole:
            return str
        return lambda text: redact_text(text, *known)


KeepTrace = Callable[[TraceRecorder], None]
"""Takes a trace whose work has ended; it is called in the middle of other work, so it never waits."""


def discard_trace(made: TraceRecorder) -> None:
    """Keep nothing."""


_current_recorder: ContextVar[TraceRecorder | None] = ContextVar("zofbot_trace", default=None)


def current_recorder() -> TraceRecorder | None:
    """The trace of the work that is under way here."""
    return _current_recorder.get()


@contextmanager
def record_trace(keep: KeepTrace, kind: str, clock: Clock, *names: str, **about: str) -> Iterator[TraceRecorder]:
    """Trace what is done inside, and what ``BackgroundTasks`` start there; ``names`` are its ids."""
    made = TraceRecorder(keep, kind, clock, names, about)
    before = _current_recorder.set(made)
    try:
        yield made
    finally:
        _current_recorder.reset(before)
        made.release()


def record_step(
    room: str, did: str, came: str = "", *, bad: bool = False, ids: tuple[str, ...] = (), **facts: object
) -> None:
    """Say that a step was taken; ``ids`` are those under which somebody may ask for it."""
    made = _current_recorder.get()
    if made is not None:
        made.add_step(room, did, came, bad, ids, facts)


def record_error(error: BaseException) -> None:
    """Say that something went wrong which nobody foresaw: what and where, for its words may be anybody's."""
    made = _current_recorder.get()
    if made is not None:
        made.add_step("zofbot", type(error).__name__, _error_location(error), True, (), {})


def current_reference() -> str:
    """What a person is shown who may ask what became of this; from now on it is kept, whatever becomes of it."""
    made = _current_recorder.get()
    if made is None:
        return _new_reference()
    made.worth = True
    return made.reference


def redact_text(text: str, *known: str) -> str:
    """Text without secrets, the ``known`` ones and those that look like it, and without e-mail addresses."""
    return _EMAIL_PATTERN.sub(MASK, redact(text[:MAX_SCANNED_CHARACTERS], *known))


def _clip_text(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARACTERS else text[: MAX_TEXT_CHARACTERS - 1] + "…"


def is_findable(name: str) -> bool:
    """Whether a trace can be found under this: it is one that may be kept and shown as it is."""
    return _is_id(name) and redact_text(name) == name


def _is_id(name: str) -> bool:
    return 0 < len(name) <= MAX_ID_CHARACTERS and name.isprintable()


def safe_word(text: str) -> str:
    """A machine's word such as ``is_archived``, as it came; whatever else it is, it is not repeated."""
    return text if _WORD_PATTERN.fullmatch(text) else "(not a word)"


def _new_reference() -> str:
    return f"ref_{secrets.token_hex(5)}"


def _error_location(error: BaseException) -> str:
    """The innermost of our own lines that an error came through."""
    own = "outside zofbot"
    for frame, line in walk_tb(error.__traceback__):
        name = frame.f_globals.get("__name__", "")
        if name.startswith("zofbot."):
            own = f"in {name}.{frame.f_code.co_name}, line {line}"
    return own

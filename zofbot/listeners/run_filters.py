"""Filters of ``/zof runs``: lists, globs, exclusions and repeated filters, as for subscriptions."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from zofbot.domain.commands import SLASH_COMMAND, VERBS
from zofbot.domain.errors import BadInput
from zofbot.domain.model import Outcome, Run
from zofbot.domain.text import clean_name
from zofbot.subscriptions.patterns import is_glob, matches_patterns
from zofbot.subscriptions.tokenizer import quote_list, split_list, split_words, unquote_value
from zofbot.zof.outcome_words import classify_outcome

FILTER_NAMES = {"status": "status", "project": "project", "projects": "project", "env": "env", "environment": "env"}
"""Accepted spellings of filter names."""

STATUS_WORDS = [outcome.value for outcome in Outcome if outcome is not Outcome.UNKNOWN]

MAX_STATUSES_ASKED = 3
"""Zof takes one status per request; for more statuses than this, all runs are read and filtered here."""

MAX_FILTER_VALUES = 20
"""Maximum values of one filter."""


@dataclass(frozen=True)
class RunFilters:
    """Patterns for a run's status, project and environment."""

    status: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    env: tuple[str, ...] = ()

    def statuses_to_list(self) -> Sequence[Outcome | None]:
        """Return the statuses to request from Zof, one per request; None for all."""
        asked = [outcome for outcome in Outcome if matches_patterns(self.status, [outcome.value])]
        return asked if 0 < len(asked) <= MAX_STATUSES_ASKED else [None]

    def project_id(self) -> str | None:
        """Return the project to request from Zof, if the filter is exactly one id."""
        only = self.project[0] if len(self.project) == 1 else ""
        return only if only.startswith("proj_") and not is_glob(only) else None

    def matches_run(self, run: Run) -> bool:
        """Return whether a run matches all filters; a project matches by id or name."""
        projects = [name for name in (run.project_id, run.project_name) if name]
        environments = [run.environment] if run.environment else []
        fitting = matches_patterns(self.status, [run.outcome.value]) and matches_patterns(self.project, projects)
        return fitting and matches_patterns(self.env, environments)

    def __str__(self) -> str:
        """Return the filters as typed."""
        named = (("status", self.status), ("project", self.project), ("env", self.env))
        return " ".join(f"{name}:{quote_list(patterns)}" for name, patterns in named if patterns)


def parse_run_filters(text: str) -> RunFilters:
    """Parse filters (text from ``read_input``), in any order. Raises BadInput."""
    found: dict[str, tuple[str, ...]] = {}
    for word in split_words(text):
        name, colon, rest = word.partition(":")
        known = FILTER_NAMES.get(name.lower(), "")
        values = [clean_name(unquote_value(value)) for value in split_list(rest)]
        if not colon or not known:
            _refuse_filter(word, name)
        if not values or not all(value.lstrip("-") for value in values):
            _raise_bad_input(f"`{known}:` has no value.", "Put one right after the colon, without a space.")
        if known == "status":
            values = [_parse_status(value) for value in values]
        found[known] = (*found.get(known, ()), *values)
        if len(found[known]) > MAX_FILTER_VALUES:
            _raise_bad_input(f"`{known}:` has more than {MAX_FILTER_VALUES} values.", "Use a glob such as `shop*`.")
    return RunFilters(**found)


def _parse_status(value: str) -> str:
    """Parse a status in any known spelling, or a glob that matches one."""
    name, dash = value.removeprefix("-").lower(), "-" if value.startswith("-") else ""
    if is_glob(name) and any(matches_patterns([name], [status]) for status in STATUS_WORDS):
        return dash + name
    outcome = classify_outcome(name)
    if outcome is Outcome.UNKNOWN:
        meant = next(iter(difflib.get_close_matches(name[:60], STATUS_WORDS, n=1, cutoff=0.6)), "")
        known = f"Use one of {', '.join(f'`{each}`' for each in STATUS_WORDS)}."
        guess = f"Did you mean `status:{meant}`? " if meant else ""
        _raise_bad_input(f"Unknown status `{_shorten_input(name)}`.", guess + known)
    return dash + outcome.value


def _refuse_filter(word: str, name: str) -> NoReturn:
    guess = next(iter(difflib.get_close_matches(name.lower()[:60], FILTER_NAMES, n=1, cutoff=0.6)), "")
    known = "Filters are `status:`, `project:` and `env:`."
    _raise_bad_input(
        f"`{_shorten_input(word)}` isn't a filter for `runs`.", f"Did you mean `{guess}:…`? {known}" if guess else known
    )


def _raise_bad_input(sentence: str, step: str) -> NoReturn:
    raise BadInput(sentence, step, example=f"{SLASH_COMMAND} {VERBS['runs'].example}", verb="runs")


def _shorten_input(typed: str) -> str:
    return " ".join(typed.replace("`", " ").split())[:60]

"""Find the filter that makes a subscription post nothing, and suggest what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from zofbot.domain.text import fold_name
from zofbot.subscriptions.events import RunFinding
from zofbot.subscriptions.matching import case_names, match_subscription
from zofbot.subscriptions.model import Subscription
from zofbot.subscriptions.patterns import including_patterns, is_glob, matches_any, matches_patterns, to_literal_pattern

MAX_SUGGESTIONS = 3
"""Names suggested for a pattern that matches no known name."""

MIN_SIMILARITY = 0.6
"""Similarity of two names needed for a suggestion, by ``difflib``, from 0 to 1."""


@dataclass(frozen=True)
class KnownNames:
    """Names seen in Zof: each project's id and name, if it has both, and environments.

    ``listed``: these are all projects, not only those of recent runs. ``forbidden``: the API key may not list projects.
    """

    projects: Sequence[tuple[str, ...]] = ()
    environments: Sequence[str] = ()
    listed: bool = False
    forbidden: bool = False


@dataclass(frozen=True)
class ExcludingFilter:
    """The filter ``name`` excluded all ``failures`` that there were; 0 if nothing failed.

    ``unknown`` are its patterns that match no known name, ``near`` the patterns that may have been meant, ``known``
    a pattern for each known name. ``listed`` is as for ``KnownNames``.
    """

    name: str
    failures: int = 0
    unknown: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    listed: bool = False


def find_excluding_filter(
    subscription: Subscription, found: Sequence[RunFinding], names: KnownNames
) -> ExcludingFilter | None:
    """Return the first filter that excluded all failures, or None.

    If nothing failed, return the first project or environment filter that matches no known name.
    """
    left = [finding for finding in found if finding.outcome.is_bad]
    projects = [*names.projects, *(tuple(finding.projects) for finding in left)]
    environments = [(name,) for name in (*names.environments, *(each.environment for each in left)) if name]
    in_project = [finding for finding in left if matches_patterns(subscription.project, finding.projects)]
    silence = _explain_filter("project", subscription.project, projects, len(left))
    if _excludes_all(silence, in_project, projects):
        return replace(silence, listed=names.listed)
    in_env = [finding for finding in in_project if matches_patterns(subscription.env, _environment_names(finding))]
    silence = _explain_filter("env", subscription.env, environments, len(in_project))
    if _excludes_all(silence, in_env, environments):
        return silence
    return _find_in_runs(subscription, in_env)


def explain_projects(patterns: Sequence[str], names: KnownNames) -> ExcludingFilter | None:
    """Return the project patterns that match no known project, with suggestions; None if each matches one."""
    silence = _explain_filter("project", patterns, names.projects, 0)
    return replace(silence, listed=names.listed) if _excludes_all(silence, (), names.projects) else None


def _excludes_all(silence: ExcludingFilter, kept: Sequence[RunFinding], known: Sequence[tuple[str, ...]]) -> bool:
    """Whether a filter excluded all failures, or, if there were none, has a pattern that matches no known name."""
    return not kept if silence.failures else bool(silence.unknown and known)


def _find_in_runs(subscription: Subscription, left: Sequence[RunFinding]) -> ExcludingFilter | None:
    """Return the filter that excluded the failures of runs whose project and environment match."""
    always = subscription.model_copy(update={"created": 0.0})
    verdicts = [match_subscription(always, finding) for finding in left]
    if not left or any(verdict.matched for verdict in verdicts):
        return None
    if any(verdict.field == "case" for verdict in verdicts):
        cases = [tuple(case_names(result)) for finding in left for result in finding.failures]
        return _explain_filter("case", subscription.case, cases, len(left))
    if missed := next((verdict for verdict in verdicts if verdict.field in ("branch", "tag", "owner")), None):
        found = [(name,) for verdict in verdicts if verdict.field == missed.field for name in verdict.names]
        return _explain_filter(missed.field, missed.wanted, found, len(left))
    return ExcludingFilter("on", len(left))


def _explain_filter(
    name: str, patterns: Sequence[str], known: Iterable[tuple[str, ...]], failures: int
) -> ExcludingFilter:
    """Explain one filter; something with several names is suggested by its last name."""
    things = {names[-1]: names for names in known if names}
    unknown = [
        each
        for each in including_patterns(patterns)
        if not any(matches_any([each], names) for names in things.values())
    ]
    near = dict.fromkeys(to_literal_pattern(each) for pattern in unknown for each in _nearest_names(pattern, things))
    return ExcludingFilter(
        name, failures, tuple(unknown), tuple(near)[:MAX_SUGGESTIONS], tuple(map(to_literal_pattern, sorted(things)))
    )


def _nearest_names(pattern: str, things: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the names most similar to a pattern, comparing all names of each thing and ignoring wildcards."""
    plain = fold_name(pattern.replace("*", "").replace("?", "") if is_glob(pattern) else pattern)
    called = {fold_name(each): name for name, names in things.items() for each in names}
    close = difflib.get_close_matches(plain, called, n=MAX_SUGGESTIONS, cutoff=MIN_SIMILARITY)
    parts = [each for each in sorted(called) if plain and (plain in each or (len(each) > 2 and each in plain))]
    return list(dict.fromkeys(called[each] for each in [*close, *parts]))[:MAX_SUGGESTIONS]


def _environment_names(finding: RunFinding) -> Sequence[str]:
    return (finding.environment,) if finding.environment else ()

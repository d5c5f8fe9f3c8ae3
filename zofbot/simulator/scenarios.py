"""Scenarios that the page's buttons start at the simulated Zof: runs that fail or pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zofbot.simulator import sample_failures
from zofbot.simulator.sample_failures import SampleFailure
from zofbot.simulator.seed import ENVIRONMENTS, PROJECTS, SampleProject, case_id
from zofbot.simulator.zof.state import Organization, ZofRecord, format_time

SCENARIOS: Mapping[str, str] = {
    "failure": "One case fails",
    "retried": "One case fails twice: 2 attempts",
    "failures": "12 cases fail",
    "causes": "300 cases fail for 2 reasons",
    "everywhere": "3 projects fail for the same reason",
    "stopped": "The 3 projects pass again",
    "history": "A new, a known and a flaky failure",
    "returning": "A known cause fails another case",
    "error": "Platform error",
    "pass": "All cases pass (failures recover)",
    "tolerated": "Run passes with one failed case",
    "storm": "60 runs fail at once",
}
"""Scenario ids with their labels on the page."""

STORM_RUN_COUNT = 60
FAILURES_BY_CAUSE = (200, 100)
"""How many cases fail for each of two reasons in one run."""

MIN_CASES = min(sum(map(len, project.suites.values())) for project in PROJECTS)
"""Cases of the smallest project that has scenarios of its own."""

SHARED_PROJECTS = (
    SampleProject("proj_accounts", "accounts", {"suite_sign_in": ("Guest can sign in", "Password can be reset")}),
    SampleProject("proj_billing", "billing", {"suite_invoice": ("Invoice has the address", "Reminder is sent once")}),
    SampleProject("proj_profile", "profile", {"suite_address": ("Address can be changed", "Photo can be removed")}),
)
"""Three projects that fail for the same reason; they have no runs before that."""

CASE_SECONDS = 9.5


def run_scenario(zof: Organization, what: str, project: str, environment: str) -> list[ZofRecord]:
    """End a run of the project now (a storm: many runs of all projects); returns the runs.

    Raises ``ValueError`` for an unknown scenario, project or environment.
    """
    chosen = next((item for item in PROJECTS if item.id == project), None)
    if chosen is None or environment not in ENVIRONMENTS:
        raise ValueError("There is no such project and environment.")
    if what not in SCENARIOS:
        raise ValueError(f"{what!r} cannot be made to happen.")
    if what == "storm":
        return [_record_run(zof, _plan_storm_run(zof, number)) for number in range(STORM_RUN_COUNT)]
    if what == "history":
        return [_record_run(zof, planned) for planned in _plan_history(chosen, environment)]
    if what in ("everywhere", "stopped"):
        return [_record_run(zof, _plan_shared_run(number, what)) for number in range(len(SHARED_PROJECTS))]
    return [_record_run(zof, _plan_run(zof, what, chosen, environment))]


@dataclass(frozen=True)
class _PlannedRun:
    """A run to record, of one suite or all; ``bad`` lists the outcomes of its first cases, the others pass.

    Cases that did not pass have ``attempts`` attempts each.
    """

    project: SampleProject
    environment: str
    suite: str = ""
    bad: Sequence[SampleFailure] = ()
    status: str | None = None
    """Status of the run, if it does not follow from its cases."""
    attempts: int = 1
    more: Sequence[str] = ()
    """Cases besides those of the project."""
    variants: int = 1
    """How many cases there are of each name, told apart by a number."""
    has_extras: bool = False
    """Whether Zof knows the commit, a screenshot and the like."""
    ago: float = 0.0
    """Seconds since it ended."""

    @property
    def run_name(self) -> str:
        return f"{self.project.name}: {self.suite.removeprefix('suite_') or 'full suite'} on {self.environment}"

    @property
    def case_names(self) -> list[str]:
        cases = [case for name, inside in self.project.suites.items() if self.suite in ("", name) for case in inside]
        if self.variants == 1:
            return list(dict.fromkeys([*cases, *self.more]))
        return [f"{number:02} · {case}" for number in range(self.variants) for case in cases]


def _plan_run(zof: Organization, what: str, project: SampleProject, environment: str) -> _PlannedRun:
    suite = zof.random.choice(sorted(project.suites))
    match what:
        case "failure":
            bad = [sample_failures.product_failure(zof.random)]
            return _PlannedRun(project, environment, suite, bad, has_extras=True)
        case "retried":
            bad = [sample_failures.product_failure(zof.random)]
            return _PlannedRun(project, environment, suite, bad, attempts=2)
        case "tolerated":
            return _PlannedRun(project, environment, suite, [sample_failures.product_failure(zof.random)], "passed")
        case "failures":
            return _PlannedRun(
                project, environment, bad=[sample_failures.random_failure(zof.random) for _ in range(12)]
            )
        case "causes":
            slow, lost = FAILURES_BY_CAUSE
            bad = [*map(sample_failures.disabled_button, range(slow)), *map(sample_failures.lost_gateway, range(lost))]
            return _PlannedRun(project, environment, bad=bad, variants=len(bad) // MIN_CASES + 1)
        case "returning":
            return _plan_returning(zof, project, environment)
        case "error":
            return _PlannedRun(
                project, environment, suite, [sample_failures.platform_failure(zof.random) for _ in range(3)], "error"
            )
        case _:
            return _PlannedRun(project, environment, more=_failed_cases(zof, project, environment))


def _plan_history(project: SampleProject, environment: str) -> list[_PlannedRun]:
    """Plan runs of the last hour in which a case fails and passes in turn, and at last another one, and a third."""
    flaky, known, new = sample_failures.disabled_button(0), ("failed", sample_failures.ASSERTION), sample_failures.STALE
    passed = ("passed", "")
    outcomes = ((flaky,), (), (flaky,), (), (passed, known), (flaky, known, new))
    spans = range(600 * (len(outcomes) - 1), -1, -600)
    suite = min(project.suites)
    return [_PlannedRun(project, environment, suite, bad, ago=ago) for bad, ago in zip(outcomes, spans, strict=True)]


def _plan_returning(zof: Organization, project: SampleProject, environment: str) -> _PlannedRun:
    """Plan a run in which one case fails for the reason for which another one did before."""
    before = sum(result.get("failure_summary") == sample_failures.STALE[1] for result in zof.results.values())
    suite = max(project.suites, key=lambda name: len(project.suites[name]))
    passed = [("passed", "")] * (before % len(project.suites[suite]))
    return _PlannedRun(project, environment, suite, [*passed, sample_failures.STALE])


def _failed_cases(zof: Organization, project: SampleProject, environment: str) -> list[str]:
    """Return the cases that have failed in the project's environment, so that a run in which all pass has them, too."""
    runs = {run["id"] for run in zof.runs.values() if run.get("environment") == environment}
    results = (each for each in zof.results.values() if each.get("run_id") in runs and each.get("status") != "passed")
    return [each["name"] for each in results if each.get("project_id") == project.id and "name" in each]


def _plan_shared_run(number: int, what: str) -> _PlannedRun:
    """Plan the run of one project that fails for the same reason as the others, or passes again."""
    project = SHARED_PROJECTS[number]
    bad = [sample_failures.lost_gateway(number + each) for each in range(2)] if what == "everywhere" else []
    return _PlannedRun(project, ENVIRONMENTS[number % len(ENVIRONMENTS)], min(project.suites), bad)


def _plan_storm_run(zof: Organization, number: int) -> _PlannedRun:
    """Plan one run of a storm; the runs alternate between all projects and environments."""
    project = PROJECTS[number % len(PROJECTS)]
    environment = ENVIRONMENTS[number // len(PROJECTS) % len(ENVIRONMENTS)]
    suites = sorted(project.suites)
    return _PlannedRun(project, environment, suites[number % len(suites)], [sample_failures.random_failure(zof.random)])


def _record_run(zof: Organization, ending: _PlannedRun) -> ZofRecord:
    """Start the run, record its results, and end it now."""
    cases, project = ending.case_names, ending.project
    seconds = CASE_SECONDS * len(cases)
    ended = zof.now() - ending.ago
    began = ended - seconds
    run = zof.start_run({"project_id": project.id, "environment": ending.environment})
    run |= {"name": ending.run_name, "project_name": project.name, "url": f"https://console.zof.ai/runs/{run['id']}"}
    run |= {"created_at": format_time(began), "started_at": format_time(began), "duration_ms": int(seconds * 1000)}
    run |= sample_failures.RUN_EXTRAS if ending.has_extras else {}
    for number, case in enumerate(cases):
        failure = ending.bad[number] if number < len(ending.bad) else ("passed", "")
        for attempt in range(ending.attempts if failure[1] else 1):
            result = _record_result(zof, run, case, failure, began + CASE_SECONDS * number + attempt)
            result |= sample_failures.RESULT_EXTRAS if ending.has_extras and failure[1] else {}
    finished = zof.finish_run(run["id"], ending.status)
    finished["completed_at"] = format_time(ended)
    return finished


def _record_result(zof: Organization, run: ZofRecord, case: str, failure: SampleFailure, began: float) -> ZofRecord:
    """Record the result of one case."""
    failure_fields = {"failure_summary": failure[1]} if failure[1] else {}
    return zof.add_result(
        run["id"],
        status=failure[0],
        test_case_id=case_id(case),
        name=case,
        project_name=run["project_name"],
        started_at=format_time(began),
        completed_at=format_time(began + CASE_SECONDS),
        duration_ms=int(CASE_SECONDS * 1000),
        **failure_fields,
    )

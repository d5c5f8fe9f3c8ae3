"""What can be made to happen at the pretend Zof at the press of a button: runs that end badly, or well again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zofbot.simulator import failures
from zofbot.simulator.failures import Failure
from zofbot.simulator.organization import ENVIRONMENTS, PROJECTS, Project, case_id
from zofbot.simulator.records import Record, Records, iso

HAPPENINGS: Mapping[str, str] = {
    "failure": "One case fails",
    "failures": "12 cases fail",
    "error": "The platform breaks down",
    "pass": "All pass: what failed recovers",
    "storm": "60 runs fail at once, everywhere",
}
"""What a run can be made to end with, by id, as the page says it."""

STORM = 60
CASE_SECONDS = 9.5


def happen(zof: Records, what: str, project: str, environment: str) -> list[Record]:
    """Have a run of the project end now (in a storm many, everywhere); returns the runs.

    Raises ``ValueError`` for what is not offered.
    """
    chosen = next((one for one in PROJECTS if one.id == project), None)
    if chosen is None or environment not in ENVIRONMENTS:
        raise ValueError("There is no such project and environment.")
    if what not in HAPPENINGS:
        raise ValueError(f"{what!r} cannot be made to happen.")
    if what == "storm":
        return [_end(zof, _gust(zof, number)) for number in range(STORM)]
    return [_end(zof, _ending(zof, what, chosen, environment))]


@dataclass(frozen=True)
class _Ending:
    """A run about to end: of one suite, or of all; ``bad`` is how its first cases ended, the others pass."""

    project: Project
    environment: str
    suite: str = ""
    bad: Sequence[Failure] = ()
    status: str | None = None
    """Of the run, where it does not follow from its cases."""

    @property
    def name(self) -> str:
        return f"{self.project.name}: {self.suite.removeprefix('suite_') or 'everything'} on {self.environment}"

    @property
    def cases(self) -> list[str]:
        return [case for name, inside in self.project.suites.items() if self.suite in ("", name) for case in inside]


def _ending(zof: Records, what: str, project: Project, environment: str) -> _Ending:
    suite = zof.random.choice(sorted(project.suites))
    match what:
        case "failure":
            return _Ending(project, environment, suite, [failures.of_product(zof.random)])
        case "failures":
            return _Ending(project, environment, bad=[failures.some(zof.random) for _ in range(12)])
        case "error":
            return _Ending(project, environment, suite, [failures.of_platform(zof.random) for _ in range(3)], "error")
        case _:
            return _Ending(project, environment)


def _gust(zof: Records, number: int) -> _Ending:
    """One run of a storm: they go round all projects and environments."""
    project = PROJECTS[number % len(PROJECTS)]
    environment = ENVIRONMENTS[number // len(PROJECTS) % len(ENVIRONMENTS)]
    suites = sorted(project.suites)
    return _Ending(project, environment, suites[number % len(suites)], [failures.some(zof.random)])


def _end(zof: Records, ending: _Ending) -> Record:
    """Start the run, write its results, and end it now."""
    cases, project = ending.cases, ending.project
    seconds = CASE_SECONDS * len(cases)
    began = zof.now() - seconds
    run = zof.start_run({"project_id": project.id, "environment": ending.environment})
    run |= {"name": ending.name, "project_name": project.name, "url": f"https://console.zof.ai/runs/{run['id']}"}
    run |= {"created_at": iso(began), "started_at": iso(began), "duration_ms": int(seconds * 1000)}
    for number, case in enumerate(cases):
        failure = ending.bad[number] if number < len(ending.bad) else ("passed", "")
        _write(zof, run, case, failure, began + CASE_SECONDS * number)
    return zof.finish_run(run["id"], ending.status)


def _write(zof: Records, run: Record, case: str, failure: Failure, began: float) -> None:
    """Write how one case ended."""
    told = {"failure_summary": failure[1]} if failure[1] else {}
    zof.add_result(
        run["id"],
        status=failure[0],
        test_case_id=case_id(case),
        name=case,
        project_name=run["project_name"],
        started_at=iso(began),
        completed_at=iso(began + CASE_SECONDS),
        duration_ms=int(CASE_SECONDS * 1000),
        **told,
    )

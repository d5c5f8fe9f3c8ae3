"""State of the simulated Zof: projects, schedules, runs, results, its quota, and the recorded calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal

from zofbot.simulator import sample_failures as texts
from zofbot.simulator.faults import ZOF_FAULTS, FaultInjector
from zofbot.simulator.quota import MinuteQuota
from zofbot.simulator.zof.webhooks import Webhooks, current_envelope, older_envelope

ZofRecord = dict[str, Any]
RecordVariant = Literal["documented", "older"]

FAILED_STATUSES = ("failed", "error")


@dataclass(frozen=True)
class HttpReply:
    """An HTTP reply: ``bytes`` are sent unchanged, text as text, anything else as JSON.

    A header of ``None`` removes a default header, such as ``X-Request-Id``.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str | None] = field(default_factory=dict)


@dataclass
class RecordedZofCall:
    """One request to Zof with its reply; ``status`` is ``None`` if no reply was sent."""

    n: int
    at: float
    method: str
    path: str
    request_id: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None
    status: int | None = None
    ms: int = 0
    fault: str | None = None


def format_time(at: float) -> str:
    """Format Unix seconds as Zof does."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Organization:
    """The organization at Zof. Runs and results are in order of creation, oldest first."""

    now: Callable[[], float]
    random: Random
    changed: Callable[[], None]
    key: str = "zof-simulated-key"
    forbidden: set[str] = field(default_factory=set)
    """Resources that the key's role does not allow, by the first part of the path, such as ``projects``."""
    projects: dict[str, ZofRecord] = field(default_factory=dict)
    schedules: dict[str, ZofRecord] = field(default_factory=dict)
    runs: dict[str, ZofRecord] = field(default_factory=dict)
    results: dict[str, ZofRecord] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)
    """JSON or a :class:`HttpReply` by path (such as ``/results/res_1``), sent instead of the stored record."""
    dialect: RecordVariant = "documented"
    newest_first: bool = True
    refused_params: set[str] = field(default_factory=set)
    """Query parameters that are refused with a 400 that names them."""
    quota: MinuteQuota | None = field(default_factory=lambda: MinuteQuota(100))
    webhooks: Webhooks = field(default_factory=Webhooks)
    faults: FaultInjector = field(default_factory=lambda: FaultInjector(ZOF_FAULTS, {"slow": 3.0, "hang": 15.0}))
    calls: deque[RecordedZofCall] = field(default_factory=lambda: deque(maxlen=2000))
    answered: dict[str, HttpReply] = field(default_factory=dict)
    """First replies by Idempotency-Key."""
    asked: int = 0
    runs_take: float | None = None
    """Seconds until a run started by API passes; ``None``: it never ends by itself."""
    due: dict[str, float] = field(default_factory=dict)
    """Times at which runs started by API end."""
    latest_end: float = 0.0

    def finish_due(self) -> None:
        """End the runs started by API that are due."""
        for run_id in [run_id for run_id, at in self.due.items() if at <= self.now()]:
            del self.due[run_id]
            names = {result.get("test_case_id"): result.get("name") for result in self.results.values()}
            for case in self.runs[run_id].get("test_case_ids") or []:
                self.add_result(run_id, status="passed", test_case_id=case, name=names.get(case) or case)
            self.finish_run(run_id, "passed")

    def new_id(self, prefix: str) -> str:
        """Return a new id, such as ``run_4f9a01c2``."""
        return f"{prefix}_{self.random.getrandbits(40):010x}"

    def start_run(self, request: ZofRecord) -> ZofRecord:
        """Add a queued run from the body of ``POST /runs``."""
        run = {"id": self.new_id("run"), "status": "queued", **request, "created_at": format_time(self.now())}
        self.runs[run["id"]] = run
        self.changed()
        return run

    def add_result(self, run_id: str, **fields: Any) -> ZofRecord:
        """Add the result of one case to a run; project and environment are the run's."""
        run = self.runs[run_id]
        result: ZofRecord = {
            "id": self.new_id("res"),
            "run_id": run_id,
            **{name: run[name] for name in ("project_id", "environment") if name in run},
            "created_at": format_time(self.now()),
            **fields,
        }
        self.results[result["id"]] = result
        self.changed()
        return result

    def finish_run(self, run_id: str, status: str | None = None) -> ZofRecord:
        """End a run now, a millisecond after the one before at the earliest; ``status`` follows from the results."""
        run = self.runs[run_id]
        counts = self.count_results(run_id)
        run["status"] = status or ("failed" if counts["failed"] + counts["error"] else "passed")
        run["summary"] = counts
        self.latest_end = max(self.now(), self.latest_end + 0.001)
        run["completed_at"] = format_time(self.latest_end)
        self._announce_end(run)
        self.changed()
        return run

    def finish_failing_run(self, project: str, environment: str, failures: int = 2, passed: int = 4) -> ZofRecord:
        """Record a run of the project's cases that ends now, ``failures`` of them bad; without any it passes."""
        seconds = 30.0 * (failures + passed)
        began = format_time(self.now() - seconds)
        run = self.start_run({"project_id": project, "environment": environment})
        name = self.projects.get(project, {}).get("name", project)
        ended = {"created_at": began, "started_at": began, "duration_ms": int(seconds * 1000)}
        run |= {"name": f"{name} on {environment}", "project_name": name, **ended}
        for number, case in enumerate(self._sample_cases(project, failures + passed)):
            status, text = texts.random_failure(self.random) if number < failures else ("passed", None)
            failure_fields = {"failure_summary": text} if text else {}
            run_fields = {"project_name": name, "completed_at": format_time(self.now()), "duration_ms": 30_000}
            self.add_result(run["id"], status=status, **case, **run_fields, **failure_fields)
        return self.finish_run(run["id"])

    def _sample_cases(self, project: str, count: int) -> list[ZofRecord]:
        """Return cases of a project, those that ran before first."""
        known = {
            result["test_case_id"]: result.get("name")
            for result in self.results.values()
            if result.get("project_id") == project and "test_case_id" in result
        }
        cases = [{"test_case_id": case, "name": name} for case, name in known.items()]
        more = range(len(cases) + 1, count + 1)
        return [*cases, *({"test_case_id": f"tc_{at}", "name": f"Case {at}"} for at in more)][:count]

    def _announce_end(self, run: ZofRecord) -> None:
        """Queue the events of a run's end; Zof sends two for a failed run, each with its own id."""
        kinds = ["run.completed", *(["run.failed"] if run["status"] in FAILED_STATUSES else [])]
        self.webhooks.queue_events({kind: self.build_envelope(kind, run) for kind in kinds})

    def build_envelope(self, kind: str, run: ZofRecord) -> ZofRecord:
        """Build an event about a run, in the selected envelope."""
        at = format_time(self.now())
        if self.webhooks.generation == "older":
            return older_envelope(kind, at, run)
        return current_envelope(kind, at, self.new_id, run["id"])

    def results_of_run(self, run_id: str) -> list[ZofRecord]:
        """Return the results of a run."""
        return [result for result in self.results.values() if result.get("run_id") == run_id]

    def count_results(self, run_id: str) -> dict[str, int]:
        """Count the cases of a run by outcome; of several attempts the last counts."""
        last = {result.get("test_case_id") or result["id"]: result for result in self.results_of_run(run_id)}
        statuses = [result.get("status") for result in last.values()]
        words = ("passed", "failed", "error", "skipped")
        return {"total": len(statuses), **{word: statuses.count(word) for word in words}}

    def in_list_order(self, kept: Iterable[ZofRecord]) -> list[ZofRecord]:
        """Sort records in the order in which this organization lists them."""
        return list(reversed(list(kept))) if self.newest_first else list(kept)

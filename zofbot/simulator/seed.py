"""Sample data for the simulator: the organization Acme, its people, channels, projects and a week of runs."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from zofbot.simulator import sample_failures
from zofbot.simulator.slack.model import BOT_USER_ID, Channel, User, UserGroup
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.world import World
from zofbot.simulator.zof.state import Organization, ZofRecord, format_time

ANA, BEN, CHIOMA, GUEST, EXTERNAL = "U0ANA", "U0BEN", "U0CHIOMA", "U0GUEST", "U0EXT"
QA_ALERTS, CHECKOUT_CHANNEL, SEARCH_CHANNEL = "C0QA", "C0CHECKOUT", "C0SEARCH"
RANDOM_CHANNEL, INCIDENT_ROOM, ARCHIVED, PARTNERS = "C0RANDOM", "C0INCIDENT", "C0OLD", "C0PARTNERS"
CAUSES_CHANNEL = "C0CAUSES"
ON_CALL_GROUP = "S0ONCALL"
CHECKOUT, SEARCH = "proj_checkout", "proj_search"
ENVIRONMENTS = ("staging", "production", "nightly")
RUN_COUNT = 40
WEEK_SECONDS = 7 * 24 * 3600

ASSERTION_RESULT = "res_4821"
BAD_GATEWAY_RESULT = "res_4822"
TIMEOUT_RESULT = "res_4823"
SCREENSHOT_RESULT = "res_4824"
PASSED_RESULT = "res_4825"
LEAK_RESULT = "res_4826"
BARE_RESULT = "res_4827"
EXAMPLE_RUN = "run_2037"
LARGE_RUN = "run_2038"
"""A run with 53 failed cases."""
BARE_RUN = "run_2039"
RUNNING_RUN = "run_2040"
NIGHTLY_SCHEDULE = "sched_nightly"
"""The schedule that started one of the runs."""

SCHEDULES: tuple[ZofRecord, ...] = (
    {
        "id": NIGHTLY_SCHEDULE, "name": "Nightly checkout", "status": "active", "cron": "0 2 * * *", "timezone": "UTC",
        "target": {"project_id": CHECKOUT, "environment": "staging", "test_suite_id": "suite_payment"},
    },
    {
        "id": "sched_dawn", "name": "Search before breakfast", "status": "active", "cron": "30 5 * * *",
        "timezone": "UTC", "target": {"project_id": SEARCH, "environment": "production"},
    },
    {
        "id": "sched_old", "name": "Search, old catalogue", "status": "paused", "cron": "0 4 * * *",
        "target": {"project_id": SEARCH, "environment": "nightly"},
    },
)  # fmt: skip
"""Few field names are documented (https://zof.ai/docs/api/schedules): these are believed."""


class SampleProject(NamedTuple):
    """A project, its suites, and the cases in each."""

    id: str
    name: str
    suites: dict[str, tuple[str, ...]]


PROJECTS = (
    SampleProject(
        CHECKOUT,
        "checkout",
        {
            "suite_cart": (
                "Cart keeps its items after signing in",
                "Voucher can be removed again",
                "Quantity cannot fall below one",
                "Cart is merged on a second device",
                "Sold-out items are marked in the cart",
            ),
            "suite_payment": (
                "Card payment is authorized",
                "Declined card shows what to do",
                "3-D Secure challenge comes back to the shop",
                "Invoice is sent after payment",
                "Guest can place an order",
            ),
            "suite_refund": (
                "Partial refund changes the order's total",
                "Refund of a gift card goes back to the card",
                "Cancelled order releases the stock",
                "Refund is shown in the account",
            ),
        },
    ),
    SampleProject(
        SEARCH,
        "search",
        {
            "suite_query": (
                "Typos still find the product",
                "Empty query shows the bestsellers",
                "Umlauts and accents are folded",
                "Very long query is answered",
                "Query with quotes finds the exact phrase",
            ),
            "suite_ranking": (
                "Relevant products come first",
                "Sponsored products are labelled",
                "Ranking is stable between pages",
                "Newest first sorts by date",
            ),
            "suite_filters": (
                "In-stock filter hides sold-out products",
                "Price range includes its bounds",
                "Two filters are combined",
                "Filters survive going back",
            ),
        },
    ),
)


def seed_world(world: World) -> None:
    """Fill an empty world; the same seed gives the same organization, with times relative to the world's now."""
    _add_users(world.slack)
    _add_channels(world.slack)
    _HistoryWriter(world.zof, world.unix_time()).write_runs()
    world.notify_watchers()


def _add_users(slack: Workspace) -> None:
    people = (
        User(ANA, "ana", "Ana Keller", "Europe/Berlin", color="#2563eb", admin=True),
        User(BEN, "ben", "Ben Ortiz", "America/New_York", color="#15803d"),
        User(CHIOMA, "chioma", "Chioma Eze", "Asia/Tokyo", color="#c026d3"),
        User(GUEST, "gus", "Gus Lindqvist", "Europe/London", "guest", "#b45309"),
        User(EXTERNAL, "petra", "Petra Novak (Parcel Co)", "Europe/Prague", "external", "#be123c", team="T0PARCEL"),
        User(BOT_USER_ID, "zofbot", "zofbot", "Europe/London", "bot", "#7c3aed"),
    )
    slack.users |= {user.id: user for user in people}
    slack.groups[ON_CALL_GROUP] = UserGroup(ON_CALL_GROUP, "oncall-checkout", "On call: checkout", [ANA, BEN])


def _add_channels(slack: Workspace) -> None:
    staff = {ANA, BEN, CHIOMA}
    channels = (
        Channel(QA_ALERTS, "qa-alerts", staff | {BOT_USER_ID}, "Alerts of failed test runs"),
        Channel(CHECKOUT_CHANNEL, "checkout", staff | {GUEST, BOT_USER_ID}, "Cart, payment, refund"),
        Channel(SEARCH_CHANNEL, "search", staff | {BOT_USER_ID}, "Query, ranking, filters"),
        Channel(CAUSES_CHANNEL, "failure-causes", staff | {BOT_USER_ID}, "One message a cause, whatever it breaks"),
        Channel(RANDOM_CHANNEL, "random", staff | {GUEST}, "Everything else"),
        Channel(INCIDENT_ROOM, "incident-room", {ANA, BEN}, "Incidents only", private=True),
        Channel(ARCHIVED, "old-alerts", staff, "Closed in spring", archived=True),
        Channel(PARTNERS, "ext-parcel-co", staff | {EXTERNAL, BOT_USER_ID}, "With Parcel Co", external=True),
    )
    slack.channels |= {channel.id: channel for channel in channels}
    for user in slack.users.values():
        if user.kind in ("member", "guest"):
            dm = Channel(f"D{user.id[1:]}", user.name, {user.id, BOT_USER_ID}, im_with=user.id)
            slack.channels[dm.id] = dm


class _HistoryWriter:
    """Record a week of runs, oldest first, from one seeded random generator."""

    def __init__(self, zof: Organization, now: float) -> None:
        self.zof, self.now = zof, now
        self.random = Random(2026)  # noqa: S311 - made-up history, not secrets
        self.number = 4000

    def write_runs(self) -> None:
        for project in PROJECTS:
            suites = [{"id": suite, "cases": len(cases)} for suite, cases in project.suites.items()]
            about = {"id": project.id, "name": project.name, "environments": list(ENVIRONMENTS)}
            self.zof.projects[project.id] = {**about, "suites": suites}
        self.zof.schedules |= {each["id"]: dict(each) for each in SCHEDULES}
        step = WEEK_SECONDS / RUN_COUNT
        for at in range(1, RUN_COUNT - 3):
            self._add_run(f"run_{2000 + at}", self.now - WEEK_SECONDS + at * step - self.random.uniform(0, step / 2))
        self._add_example_run(self.now - 3 * 3600)
        self._add_large_run(self.now - 2 * 3600)
        self.zof.runs[BARE_RUN] = {"id": BARE_RUN}
        self.zof.results[BARE_RESULT] = {"id": BARE_RESULT}
        self._add_running_run(self.now - 240)

    def _start_run(
        self, run_id: str, project: SampleProject, environment: str, suite: str, started: float
    ) -> ZofRecord:
        run = {
            "id": run_id,
            "status": "running",
            "name": f"{project.name}: {suite.removeprefix('suite_')} on {environment}",
            "project_id": project.id,
            "project_name": project.name,
            "environment": environment,
            "test_suite_id": suite,
            "url": f"https://console.zof.ai/runs/{run_id}",
            "created_at": format_time(started - 8),
            "started_at": format_time(started),
        }
        self.zof.runs[run_id] = run
        return run

    def _end_run(self, run: ZofRecord, started: float, seconds: float) -> None:
        counts = self.zof.count_results(run["id"])
        bad = "failed" if counts["failed"] else "error" if counts["error"] else "passed"
        ids = [result["test_case_id"] for result in self.zof.results_of_run(run["id"])]
        ended = {"completed_at": format_time(started + seconds), "duration_ms": int(seconds * 1000)}
        run |= {"status": bad, **ended, "summary": counts, "test_case_ids": ids}

    def _add_run(self, run_id: str, started: float) -> None:
        project = self.random.choice(PROJECTS)
        suites = self.random.sample(sorted(project.suites), k=2 if self.random.random() < 0.8 else 3)
        run = self._start_run(run_id, project, self.random.choice(ENVIRONMENTS), suites[0], started)
        cases = [case for suite in suites for case in project.suites[suite]]
        wrong = set(self.random.sample(cases, k=self.random.choice((0, 0, 0, 1, 1, 2, 3))))
        at = started
        for case in cases:
            at += self._add_result(
                run, case, at, sample_failures.random_failure(self.random) if case in wrong else None
            )
        self._end_run(run, started, at - started)

    def _add_result(
        self,
        run: ZofRecord,
        case: str,
        started: float,
        failure: sample_failures.SampleFailure | None,
        result_id: str = "",
    ) -> float:
        """Record one case's result; returns its duration in seconds."""
        seconds = round(self.random.uniform(0.8, 45 if failure else 18), 3)
        status = failure[0] if failure else "skipped" if self.random.random() < 0.03 else "passed"
        result_id = result_id or self._next_id()
        failure_fields = (
            {"failure_summary": failure[1], "logs_url": f"https://console.zof.ai/logs/{result_id}"} if failure else {}
        )
        self.zof.results[result_id] = {
            "id": result_id,
            "run_id": run["id"],
            "status": status,
            "test_case_id": case_id(case),
            "name": case,
            **{name: run[name] for name in ("project_id", "project_name", "environment")},
            "url": f"https://console.zof.ai/results/{result_id}",
            "duration_ms": int(seconds * 1000),
            "created_at": format_time(started),
            "started_at": format_time(started),
            "completed_at": format_time(started + seconds),
            **failure_fields,
        }
        return seconds

    def _next_id(self) -> str:
        """Return a new id, mostly short, sometimes long."""
        self.number += 1
        return self.zof.new_id("res") if self.number % 9 == 0 else f"res_{self.number}"

    def _add_example_run(self, started: float) -> None:
        """Add a run with the results that the documentation and the tests use."""
        run = self._start_run(EXAMPLE_RUN, PROJECTS[0], "staging", "suite_payment", started)
        run["schedule_id"] = NIGHTLY_SCHEDULE
        outcomes: tuple[tuple[str, str, sample_failures.SampleFailure | None], ...] = (
            (ASSERTION_RESULT, "Voucher can be removed again", ("failed", sample_failures.ASSERTION)),
            (BAD_GATEWAY_RESULT, "Card payment is authorized", ("error", sample_failures.BAD_GATEWAY)),
            (TIMEOUT_RESULT, "Guest can place an order", ("error", sample_failures.TIMEOUT)),
            (SCREENSHOT_RESULT, "Invoice is sent after payment", ("failed", sample_failures.SCREENSHOT)),
            (LEAK_RESULT, "Cart is merged on a second device", ("failed", sample_failures.LEAK)),
        )
        at = started
        for result_id, case, failure in outcomes:
            at += self._add_result(run, case, at, failure, result_id)
        for case in PROJECTS[0].suites["suite_refund"]:
            at += self._add_result(run, case, at, None)
        at += self._add_result(run, "Cart keeps its items after signing in", at, None, PASSED_RESULT)
        self.zof.results[PASSED_RESULT]["status"] = "passed"
        self._end_run(run, started, at - started)

    def _add_large_run(self, started: float) -> None:
        """Add a run with 53 failed cases and a few that passed."""
        run = self._start_run(LARGE_RUN, PROJECTS[1], "production", "suite_query", started)
        at = started
        for number in range(1, 59):
            case = f"Category page {number:02d} lists its products"
            failure = ("failed", f"Expected at least one product in category {number}, found none (HTTP 200)")
            at += self._add_result(run, case, at, failure if number <= 53 else None)
        self._end_run(run, started, at - started)

    def _add_running_run(self, started: float) -> None:
        run = self._start_run(RUNNING_RUN, PROJECTS[0], "production", "suite_cart", started)
        at = started
        for case in PROJECTS[0].suites["suite_cart"][:3]:
            at += self._add_result(run, case, at, None)


def case_id(case: str) -> str:
    """Return the id of a case, made from its title."""
    return "tc_" + "_".join(word for word in case.lower().replace("-", " ").split() if word.isalnum())[:40]

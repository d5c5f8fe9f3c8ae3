"""All that waits, limits a wait or asks for the time does so by the one clock, or is listed here with its reason."""

from __future__ import annotations

import pytest

from tests.support.other_clocks import find_other_clocks
from tests.support.paths import ROOT

PACKAGE = ROOT / "zofbot"

EDGE = "a command, or the demo, makes the clock and passes it in"
SIMULATED_STOP = "aiohttp waits for open connections when a simulated server stops, on the loop's clock"
CONNECTION = "aiohttp's timers of one connection, on the loop's clock and within the limit of each call"
REDIS_PY = "redis-py's own timer, on the loop's clock"

LISTED = {
    ("cli", "zofbot.clock.Clock"): EDGE,
    ("cli/serve.py", "threading.Timer"): "ends the process where a thread keeps the event loop from ending",
    ("demo.py", "zofbot.clock.Clock"): EDGE,
    ("demo.py", "zofbot.clock.MovableClock"): EDGE,
    ("concurrency.py", "asyncio.Timeout"): "ends work at once when the bot stops; it measures no time",
    ("concurrency.py", "timeout="): "waits on the loop's clock, and no longer in a slow process",
    ("config/redis_url.py", "retry_on_timeout="): "an option that an operator may set for redis-py",
    ("config/redis_url.py", "socket_connect_timeout="): "an option that an operator may set for redis-py",
    ("config/redis_url.py", "socket_timeout="): "an option that an operator may set for redis-py",
    ("http/server.py", "keepalive_timeout="): "aiohttp closes idle connections, on the loop's clock",
    ("http/server.py", "lingering_time="): "aiohttp reads what a rejected sender still sends, on the loop's clock",
    ("http/server.py", "shutdown_timeout="): "aiohttp waits for requests when the server stops, on the loop's clock",
    ("observability/log_config.py", "structlog.processors.TimeStamper"): (
        "log lines have the machine's time, as those of other programs do, also if the demo's clock is moved"
    ),
    ("simulator/server.py", "shutdown_timeout="): SIMULATED_STOP,
    ("simulator/slack/socket_mode.py", "timeout="): SIMULATED_STOP,
    ("slack/client.py", "heartbeat="): "aiohttp sends pings and closes a silent connection, on the loop's clock",
    ("store/__init__.py", ".time"): "asks for the time of Redis, which is compared with the clock's",
    ("store/traces.py", ".time"): "asks for the time of Redis, from which the ids of traces are made",
    ("store/pending_runs.py", "timeout="): f"{REDIS_PY}: it waits for a message within a limit of the clock",
    ("store/redis_server/connect.py", "health_check_interval="): REDIS_PY,
    ("store/redis_server/connect.py", "redis.backoff.ConstantBackoff"): f"{REDIS_PY}: 50 ms, once",
    ("store/redis_server/connect.py", "socket_connect_timeout="): REDIS_PY,
    ("store/redis_server/connect.py", "socket_timeout="): REDIS_PY,
    ("store/redis_server/lean_connection.py", ".time"): "redis-py sets the time of its next check by the loop's clock",
    (
        "store/redis_server/lean_connection.py",
        "socket_timeout=",
    ): "redis-py's timer, off unless an operator sets it",
    ("zof/transport/aiohttp_transport.py", "aiohttp.ClientTimeout"): CONNECTION,
    ("zof/transport/aiohttp_transport.py", "keepalive_timeout="): CONNECTION,
    ("zof/transport/aiohttp_transport.py", "timeout="): CONNECTION,
    ("zof/transport/http_client.py", "httpx.Timeout"): "the same for httpx, which is used behind a proxy",
    ("zof/transport/http_client.py", "timeout="): "the same for httpx, which is used behind a proxy",
}
"""What else has to do with time: a file or a folder, what it uses, and why. ``clock.py`` is the one clock."""


def used_besides_the_clock() -> set[tuple[str, str]]:
    """Return the file and the use, or the folder and the use if that is listed."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        where = path.relative_to(PACKAGE)
        for use in find_other_clocks(path.read_text()) if where.as_posix() != "clock.py" else ():
            of_folder = (where.parts[0], use)
            found.add(of_folder if of_folder in LISTED else (where.as_posix(), use))
    return found


def test_there_is_one_clock() -> None:
    found = used_besides_the_clock()
    assert sorted(found - set(LISTED)) == [], "use the clock, or list it with a reason"
    assert sorted(set(LISTED) - found) == [], "no longer used"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time\ntime.monotonic()", "time"),
        ("import time as t\nt.time()", "time"),
        ("from time import perf_counter", "time"),
        ("def f():\n    import time", "time"),
        ("import sched", "sched"),
        ("import stamina\nstamina.retry_context(on=KeyError)", "stamina"),
        ("from tenacity import retry", "tenacity"),
        ("from datetime import datetime\ndatetime.now(UTC)", "datetime.datetime.now"),
        ("from datetime import datetime as d\nd.now()", "datetime.datetime.now"),
        ("from datetime import datetime\ndatetime.now(None)", "datetime.datetime.now"),
        ("import datetime\ndatetime.datetime.utcnow()", "datetime.datetime.utcnow"),
        ("import datetime as dt\nfrom_dict(default_factory=dt.datetime.now)", "datetime.datetime.now"),
        ("from datetime import date\ndate.today()", "datetime.date.today"),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(3)", "asyncio.sleep"),
        ("import asyncio\nasync def f(s):\n    await asyncio.sleep(s)", "asyncio.sleep"),
        ("from asyncio import sleep\nasync def f():\n    await sleep(3)", "asyncio.sleep"),
        ("from asyncio.tasks import sleep as nap\nasync def f():\n    await nap(3)", "asyncio.tasks.sleep"),
        ("import asyncio as a\nasync def f():\n    await a.sleep(3)", "asyncio.sleep"),
        ("import asyncio\na = asyncio\nasync def f():\n    await a.sleep(3)", "asyncio.sleep"),
        ("import asyncio\npause = asyncio.sleep", "asyncio.sleep"),
        ("import asyncio\nfrom functools import partial\npartial(asyncio.sleep, 3)", "asyncio.sleep"),
        ("import asyncio\ndef f(sleep=asyncio.sleep): ...", "asyncio.sleep"),
        ("import asyncio\nasync def f():\n    async with asyncio.timeout(3): ...", "asyncio.timeout"),
        ("from asyncio import timeout_at\ntimeout_at(3)", "asyncio.timeout_at"),
        ("from asyncio import Timeout\nTimeout(3)", "asyncio.Timeout"),
        ("import asyncio.timeouts\nasyncio.timeouts.Timeout(3)", "asyncio.timeouts.Timeout"),
        ("import asyncio\nasyncio.wait_for(x, 3)", "asyncio.wait_for"),
        ("import asyncio\nasyncio.wait({x}, timeout=3)", "timeout="),
        ("import asyncio\nasyncio.as_completed([x], timeout=seconds)", "timeout="),
        ("import asyncio\nfrom functools import partial\npartial(asyncio.wait, timeout=3)", "timeout="),
        ("import asyncio\nasyncio.get_running_loop().time()", ".time"),
        ("loop.time()", ".time"),
        ("self._loop.time()", ".time"),
        ("import asyncio\nx = asyncio.get_event_loop()\nx.time()", ".time"),
        ("read = self.loop.time", ".time"),
        ("loop.call_later(3, f)", ".call_later"),
        ("asyncio.get_running_loop().call_at(3, f)", ".call_at"),
        ("sock.settimeout(3)", ".settimeout"),
        ("from aiohttp import ClientTimeout\nClientTimeout(3)", "aiohttp.ClientTimeout"),
        ("import aiohttp\naiohttp.ClientTimeout(total=None, sock_read=3)", "aiohttp.ClientTimeout"),
        ("import aiohttp\naiohttp.ClientSession()", "aiohttp.ClientSession without timeout="),
        ("import aiohttp\naiohttp.ClientSession(trust_env=None)", "aiohttp.ClientSession without timeout="),
        ("import httpx\nhttpx.Timeout(3)", "httpx.Timeout"),
        ("session.get(url, timeout=3)", "timeout="),
        ("session.ws_connect(url, heartbeat=30)", "heartbeat="),
        ("options = {'socket_timeout': 3}", "socket_timeout="),
        ("connect(**{'socket_connect_timeout': 3})", "socket_connect_timeout="),
        ("from redis.backoff import ConstantBackoff\nConstantBackoff(1)", "redis.backoff.ConstantBackoff"),
        ("import threading\nthreading.Timer(3, f)", "threading.Timer"),
        ("import structlog\nstructlog.processors.TimeStamper()", "structlog.processors.TimeStamper"),
        ("from zofbot.clock import Clock\nclock = clock or Clock()", "zofbot.clock.Clock"),
        ("from zofbot.clock import Clock\nfield(default_factory=Clock)", "zofbot.clock.Clock"),
    ],
)  # fmt: skip
def test_another_clock_is_found_whatever_it_is_called(source: str, found: str) -> None:
    assert find_other_clocks(source) == {found}


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)",
        "import asyncio\nasync def f():\n    await asyncio.wait({x}, return_when=asyncio.FIRST_COMPLETED)",
        "import asyncio\nlimits: dict[asyncio.Timeout, None] = {}",
        "import asyncio\nasync def f(limit: asyncio.Timeout) -> asyncio.Timeout: ...",
        "import asyncio\nloop = asyncio.get_running_loop()\nloop.create_future()",
        "from zofbot.clock import Clock, timeout\nasync def f(clock: Clock) -> None:\n    async with timeout(3): ...",
        "from zofbot.clock import timeout\ntimeout(3)",
        "self._clock.sleep(3)\nself._clock.monotonic()\ncontext.clock.time()",
        "from datetime import UTC, datetime, time\ndatetime.fromtimestamp(at, UTC)\ntime(9, 30)",
        "from datetime import date\ndate.fromisoformat(x)\nnow = 3",
        "condition.wait_for(is_ready)",
        "client.get_message(timeout=0)\nsession.get(url, timeout=None)",
        "import aiohttp\naiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))",
        "from redis.backoff import NoBackoff\nRetry(NoBackoff(), 0)",
        "reasons = {'request_timed_out': 3}\ntimeout = 3\nf(timeout)",
        "'import time; time.sleep(3)'",
    ],
)
def test_what_is_not_a_clock_is_not_reported(source: str) -> None:
    assert find_other_clocks(source) == set()

"""The sample world of tests: what ``seed_world`` makes, copied instead of made anew for each test."""

from __future__ import annotations

import pickle

from zofbot.simulator.seed import BARE_RUN, EXAMPLE_RUN, RUNNING_RUN, seed_world
from zofbot.simulator.world import World

_copies: dict[float, bytes] = {}
"""Serialized sample data by the world's time."""


def fill_world(world: World, *, history: bool = True) -> None:
    """Fill an empty world as ``seed_world`` does; without ``history``, only with the runs of the documentation."""
    _copy_sample(world)
    if not history:
        kept = {EXAMPLE_RUN, BARE_RUN, RUNNING_RUN, None}
        zof = world.zof
        zof.runs = {name: run for name, run in zof.runs.items() if name in kept}
        zof.results = {name: result for name, result in zof.results.items() if result.get("run_id") in kept}
    world.notify_watchers()


def _copy_sample(world: World) -> None:
    now = world.unix_time()
    if now not in _copies:
        _copies.clear()
        seed_world(world)
        zof, slack = world.zof, world.slack
        kept = (zof.projects, zof.schedules, zof.runs, zof.results, slack.users, slack.groups, slack.channels)
        _copies[now] = pickle.dumps((kept, zof.random.getstate()))
        return
    kept, state = pickle.loads(_copies[now])
    zof, slack = world.zof, world.slack
    zof.projects, zof.schedules, zof.runs, zof.results, slack.users, slack.groups, slack.channels = kept
    zof.random.setstate(state)

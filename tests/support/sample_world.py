"""The sample world of tests: what ``seed_world`` makes, copied instead of made anew for each test."""

from __future__ import annotations

import pickle

from zofbot.simulator.seed import seed_world
from zofbot.simulator.world import World

_copies: dict[float, bytes] = {}
"""Serialized sample data by the world's time."""


def fill_world(world: World) -> None:
    """Fill an empty world as ``seed_world`` does."""
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
    world.notify_watchers()

"""What the checkpoint stores of pending runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zofbot.polling.checkpoint import CHECKPOINT_HASHES, PollCheckpoint
from zofbot.store.pending_runs import PendingRun

NOW = 1e9


class CountedRun(PendingRun):
    """A pending run that counts how often it is formatted for the store."""

    dumps = 0

    def dump(self) -> str:
        CountedRun.dumps += 1
        return super().dump()


@pytest.fixture
def checkpoint() -> PollCheckpoint:
    opened = PollCheckpoint({name: {} for name in CHECKPOINT_HASHES}, NOW, 3600)
    opened.load_pending({})
    opened.collect_changes()
    opened.clear_changes()
    return opened


def _show(checkpoint: PollCheckpoint, run: PendingRun, count: int) -> None:
    """Add listed results to a pending run, as a scan does."""
    for number in range(count):
        known = checkpoint.pending_runs.get(run.hash_field, run)
        checkpoint.add_pending(replace(known, seen=(*known.seen, f"results:failed:res_{number}")))


def test_a_run_is_formatted_once_however_many_of_its_results_are_listed(checkpoint: PollCheckpoint) -> None:
    run = CountedRun("run", "run_1", "results failed", NOW)
    CountedRun.dumps = 0
    _show(checkpoint, run, 50)
    changes = checkpoint.collect_changes()
    assert CountedRun.dumps == 1
    [stored] = changes["hints"].values()
    assert len(PendingRun.load(stored or "").seen) == 50


def test_a_pending_run_alone_is_a_change_and_is_stored_once(checkpoint: PollCheckpoint) -> None:
    run = PendingRun("run", "run_1", "results failed", NOW)
    checkpoint.add_pending(run)
    assert checkpoint.collect_changes() == {"hints": {"run_1": run.dump()}}
    checkpoint.clear_changes()
    assert checkpoint.collect_changes() == {}


def test_changes_that_were_not_stored_are_collected_again(checkpoint: PollCheckpoint) -> None:
    run = PendingRun("run", "run_1", "results failed", NOW)
    checkpoint.add_pending(run)
    checkpoint.collect_changes()
    later = replace(run, due=NOW + 60)
    checkpoint.add_pending(later)
    assert checkpoint.collect_changes() == {"hints": {"run_1": later.dump()}}


def test_a_run_that_is_removed_and_found_again_is_kept(checkpoint: PollCheckpoint) -> None:
    run = PendingRun("run", "run_1", "results failed", NOW)
    checkpoint.add_pending(run)
    checkpoint.remove_pending(run)
    assert checkpoint.collect_changes() == {"hints": {"run_1": None}}
    checkpoint.add_pending(run)
    assert checkpoint.collect_changes() == {"hints": {"run_1": run.dump()}}

"""Whether a function's work is in proportion to its text, independent of the machine's speed."""

from __future__ import annotations

import time
from collections.abc import Callable

PIECES, PIECE_CHARS = 5, 2_000
MIN_ROUNDS, MAX_ROUNDS = 3, 30
MAX_RATIO = 1.5
"""Ratio of the times; 1 for work in proportion, up to 5 for squared work."""


def is_in_proportion(work: Callable[[str], object], beginning: str) -> bool:
    """Return whether a text of ``beginning``, repeated, takes about as long as the same text in five pieces.

    Compares the least CPU time of both, measured in turns; repeats while they differ, because the machine may be busy.
    """
    piece = beginning * (PIECE_CHARS // len(beginning))
    in_pieces = whole = float("inf")
    for number in range(1, MAX_ROUNDS + 1):
        in_pieces = min(in_pieces, _cpu_seconds(work, piece, PIECES))
        whole = min(whole, _cpu_seconds(work, piece * PIECES, 1))
        if number >= MIN_ROUNDS and whole < MAX_RATIO * in_pieces:
            return True
    return False


def _cpu_seconds(work: Callable[[str], object], text: str, count: int) -> float:
    began = time.thread_time()
    for _ in range(count):
        work(text)
    return time.thread_time() - began

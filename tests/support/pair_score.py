"""How well a clustering agrees with labels, counted in pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import comb
from typing import NamedTuple


class PairScore(NamedTuple):
    """The share of joined pairs that belong together, and of pairs that belong together the share that is joined."""

    precision: float
    recall: float


def score_pairs(labelled: Iterable[tuple[str, str]]) -> PairScore:
    """Score pairs of a label and a cluster."""
    both = Counter(labelled)
    labels: Counter[str] = Counter()
    clusters: Counter[str] = Counter()
    for (label, cluster), count in both.items():
        labels[label] += count
        clusters[cluster] += count
    right, joined, belong = (sum(comb(count, 2) for count in counts.values()) for counts in (both, clusters, labels))
    return PairScore(right / joined if joined else 1.0, right / belong if belong else 1.0)

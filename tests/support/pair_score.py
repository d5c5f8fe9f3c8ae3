"""Pairwise precision and recall of a clustering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import comb
from typing import NamedTuple


class PairScore(NamedTuple):
    """Precision: share of joined pairs with equal labels. Recall: share of pairs with equal labels that are joined."""

    precision: float
    recall: float


def score_pairs(labelled: Iterable[tuple[str, str]]) -> PairScore:
    """Score a list of (label, cluster)."""
    both = Counter(labelled)
    labels: Counter[str] = Counter()
    clusters: Counter[str] = Counter()
    for (label, cluster), count in both.items():
        labels[label] += count
        clusters[cluster] += count
    right, joined, belong = (sum(comb(count, 2) for count in counts.values()) for counts in (both, clusters, labels))
    return PairScore(right / joined if joined else 1.0, right / belong if belong else 1.0)

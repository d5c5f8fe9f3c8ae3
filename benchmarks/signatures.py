"""Measures signatures: precision and recall over labelled failure texts, and what they cost.

``make bench-more`` or ``.venv/bin/python benchmarks/signatures.py [--export | --errors]``; some seconds, no network.

Each pair of texts that get the same signature is right or wrong by the labels: precision is the share of joined pairs
that belong together, recall the share of pairs of one cause that are joined. The files of templates that are measured
stand in ``tests/support``: the one that the rules were made with, and others that were written after the rules. These
judged the rules before they were improved; what came out then stands at the head of each. ``--export`` prints the first
file's texts as JSON lines for ``zofbot signature``; ``--errors`` also prints what was joined or split against the
labels. Costs are processor time, of which others on the machine take nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script's own folder is there alone

from tests.support.failure_corpus import (
    HELD_OUT_TEMPLATES,
    TEMPLATES,
    LabelledFailure,
    read_corpus,
)
from tests.support.pair_score import score_pairs
from zofbot.alerting.failure_signature import (
    Signature,
    forget_texts,
    group_by_signature,
    make_signature,
)

SIZE = 4096
ROUNDS = 5
PATHOLOGICAL = (
    "a", "1", "a1", "1a", "a.", "a-", "a_1", "1.", "1,", "1-", ":", "::", "0:", "a:", "/", "/a", "//", "a/1", "\\",
    ".", "-", "'", "\"", "`", "'a", "\"a ", "'a' ", "<", "<a", "<*>", "<*> ", "(", "[", "{", "[1", "at ", "at a(",
    "at a.b(", "in ", "a@", "@", "a@b.", "=", "a=", "a: ", "user ", "user a ", "http://", "http://a/", "://", "?a=",
    "0x", "0x1", " ", "\t", "\n", "\n\n", "\r", "E  a\n", ">  assert a\n", "File \"", "#1 ", "=== ",
    "Call log:\n- waiting for 'a'\n", "- a: 1\n", "\u2026", "...", "\x1b[", "\x1b]", "&lt;",
    "-----BEGIN PRIVATE KEY-----", "eyJ", "eyJa.", "token=", "Expected: ", "expected <", "Jan 1 ", "Caused by: ",
    "code ", "error 1 ", "getByText(", "locator('", "1 a", "a1-", "1_", "\xc9", "\u4e2d1", "\ud800", "_-", "A1_",
    "f0",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--export", action="store_true", help="print the texts as JSON lines")
    parser.add_argument("--errors", action="store_true", help="print what was joined or split against the labels")
    options = parser.parse_args()
    if options.export:
        for failure in read_corpus():
            print(json.dumps(failure._asdict()))
        return
    for path in (TEMPLATES, *HELD_OUT_TEMPLATES):
        measure_quality(path.stem, read_corpus(path), options.errors)
    measure_cost(read_corpus())


def measure_quality(title: str, corpus: list[LabelledFailure], show_errors: bool) -> None:
    causes = len({failure.cause for failure in corpus})
    score = score_pairs((failure.cause, make_signature(failure.text).id) for failure in corpus)
    print(
        f"{title}: {len(corpus)} texts, {causes} causes: precision {score.precision:.4f} (goal 0.99), "
        f"recall {score.recall:.4f} (goal 0.95)"
    )
    if show_errors:
        print_errors(corpus)


def print_errors(corpus: Iterable[LabelledFailure]) -> None:
    by_signature: dict[Signature, Counter[str]] = defaultdict(Counter)
    by_cause: dict[str, dict[str, str]] = defaultdict(dict)
    for failure in corpus:
        signature = make_signature(failure.text)
        by_signature[signature][failure.cause] += 1
        by_cause[failure.cause][signature.id] = signature.normalized
    for signature, causes in by_signature.items():
        if len(causes) > 1:
            print(f"\nJOINED {dict(causes)}\n{signature.normalized}")
    for cause, signatures in by_cause.items():
        if len(signatures) > 1:
            print(f"\nSPLIT {cause}", *signatures.values(), sep="\n--\n")


def measure_cost(corpus: list[LabelledFailure]) -> None:
    joined = [("\n".join(failure.text for failure in corpus[start : start + 9]) * 9)[:SIZE] for start in range(100)]
    print(f"one text of 4 KB: {1000 * median(map(seconds_to_sign, joined)):.2f} ms (goal 1)")
    slowest = max((seconds_to_sign((piece * SIZE)[:SIZE]), piece) for piece in PATHOLOGICAL)
    print(f"the slowest of {len(PATHOLOGICAL)} pathological ones: {1000 * slowest[0]:.2f} ms ({slowest[1]!r} repeated)")
    failures = [(str(number), corpus[number % len(corpus)].text) for number in range(1000)]
    seconds = min(seconds_of(lambda: group_by_signature(failures)) for _ in range(ROUNDS))
    print(f"1,000 failures, {len(group_by_signature(failures))} signatures: {1000 * seconds:.0f} ms (goal 150)")


def seconds_to_sign(text: str) -> float:
    return min(seconds_of(lambda: make_signature(text)) for _ in range(ROUNDS))


def seconds_of(work: Callable[[], object]) -> float:
    """Processor time, for others work on this machine, too; nothing is remembered from earlier texts."""
    forget_texts()
    started = process_time()
    work()
    return process_time() - started


if __name__ == "__main__":
    main()

"""Causes: which failures of a run have the same signature, and how alerts store that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from zofbot.alerting.failure_signature import VERSION, Signature, make_signature
from zofbot.domain.model import Result
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.extra_summaries import summarize_extras
from zofbot.notifications.payload_parts import CaseSummary, CauseSummary
from zofbot.notifications.text import clip_text
from zofbot.subscriptions.case_history import CasePast
from zofbot.subscriptions.events import case_key

MAX_CACHED_TEXTS, MAX_CACHED_CHARACTERS = 1000, 16_000
"""Failure texts whose signature is kept in memory, and the longest of them."""

MAX_DESCRIBED_CHARACTERS = 1500
"""Characters of a failure text in a message of its own."""

MAX_CAUSES = 10
"""Causes of a run that are stored and get a reply, worst first; further ones are only counted."""


MAX_CAUSES_OF_MEMBER = 3
"""Causes of an alert that a storm counts separately."""


@dataclass(frozen=True)
class Cause:
    """Failures of a run with the same signature, sorted by title; an empty signature is for those without a text."""

    signature: str
    results: tuple[Result, ...]

    def split_unknown(self) -> list[Cause]:
        """Return the cause itself; without a signature nothing says that it is one, so each failure is apart."""
        return [self] if self.signature else [Cause("", (result,)) for result in self.results]


def is_of_other_version(signature: str) -> bool:
    """Whether other rules made a signature, which therefore cannot be compared."""
    return signature.partition("-")[0] != VERSION


def signature_of_text(text: str) -> Signature:
    """Return the signature of a failure text, computed once per text."""
    return _cached_signature(text) if len(text) <= MAX_CACHED_CHARACTERS else make_signature(text)


@lru_cache(maxsize=MAX_CACHED_TEXTS)
def _cached_signature(text: str) -> Signature:
    return make_signature(text)


def signature_of(result: Result) -> str:
    """Return the id of a result's signature, which begins with the version of the rules; empty without a text."""
    return signature_of_text(result.failure).id if result.failure and not result.failure.isspace() else ""


def signatures_of(results: Iterable[Result]) -> list[str]:
    """Return the signatures of failures, each once, without an empty one."""
    return [signature for signature in dict.fromkeys(map(signature_of, results)) if signature]


def group_by_cause(results: Iterable[Result]) -> list[Cause]:
    """Group failures by cause, the worst first, whatever their order; those without a text are last.

    Causes with as many failures are in the order of their first titles, so that the order of causes does not depend
    on how signatures are computed.
    """
    groups: dict[str, dict[str, Result]] = {}
    for result in results:
        groups.setdefault(signature_of(result), {})[result.id] = result
    causes = [Cause(name, tuple(sorted(group.values(), key=_title_order))) for name, group in groups.items()]
    return sorted(causes, key=lambda cause: (not cause.signature, -len(cause.results), _title_order(cause.results[0])))


def summarize_case(result: Result, most: int = 200) -> CaseSummary:
    """Summarize a result with its signature and at most ``most`` characters of its failure text."""
    return CaseSummary.from_result(result, most, signature_of(result))


def member_causes(body: RunAlertPayload | CaseAlertPayload, failures: int) -> tuple[CauseSummary, ...]:
    """Return the worst causes of an alert's failures in short, for the storm that may count it."""
    if isinstance(body, RunAlertPayload):
        return body.causes[:MAX_CAUSES_OF_MEMBER]
    example = body.case.model_copy(update={"why": clip_text(body.case.why, 200), "extras": ()})
    return (CauseSummary(signature=body.case.signature, count=failures, example=example),)


def describe_case(result: Result) -> CaseSummary:
    """Summarize a result with more of its failure text and its extra fields, for a message of its own."""
    case = summarize_case(result, MAX_DESCRIBED_CHARACTERS)
    return case.model_copy(update={"extras": summarize_extras(result.extras)})


def with_past(case: CaseSummary, past: CasePast | None) -> CaseSummary:
    """Return the summary with what its failure is by the case's earlier outcomes."""
    return case.model_copy(update={"past": past}) if past else case


def summarize_causes(causes: Sequence[Cause], past: Mapping[str, CasePast]) -> tuple[CauseSummary, ...]:
    """Summarize the first causes for an alert: how many failures each has, and one with its ``past``, by case."""
    return tuple(
        CauseSummary(
            signature=cause.signature,
            count=len(cause.results),
            example=with_past(summarize_case(cause.results[0]), past.get(case_key(cause.results[0]))),
        )
        for cause in causes[:MAX_CAUSES]
    )


def _title_order(result: Result) -> tuple[str, str]:
    return (result.title or "", result.id)

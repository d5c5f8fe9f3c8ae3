"""How a run ended that somebody started from a failure's thread: said there, once."""

from __future__ import annotations

import json
from collections.abc import Iterable

from zofbot.model import Outcome
from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.keys import edit_of
from zofbot.pipeline.memory import RERUN, Draft, failure_of, rerun_in
from zofbot.routing import Finding
from zofbot.routing.finding import case_of
from zofbot.slack import bodies
from zofbot.slack.bodies import Place, RerunBody

MAX_NAMED = 50
"""Cases of each kind that are named."""


def tell(draft: Draft, finding: Finding) -> None:
    """Say how it ended and with which cases, and offer to run them again.

    A recovery by this run says that it ended, and is given the cases.
    """
    name = rerun_in(finding.run.id)
    kept = draft.hash(name)
    root = kept.get("root")
    if not root or not finding.ended:
        return
    cases = [(str(case), str(title)) for case, title in json.loads(kept.get("cases", "[]"))]
    draft.drop(name, ["root", "cases"])
    draft.drop(failure_of(root), [RERUN])
    if edit_of(root) not in draft.notifications:
        draft.tell(redrawn(root, draft.by_our_clock(finding.happened)))
    passed = _titles(title for case, title in cases if case in finding.passed)
    told = draft.notifications.values()
    recovered = [one for one in told if one.root == root and one.body.get("card") == "recovered"]
    if recovered:
        draft.tell(*(one.model_copy(update={"body": one.body | {"cases": list(passed)}}) for one in recovered))
        return
    outcome = finding.outcome if finding.outcome.final else Outcome.UNKNOWN
    failed, _ = bodies.titles(finding.bad)
    known = {*map(case_of, finding.bad), *finding.passed}
    absent = _titles(title for case, title in cases if case not in known)
    body = RerunBody(run=Place.of(finding.run, outcome), bad=finding.total, failed=failed, passed=passed, absent=absent)
    draft.tell(
        Notification(
            key=f"rerun-ended:{finding.run.id}:{root}",
            kind=Kind.REPLY,
            channel=root.rpartition(":")[2],
            body=bodies.stored(body),
            root=root,
            happened=draft.by_our_clock(finding.happened),
            schema=SCHEMA,
        )
    )


def redrawn(root: str, at: float) -> Notification:
    """The edit after which the card under the key ``root`` offers what can be done ``at`` that time (Unix seconds)."""
    channel = root.rpartition(":")[2]
    return Notification(key=edit_of(root), kind=Kind.EDIT, channel=channel, root=root, happened=at, schema=SCHEMA)


def _titles(titles: Iterable[str]) -> tuple[str, ...]:
    """Titles as they are stored, no more than are read."""
    return tuple(bodies.said(title, 100) for title in titles)[:MAX_NAMED]

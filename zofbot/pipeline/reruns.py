"""How a run ended that somebody started from a failure's thread: said there, once."""

from __future__ import annotations

from zofbot.model import Outcome
from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.memory import Draft, rerun_in
from zofbot.routing import Finding
from zofbot.slack import bodies
from zofbot.slack.bodies import Place, RerunBody


def tell(draft: Draft, finding: Finding) -> None:
    """Say how it ended, unless the failure has recovered by it, which says as much."""
    name = rerun_in(finding.run.id)
    root = draft.hash(name).get("root")
    if not root or not finding.ended:
        return
    draft.drop(name, ["root"])
    told = draft.notifications.values()
    if any(one.root == root and one.body.get("card") == "recovered" for one in told):
        return
    outcome = finding.outcome if finding.outcome.final else Outcome.UNKNOWN
    body = RerunBody(run=Place.of(finding.run, outcome), bad=finding.total)
    draft.tell(
        Notification(
            key=f"rerun-ended:{finding.run.id}:{root}",
            kind=Kind.REPLY,
            channel=root.rpartition(":")[2],
            body=bodies.stored(body),
            root=root,
            happened=finding.happened,
            schema=SCHEMA,
        )
    )

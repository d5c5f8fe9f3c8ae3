"""What a passing run means to the failures that are open: edited to recovered, and said in the thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from zofbot.model import Outcome
from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.keys import edit_of, key
from zofbot.pipeline.memory import Draft, scope
from zofbot.pipeline.roots import Heal, Root, Roots, after, healer, passes, passing, remember
from zofbot.pipeline.shares import DEFAULT
from zofbot.pipeline.storm_record import load_storm, storm_reply, storm_with
from zofbot.routing import Broadcast, Finding, On, Subscription, quiet_until
from zofbot.slack import bodies
from zofbot.slack.bodies import Place, RecoveredBody, Standing


def note(draft: Draft, finding: Finding) -> None:
    """Remember what passed in a run, for failures that are heard of later."""
    own = passing(finding)
    if own:
        remember(draft, scope(finding), own)


@dataclass(frozen=True)
class Recovery:
    """A finding held against the open failures of one channel."""

    draft: Draft
    finding: Finding
    channel: str
    subscriptions: Sequence[Subscription]

    def apply(self) -> list[Root]:
        """Let them recover by what passed in this run, or in a later one that was heard of earlier; those that did."""
        place = scope(self.finding)
        roots = Roots(self.draft, self.channel, place)
        own, done = passing(self.finding), []
        for field, root in roots.items():
            news = passes(self.draft, place) if self.finding.run.id in root.runs else [own] if own else []
            healed = reduce(after, news, root)
            by = healer(healed) if healed.recovered != root.recovered else None
            changed = _turned(root, healed, by, self.draft.by_our_clock(by.at)) if by else healed
            if changed != root:
                roots.put(field, changed)
            if by:
                self.draft.tell(*self._told(changed, by, again=root.recovered is not None))
            if changed.turns > root.turns:
                done.append(changed)
        return done

    def _told(self, root: Root, by: Heal, *, again: bool) -> Iterator[Notification]:
        """The edit and the reply, for those who still ask for recoveries.

        What was told ``again`` is put right: it was heard of late that it had recovered earlier.
        """
        asked = [one for one in self.subscriptions if one.id in root.takers and one.channel == self.channel]
        wanted = [one for one in asked if On.RECOVERED in one.on]
        if not wanted and (asked or DEFAULT not in root.takers):
            return
        held = min((quiet_until(one, self.draft.now, critical=root.critical) for one in wanted), default=0.0)
        yield from self._storm_told(root, by, held)
        if root.storm:
            return
        yield self._notification(Kind.EDIT, edit_of(root.key), root, root.body, held)
        loud = any(Broadcast.RECOVERED in one.broadcast for one in wanted)
        if (root.threaded or loud) and not root.flapping(by.at):
            name = key("recovered", root.id, root.category, self.channel, turn=root.turns - 1)
            body = bodies.stored(self._reply(root, by, loud=loud))
            yield self._notification(Kind.REPLY, name, root, body, held)
            if again:
                yield self._notification(Kind.EDIT, edit_of(name), root, body, held, of=name)

    def _storm_told(self, root: Root, by: Heal, held: float) -> Iterator[Notification]:
        """Say in the thread of the storm that it is part of that all of it has recovered, once it has."""
        storm = load_storm(self.draft, self.channel, storm_with(self.draft, self.channel, root.key))
        if storm and storm.standing is Standing.RECOVERED and (storm.turned, storm.turner) == (by.at, by.run[:128]):
            name = key("recovered", storm.id, storm.category, storm.channel, turn=storm.turn - 1)
            body = RecoveredBody(title=storm.body().title, run=self._run_of(by), after=by.at - storm.failed)
            yield storm_reply(storm, name, body, by.at, held)

    def _reply(self, root: Root, by: Heal, *, loud: bool) -> RecoveredBody:
        after = by.at - root.last
        return RecoveredBody(title=_title(root), run=self._run_of(by), after=after, broadcast=loud)

    def _run_of(self, by: Heal) -> Place:
        own = by.run == self.finding.run.id
        return Place.of(self.finding.run, Outcome.PASSED) if own else Place(id=by.run[:128])

    def _notification(  # noqa: PLR0913, PLR0917  (what differs between the three)
        self, kind: Kind, name: str, root: Root, body: dict[str, Any], held: float, of: str = ""
    ) -> Notification:
        return Notification(
            key=name,
            kind=kind,
            channel=self.channel,
            body=body,
            root=of or root.key,
            happened=self.draft.by_our_clock(root.recovered or root.last),
            critical=root.critical,
            not_before=held,
            schema=SCHEMA,
        )


def _turned(before: Root, root: Root, by: Heal, at: float) -> Root:
    turn = before.body.get("turn", 0) + (before.recovered is None)
    turned = {"standing": Standing.RECOVERED.value, "turned": at, "turner": by.run[:128], "turn": turn}
    return root.model_copy(update={"body": root.body | turned})


def _title(root: Root) -> str:
    """The case's or the run's, as the root's message says it."""
    body = bodies.read(root.body)
    return body.title if isinstance(body, bodies.RunBody | bodies.CaseBody) else ""

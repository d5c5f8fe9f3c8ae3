"""How one channel is told its share of a failed run: roots, replies and edits, each under its key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from zofbot.model import Result
from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.keys import edit_of, key
from zofbot.pipeline.memory import Draft
from zofbot.pipeline.roots import CALM_SECONDS, Root, Roots, case_field, run_field
from zofbot.pipeline.shares import Share
from zofbot.pipeline.storms import Gust, collapses
from zofbot.pipeline.timers import follow, wake_up
from zofbot.routing import Broadcast, Finding, Group
from zofbot.routing.finding import case_of
from zofbot.slack import bodies
from zofbot.slack.bodies import Body, Case, CaseBody, FlappingBody, Place, Resolution, ResultBody, RunBody, Standing
from zofbot.triage import Policy, Triage

FIRST = 10
"""Failures of a run that get a reply of their own; one more reply lists the rest."""
TOP = 3
QUIET_FOR = 6 * 3600.0
"""Seconds without a failure after which the next one counts as worse."""


@dataclass(frozen=True)
class Telling:
    """How replies are told: ``again`` for what had recovered; the channel sees the first of them where it is ``loud``.

    ``mention`` is the id of whom the first mentions, ``others`` how many more failures it speaks for.
    """

    again: bool = False
    loud: bool = False
    mention: str = ""
    others: int = 0

    @property
    def heard(self) -> bool:
        """Whether there is a reply even where the layout has none."""
        return self.loud or bool(self.mention)

    @property
    def mentioned(self) -> tuple[str, ...]:
        return (self.mention,) if self.mention else ()


@dataclass(frozen=True)
class Teller:
    """What is needed to tell one share; ``held`` is when quiet hours end (Unix seconds), 0 outside of them."""

    draft: Draft
    finding: Finding
    share: Share
    roots: Roots
    held: float
    critical: bool

    def tell(self) -> bool:
        """Put the share's notifications into the draft; whether all of it went into a storm's summary."""
        return self._cases() if self.share.group is Group.CASE else self._run()

    def _run(self) -> bool:
        run, at = self.finding.run, self.finding.happened
        cases = [case_of(result) for result in self.share.results]
        known = self.roots.counting(run.id) or self.roots.flapping(cases, run.title or "", at)
        if known:
            self._run_goes_on(*known)
            return False
        if collapses(self.draft, self._gust(run.id, self.finding.outcome, max(1, self._bad))):
            return True
        resolved = self.roots.resolved(cases, run.title or "", at)
        body = self._run_body().model_copy(update={"resolved": resolved})
        root = self._root("run", run.id, self.finding.outcome, cases, body)
        self.roots.put(run_field(run.id), root)
        self._replies(root, self.share.results, Telling())
        return False

    def _run_goes_on(self, field: str, root: Root) -> None:
        """More was read of a run that was told, or what had recovered fails again."""
        at = self.finding.happened
        again = root.flaps(at)
        sleeper = self._sleeper(root) if again else ""
        more = [case for case in map(case_of, self.share.results) if case not in root.cases]
        reopened = again or bool(more)
        standing = Standing.AGAIN if again else Standing.OPEN if more else Standing(_standing(root))
        body = self._run_body(standing).model_copy(update=self._reopened(root, reopened))
        left = list(map(case_of, self.share.results)) if again else [*root.left, *more]
        changed = root.model_copy(
            update={
                "cases": (*root.cases, *more),
                "left": tuple(dict.fromkeys(left)),
                "partial": root.partial or self.finding.partial,
                "recovered": None if reopened else root.recovered,
                **self._counted(root),
                "body": bodies.stored(body),
            }
        )
        changed = changed.relapse(at) if again else changed
        loud = again and self.share.broadcasts(Broadcast.RELAPSE)
        if again and changed.flapping(at):
            changed = self._flap(changed, body.run.title, loud=loud)
        else:
            self._replies(changed, self.share.results, Telling(again=again, loud=loud, mention=sleeper))
        self.roots.put(field, changed)
        self.draft.tell(self._edit(changed))
        self._follow(changed, again=again)

    def _cases(self) -> bool:
        grouped: dict[str, list[Result]] = {}
        for result in self.share.results:
            grouped.setdefault(case_of(result), []).append(result)
        back = [case for case in sorted(grouped) if self._relapses(case)]
        collapsed = [self._case(case, grouped[case], back) for case in sorted(grouped)]
        return all(collapsed)

    def _relapses(self, case: str) -> bool:
        known, at = self.roots.get(case_field(case)), self.finding.happened
        return known is not None and known.flaps(at) and not self.roots.resolution(known, at)

    def _case(self, case: str, results: Sequence[Result], back: Sequence[str]) -> bool:
        """Tell one case; of those that are ``back`` the channel itself sees the first, which names how many more."""
        field, at = case_field(case), self.finding.happened
        known = self.roots.get(field)
        resolved = self.roots.resolution(known, at) if known else None
        if known and not known.over(at) and not resolved:
            self._case_goes_on(field, known, results, others=len(back) - 1 if case in back[:1] else None)
            return False
        first = results[0]
        if collapses(self.draft, self._gust(first.id, first.outcome, len(results))):
            return True
        body = self._case_body(case, first).model_copy(update={"resolved": resolved})
        root = self._root("case", first.id, first.outcome, [case], body)
        self.roots.put(field, root)
        self._tell_results(root, results[1:], Telling())
        return False

    def _case_goes_on(self, field: str, root: Root, results: Sequence[Result], others: int | None) -> None:
        at = self.finding.happened
        again = root.flaps(at)
        sleeper = self._sleeper(root) if again else ""
        before = CaseBody.model_validate(root.body)
        counts = before.count + (self.finding.run.id not in root.runs)
        latest = self._case_body(case_of(results[0]), results[0]) if at >= root.last else before
        kept = latest.model_copy(
            update={
                "count": counts,
                "first": min(before.first, at),
                "last": max(before.last, at),
                "standing": Standing.AGAIN if again else before.standing,
                "turned": at if again else before.turned,
                "turner": self.finding.run.id if again else before.turner,
                **self._reopened(root, again),
            }
        )
        changed = root.model_copy(update={**self._counted(root), "body": bodies.stored(kept)})
        changed = changed.relapse(at).model_copy(update={"left": root.cases}) if again else changed
        worse = Broadcast.RELAPSE if again else Broadcast.WORSE
        loud = (others is not None if again else at - root.last > QUIET_FOR) and self.share.broadcasts(worse)
        if again and changed.flapping(at):
            changed = self._flap(changed, kept.case.title, loud=loud)
        else:
            how = Telling(again=again, loud=loud, mention=sleeper, others=others or 0)
            self._tell_results(changed, results, how)
        self.roots.put(field, changed)
        self.draft.tell(self._edit(changed))
        self._follow(changed, again=again)
        self._wake(root, changed)

    def _sleeper(self, root: Root) -> str:
        """The id of whoever had snoozed it when it recovered; empty where nobody had."""
        return self.roots.records.woken_by_relapse(root.key, root.body, root.recovered or 0.0)

    def _wake(self, before: Root, root: Root) -> None:
        """Say so where a snooze ends by this failure."""
        asleep = self.roots.records.woken(root.key, before.body, root.body)
        if asleep:
            self.draft.tell(wake_up(root.key, self.share.channel, asleep, root.last))

    def _flap(self, root: Root, title: str, *, loud: bool) -> Root:
        """Say in one line that it turns again and again; give the root with that line's key."""
        name = root.line or key("flapping", root.id, root.category, self.share.channel, turn=root.turns)
        body = FlappingBody(title=title, run=self._place(), times=root.relapses, broadcast=loud)
        if root.line:
            self.draft.tell(self._notification(Kind.EDIT, edit_of(name), bodies.stored(body), name))
        elif root.threaded or loud:
            self._reply(root, name, body)
        else:
            return root
        return root.model_copy(update={"line": name})

    def _reopened(self, root: Root, again: bool) -> dict[str, Any]:
        """What a body says of its turns once more was heard of it."""
        turn, opened, policy = (root.body.get(name) for name in ("turn", "opened", "policy"))
        reopened = again and root.recovered is not None
        return {
            "turn": (turn or 0) + reopened,
            "opened": self._now if reopened else opened or root.first,
            "policy": Policy.model_validate(policy or {}),
            "takers": tuple(root.body.get("takers", ())),
            "resolved": Resolution.model_validate(resolved) if (resolved := root.body.get("resolved")) else None,
        }

    @property
    def _now(self) -> float:
        """When the channel hears of it."""
        return max(self.finding.happened, self.draft.now, self.held)

    def _follow(self, root: Root, *, again: bool = True) -> None:
        """Promise what happens where nobody acts.

        A failure that comes on top of known ones opens anew what people had resolved or put off, as of when it
        happened; where they had not, what is promised here is not wanted any more when it comes due.
        """
        body = bodies.read(root.body)
        if not isinstance(body, RunBody | CaseBody) or not body.policy.escalate:
            return
        opened = body.opened if again else self.finding.happened
        present = Triage(turn=body.turn, opened=opened)
        calm = root.relapsed + CALM_SECONDS if root.relapsed and root.flapping(self.finding.happened) else 0.0
        told = max(self._now, calm - body.policy.escalate[0].after)
        self.draft.tell(*follow(root.key, self.share.channel, present, body.policy, told=told))

    def _counted(self, root: Root) -> dict[str, Any]:
        """The root's account of runs with this one in it."""
        at, run_id = self.finding.happened, self.finding.run.id
        runs = tuple(dict.fromkeys((*root.runs, run_id)))[-10:]
        return {"runs": runs, "first": min(root.first, at), "last": max(root.last, at)}

    def _root(self, kind: str, identifier: str, category: str, cases: Iterable[str], body: Body) -> Root:
        """A new root, told at once."""
        made = Root(
            key=key(kind, identifier, str(category), self.share.channel),
            group=self.share.group,
            id=identifier,
            category=str(category),
            takers=tuple(taker.id for taker in self.share.takers),
            threaded=self.share.threaded,
            title=self.finding.run.title or "",
            cases=tuple(dict.fromkeys(cases)),
            left=tuple(dict.fromkeys(cases)),
            partial=self.finding.partial and self.share.group is Group.RUN,
            runs=(self.finding.run.id,),
            first=self.finding.happened,
            last=self.finding.happened,
            critical=self.critical,
            body=bodies.stored(body),
        )
        self.draft.tell(self._notification(Kind.ROOT, made.key, made.body))
        self._follow(made)
        return made

    def _replies(self, root: Root, results: Sequence[Result], how: Telling) -> None:
        if not results and how.again and (root.threaded or how.heard):
            again = bodies.AgainBody(run=self._place(), broadcast=how.loud, mention=how.mentioned)
            self._reply(root, key("again", self.finding.run.id, root.category, self.share.channel), again)
        self._tell_results(root, results[:FIRST], how)
        rest = results[FIRST:]
        count = self._bad - min(FIRST, len(results))
        if results and count and root.threaded:
            titles, listed = bodies.titles(rest)
            body = bodies.RestBody(run=self._place(), titles=titles, count=count, unlisted=count - listed)
            name = key("rest", self.finding.run.id, root.category, self.share.channel, turn=self._bad)
            self._reply(root, name, body)

    def _tell_results(self, root: Root, results: Sequence[Result], how: Telling) -> None:
        """A reply for each; the first is told as ``how`` says, which is all that a flat layout gets."""
        for index, result in enumerate(results if root.threaded else results[: int(how.heard)]):
            if root.group is Group.CASE and result.id == root.id:
                continue
            body = ResultBody(case=Case.of(result, 1500), run_id=self.finding.run.id, again=how.again)
            if not index:
                first = {"broadcast": how.loud, "mention": how.mentioned, "others": how.others}
                body = body.model_copy(update=first)
            self._reply(root, key("result", result.id, result.outcome.value, self.share.channel), body)

    @property
    def _bad(self) -> int:
        """Failures in the share, with those that nobody read where no filter could have left them out."""
        everything = len(self.share.results) == len(self.finding.bad)
        return self.finding.total if everything else len(self.share.results)

    def _place(self) -> Place:
        return Place.of(self.finding.run, self.finding.outcome)

    def _run_body(self, standing: Standing = Standing.OPEN) -> RunBody:
        turned = standing is Standing.AGAIN
        return RunBody(
            run=self._place(),
            standing=standing,
            turned=self.finding.happened if turned else None,
            turner=self.finding.run.id if turned else "",
            mention=self.share.mention,
            opened=self._now,
            policy=self.share.policy,
            takers=tuple(taker.id for taker in self.share.takers),
            bad=self._bad,
            top=tuple(map(Case.of, self.share.results[:TOP])),
            last=self.finding.happened,
        )

    def _case_body(self, case: str, result: Result) -> CaseBody:
        return CaseBody(
            run=self._place(),
            mention=self.share.mention,
            opened=self._now,
            policy=self.share.policy,
            takers=tuple(taker.id for taker in self.share.takers),
            case=Case.of(result, 1500),
            case_id=bodies.said(result.case_id, 128),
            first=self.finding.happened,
            last=self.finding.happened,
        )

    def _gust(self, identifier: str, category: str, failures: int) -> Gust:
        run = self.finding.run
        return Gust(
            channel=self.share.channel,
            id=identifier,
            category=str(category),
            held=self.held,
            project=bodies.said(run.project, 80),
            environment=bodies.said(run.environment, 80),
            failures=failures,
            mention=self.share.mention,
            critical=self.critical,
        )

    def _edit(self, root: Root) -> Notification:
        return self._notification(Kind.EDIT, edit_of(root.key), root.body, root.key)

    def _reply(self, root: Root, name: str, body: Body) -> None:
        self.draft.tell(self._notification(Kind.REPLY, name, bodies.stored(body), root.key))

    def _notification(self, kind: Kind, name: str, body: dict[str, Any], root: str = "") -> Notification:
        return Notification(
            key=name,
            kind=kind,
            channel=self.share.channel,
            body=body,
            root=root,
            happened=self.finding.happened,
            critical=self.critical,
            not_before=self.held,
            schema=SCHEMA,
        )


def _standing(root: Root) -> str:
    return str(root.body.get("standing", Standing.OPEN))

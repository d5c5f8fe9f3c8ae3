"""How one channel is told its share of a failed run: roots, replies and edits, each under its key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zofbot.model import Result
from zofbot.notification import Kind
from zofbot.pipeline.counting import Count
from zofbot.pipeline.holds import Hold
from zofbot.pipeline.keys import key
from zofbot.pipeline.memory import Draft
from zofbot.pipeline.roots import CALM_SECONDS, Root, Roots, case_field, run_field
from zofbot.pipeline.shares import WHOLE_RUN, Share
from zofbot.pipeline.storm_record import storm_with
from zofbot.pipeline.storms import MOST, Absorbed, StormCandidate, absorb_into_storm
from zofbot.pipeline.thread_replies import ReplyStyle, ThreadReplies
from zofbot.pipeline.timers import follow, wake_up
from zofbot.routing import Broadcast, Finding, Group
from zofbot.routing.finding import case_of
from zofbot.slack import bodies
from zofbot.slack.bodies import (
    Case,
    CaseBody,
    Member,
    Resolution,
    RunBody,
    Standing,
)
from zofbot.slack.storms import MAX_LINK_LENGTH
from zofbot.triage import Policy, Triage

TOP = 3
QUIET_FOR = 6 * 3600.0
"""Seconds without a failure after which the next one counts as worse."""


@dataclass(frozen=True)
class Teller:
    """What is needed to tell one share; ``hold`` is until when that waits."""

    draft: Draft
    finding: Finding
    share: Share
    roots: Roots
    hold: Hold
    critical: bool

    @property
    def held(self) -> float:
        """When it is told (Unix seconds), 0 for at once."""
        return self.hold.until

    @property
    def _thread(self) -> ThreadReplies:
        return ThreadReplies(self.draft, self.finding, self.share, self.held, self._now, self.critical)

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
        resolved = self.roots.resolved(cases, run.title or "", at)
        body = self._run_body().model_copy(update={"resolved": resolved})
        root = self._root("run", run.id, self.finding.outcome, cases, body, failures=max(1, self._thread.bad))
        self.roots.put(run_field(run.id), root)
        self._thread.tell_run(root, self.share.results, ReplyStyle())
        return bool(root.storm)

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
            changed = self._thread.tell_flapping(changed, body.run.title, loud=loud)
        else:
            self._thread.tell_run(changed, self.share.results, ReplyStyle(again=again, loud=loud, mention=sleeper))
        self.roots.put(field, changed, self.held)
        self._show(root, changed)
        self._follow(changed, again=again)

    def _cases(self) -> bool:
        grouped: dict[str, list[Result]] = {}
        for result in self.share.results:
            grouped.setdefault(case_of(result), []).append(result)
        back = [case for case in sorted(grouped) if self._relapses(case)]
        burst = sum(self._goes_on_in(case) is None for case in grouped) > MOST
        own = {case: replace(self, share=self.share.of(results)) for case, results in grouped.items()}
        absorbed = [own[case]._case(case, grouped[case], back, burst=burst) for case in sorted(grouped)]
        return all(absorbed)

    def _relapses(self, case: str) -> bool:
        known, at = self.roots.get(case_field(case)), self.finding.happened
        return known is not None and known.flaps(at) and not self.roots.resolution(known, at)

    def _goes_on_in(self, case: str) -> Root | None:
        """The case's root, unless its story is over and another begins."""
        known, at = self.roots.get(case_field(case)), self.finding.happened
        if known is None or known.over(at):
            return None
        counted = self.finding.run.id in known.runs  # what people did came after it, whatever Zof's clock says
        return known if counted or not self.roots.resolution(known, at) else None

    def _case(self, case: str, results: Sequence[Result], back: Sequence[str], *, burst: bool) -> bool:
        """Tell one case; of those that are ``back`` the channel itself sees the first, which names how many more."""
        field, at = case_field(case), self.finding.happened
        known = self._goes_on_in(case)
        if known:
            self._case_goes_on(field, known, results, others=len(back) - 1 if case in back[:1] else None)
            return False
        first = results[0]
        before = self.roots.get(field)
        resolved = self.roots.resolution(before, at) if before else None
        body = self._case_body(case, first).model_copy(update={"resolved": resolved})
        root = self._root("case", first.id, first.outcome, [case], body, failures=len(results), burst=burst)
        self.roots.put(field, root)
        self._thread.tell_results(root, results[1:], ReplyStyle())
        return bool(root.storm)

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
                "first": min(before.first, self._seen_at),
                "last": max(before.last, self._seen_at),
                "standing": Standing.AGAIN if again else before.standing,
                "turned": self._seen_at if again else before.turned,
                "turner": self.finding.run.id if again else before.turner,
                **self._reopened(root, again),
            }
        )
        changed = root.model_copy(update={**self._counted(root), "body": bodies.stored(kept)})
        changed = changed.relapse(at).model_copy(update={"left": root.cases}) if again else changed
        worse = Broadcast.RELAPSE if again else Broadcast.WORSE
        loud = (others is not None if again else at - root.last > QUIET_FOR) and self.share.broadcasts(worse)
        if again and changed.flapping(at):
            changed = self._thread.tell_flapping(changed, kept.case.title, loud=loud)
        else:
            how = ReplyStyle(again=again, loud=loud, mention=sleeper, others=others or 0)
            self._thread.tell_results(changed, results, how)
        self.roots.put(field, changed, self.held)
        self._show(root, changed)
        self._follow(changed, again=again)
        self._wake(root, changed)

    def _show(self, before: Root, root: Root) -> None:
        """Have its message show its latest state.

        What had recovered before it was to be posted, and failed again, is posted after all.
        """
        if before.body.get("unposted") and not root.body.get("unposted"):
            self.draft.tell(self._thread.notify(Kind.ROOT, root.key, root.body))
        self._thread.edit(root)

    def _sleeper(self, root: Root) -> str:
        """The id of whoever had snoozed it when it recovered; empty where nobody had."""
        return self.roots.records.woken_by_relapse(root.key, root.body, root.body.get("turned") or 0.0)

    def _wake(self, before: Root, root: Root) -> None:
        """Say so where a snooze ends by this failure."""
        asleep = self.roots.records.woken(root.key, before.body, root.body)
        if asleep:
            self.draft.tell(wake_up(root.key, self.share.channel, asleep, root.body["last"]))

    def _reopened(self, root: Root, again: bool) -> dict[str, Any]:
        """What a body says of its turns once more was heard of it."""
        turn, opened, policy = (root.body.get(name) for name in ("turn", "opened", "policy"))
        reopened = again and root.recovered is not None
        return {
            "turn": (turn or 0) + reopened,
            "opened": self._now if reopened else opened or root.first,
            "policy": Policy.model_validate(policy or {}),
            "mention": tuple(root.body.get("mention", ())),
            "unmentioned": root.body.get("unmentioned", 0),
            "takers": tuple(root.body.get("takers", ())),
            "unposted": bool(root.body.get("unposted")) and not again,
            "resolved": Resolution.model_validate(resolved) if (resolved := root.body.get("resolved")) else None,
        }

    @property
    def _now(self) -> float:
        """When the channel hears of it; a mute may be ended before its time, so it does not count."""
        return max(self.draft.now, 0.0 if self.hold.mutes else self.held)

    @property
    def _seen_at(self) -> float:
        """When it happened, by our clock: what people are shown, and what their acts are compared with."""
        return self.draft.by_our_clock(self.finding.happened)

    def _follow(self, root: Root, *, again: bool = True) -> None:
        """Promise what happens where nobody acts.

        A failure that comes on top of known ones opens anew what people had resolved or put off, as of when it
        happened; where they had not, what is promised here is not wanted any more when it comes due.
        """
        body = bodies.read(root.body)
        if not isinstance(body, RunBody | CaseBody) or not body.policy.escalate:
            return
        if storm_with(self.draft, self.share.channel, root.key):
            return  # the storm is escalated as a whole
        opened = body.opened if again else self._seen_at
        present = Triage(turn=body.turn, opened=opened)
        flaps = root.relapsed is not None and root.flapping(self.finding.happened)
        calm = self.draft.by_our_clock(root.relapsed or 0.0) + CALM_SECONDS if flaps else 0.0
        told = max(self._now, self.held, calm - body.policy.escalate[0].after)
        self.draft.tell(*follow(root.key, self.share.channel, present, body.policy, told=told))

    def _counted(self, root: Root) -> dict[str, Any]:
        """The root's account of runs with this one in it."""
        at, run_id = self.finding.happened, self.finding.run.id
        runs = tuple(dict.fromkeys((*root.runs, run_id)))[-10:]
        return {"runs": runs, "first": min(root.first, at), "last": max(root.last, at)}

    def _root(  # noqa: PLR0913, PLR0917  (the last two are the storm's)
        self,
        kind: str,
        identifier: str,
        category: str,
        cases: Iterable[str],
        body: RunBody | CaseBody,
        failures: int = 1,
        burst: bool = False,
    ) -> Root:
        """A new root, told at once: by a message of its own, or in the summary of a storm."""
        name = key(kind, identifier, str(category), self.share.channel)
        absorbed = self._absorbed(name, identifier, str(category), body.title, failures, burst)
        left_out = len(self.share.mention) - len(absorbed.mention)
        body = body.model_copy(update={"mention": absorbed.mention, "unmentioned": left_out})
        made = Root(
            key=name,
            storm=absorbed.storm,
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
        if not made.storm:
            self.draft.tell(self._thread.notify(Kind.ROOT, made.key, made.body))
        self._follow(made)
        return made

    def _absorbed(  # noqa: PLR0913, PLR0917  (what a line about it says)
        self, name: str, identifier: str, category: str, title: str, failures: int, burst: bool
    ) -> Absorbed:
        run, url = self.finding.run, bodies.link(self.finding.run.url)
        member = Member(
            key=name,
            id=identifier[:128],
            title=title,
            project=bodies.said(run.project, 80),
            environment=bodies.said(run.environment, 80),
            url=url if len(url) <= MAX_LINK_LENGTH else "",
        )
        candidate = StormCandidate(
            channel=self.share.channel,
            member=member,
            category=category,
            happened=self._seen_at,
            held=self.held,
            failures=failures,
            mention=self.share.mention,
            policy=self.share.policy,
            takers=tuple(taker.id for taker in self.share.takers),
            critical=self.critical,
            run=self._thread.place,
            burst=burst,
        )
        return absorb_into_storm(self.draft, candidate)

    def _run_body(self, standing: Standing = Standing.OPEN) -> RunBody:
        turned = standing is Standing.AGAIN
        count = self.share.counted.get(WHOLE_RUN, Count(1, self.finding.happened))
        return RunBody(
            run=self._thread.place,
            standing=standing,
            turned=self._seen_at if turned else None,
            turner=self.finding.run.id if turned else "",
            mention=self.share.mention,
            owners=self.share.owners,
            opened=self._now,
            policy=self.share.policy,
            takers=tuple(taker.id for taker in self.share.takers),
            bad=self._thread.bad,
            top=tuple(map(Case.of, self.share.results[:TOP])),
            count=count.failures,
            first=self.draft.by_our_clock(count.first) if count.failures > 1 else 0.0,
            last=self._seen_at,
        )

    def _case_body(self, case: str, result: Result) -> CaseBody:
        count = self.share.counted.get(case, Count(1, self.finding.happened))
        return CaseBody(
            run=self._thread.place,
            mention=self.share.mention,
            owners=self.share.owners,
            opened=self._now,
            policy=self.share.policy,
            takers=tuple(taker.id for taker in self.share.takers),
            case=Case.of(result, 1500),
            case_id=bodies.said(result.case_id, 128),
            count=count.failures,
            first=self.draft.by_our_clock(count.first),
            last=self._seen_at,
        )


def _standing(root: Root) -> str:
    return str(root.body.get("standing", Standing.OPEN))

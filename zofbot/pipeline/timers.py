"""What an opening, an acknowledgement or a snooze leads to later, as notifications that are due then.

Nothing calls them off: what has been overtaken when it comes due is dropped then, because its body says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.slack import bodies
from zofbot.slack.bodies import TimerBody
from zofbot.triage import Policy, State, Triage


def follow(root: str, channel: str, present: Triage, policy: Policy, *, told: float = 0.0) -> Iterator[Notification]:
    """What follows from how the failure under key ``root`` stands; ``told`` is when its channel hears of that."""
    about = _Timers(root, channel, present.turn)
    if present.state is State.OPEN:
        yield from about.escalation(present.opened, max(present.opened, told), policy, present.steps)
    if present.asks is not None:
        yield about.said("ask", present.asks, present.asks)
    if present.until is not None and present.state in (State.SNOOZED, State.ACKNOWLEDGED):
        asleep = present.state is State.SNOOZED
        yield about.said("wake" if asleep else "lapse", present.until, present.until, present.put.id if asleep else "")
        yield about.shown(present.until)
        yield from about.escalation(present.until, present.until, policy, 0)


def wake_up(root: str, channel: str, asleep: Triage, at: float) -> Notification:
    """Say that a snooze has ended early, ``at`` Unix seconds, to whoever had snoozed it."""
    return _Timers(root, channel, asleep.turn).said("wake", at, at, asleep.put.id)


class _Timers:
    def __init__(self, root: str, channel: str, turn: int) -> None:
        self._root, self._channel, self._turn = root, channel, turn

    def escalation(self, opened: float, told: float, policy: Policy, taken: int) -> Iterator[Notification]:
        for index, step in enumerate(policy.escalate):
            if index >= taken:
                body = TimerBody(sort="escalate", turn=self._turn, at=opened, step=index, mention=step.mention)
                yield self._made(Kind.REPLY, f"escalate:{index}", opened, told + step.after, body)

    def said(self, sort: str, at: float, due: float, mention: str = "") -> Notification:
        mentioned = (mention,) if mention else ()
        body = TimerBody.model_validate({"sort": sort, "turn": self._turn, "at": at, "mention": mentioned})
        return self._made(Kind.REPLY, sort, at, due, body)

    def shown(self, at: float) -> Notification:
        """The root drawn anew; a key of its own, for the one of edits is for those that are made at once."""
        return self._made(Kind.EDIT, "shown", at, at, None)

    def _made(self, kind: Kind, sort: str, at: float, due: float, body: TimerBody | None) -> Notification:
        return Notification(
            key=f"{sort}:{self._turn}:{at * 1000:.0f}:{self._root}",
            kind=kind,
            channel=self._channel,
            root=self._root,
            body=bodies.stored(body) if body else {},
            happened=due,
            not_before=due,
            schema=SCHEMA,
        )

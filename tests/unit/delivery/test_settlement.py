"""Results that are settled once more, because the store's reply was lost."""

from __future__ import annotations

from collections.abc import Sequence

import fakeredis

from tests.support.outbox_bench import root
from tests.support.virtual_time import test_clock
from zofbot.delivery.settlement import ResultSettler
from zofbot.domain.errors import StoreUnavailable
from zofbot.notifications.notification import Notification, NotificationKind, Receipt
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.delivery import DeadLetter, SettlementLost
from zofbot.store.attempt_results import AttemptResult, Refused, Sent
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox


class SlowOutbox(Outbox):
    """An outbox whose store settles, but whose first reply is lost."""

    replies = 0

    async def settle(self, settlements: Sequence[AttemptResult]) -> list[str]:
        states = await super().settle(settlements)
        self.replies += 1
        if self.replies == 1:
            raise StoreUnavailable("The store is not responding.")
        return states


async def test_a_lost_reply_is_no_lost_result_and_hides_no_dead_letter() -> None:
    lost: list[SettlementLost] = []
    dead: list[DeadLetter] = []
    events = EventEmitter()
    events.add_hook(SettlementLost, lost.append)
    events.add_hook(DeadLetter, dead.append)
    async with fakeredis.FakeAsyncRedis() as client:
        outbox = SlowOutbox(Keyspace(client, "test"), test_clock())
        await outbox.record_receipt("r", Receipt("C1", "1.0"))
        reply = Notification(key="p", kind=NotificationKind.REPLY, channel="C1", root="r", happened=0.0, body={})
        await outbox.commit([reply, root("dead", "C2")])
        settler = ResultSettler(outbox, events, random=lambda: 0.0, on_trouble=lambda: None)
        for claim in await outbox.claim(10):
            sent = Sent.for_claim(claim, Receipt("C1", "2.0"))
            settler.add_result(sent if claim.notification.key == "p" else Refused.for_claim(claim, "no_text"))
        await settler.settle_remaining()
        await settler.settle_remaining()
    assert outbox.replies == 2
    assert (lost, [letter.key for letter in dead]) == ([], ["dead"])

"""One call to Zof: its deadline, its retries, the quota, and the event that says how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import ZofError, ZofUnavailable
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import ZofCall, ZofTry
from zofbot.zof import protocol
from zofbot.zof.personal_quota import PersonalQuotas
from zofbot.zof.protocol import MAX_ATTEMPTS, MAX_WAIT_SECONDS
from zofbot.zof.quota import QuotaGate
from zofbot.zof.request import CallState, TimeBudget, ZofRequest
from zofbot.zof.transport.attempt import ZofTransport, run_off_loop

T = TypeVar("T")


class ZofCalls:
    """Makes calls through ``transport``; ``random`` returns 0 to 1, for jitter."""

    def __init__(
        self,
        transport: ZofTransport,
        quota_gate: QuotaGate,
        events: EventEmitter,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._transport = transport
        self._quota_gate = quota_gate
        self._events = events
        self._clock = clock
        self._random = random
        self._personal_quotas = PersonalQuotas(clock)

    async def send_request(
        self,
        request: ZofRequest,
        read: Callable[[object, str | None], T],
        time_budget: TimeBudget,
        deadline: float | None = None,
    ) -> T:
        """Run one call to its value or error, and emit it once, whatever the outcome. Raises ZofError."""
        self._personal_quotas.spend_request(self._quota_gate.quota)
        started = self._clock.monotonic()
        call = CallState(request, started + time_budget.seconds if deadline is None else deadline, started)
        outcome = "crashed"
        cause: BaseException | None = None
        try:
            value = await self._call_within_deadline(call, read, time_budget)
            outcome = "ok"
        except ZofError as error:
            error.status, error.request_id = call.status, call.request_id
            outcome, cause = error.kind, error.__cause__
            raise
        except asyncio.CancelledError:
            outcome = "canceled"
            raise
        finally:
            self._emit_call(call, outcome, self._clock.monotonic() - started, cause)
        return value

    def _emit_call(self, call: CallState, outcome: str, seconds: float, cause: BaseException | None) -> None:
        self._events.emit(ZofCall(
            call.request.method, call.request.template, call.status, call.tries, seconds, call.request_id, outcome,
            call.date, self._quota_gate.quota, type(cause).__name__ if cause else "",
        ))  # fmt: skip

    async def _call_within_deadline(
        self, call: CallState, read: Callable[[object, str | None], T], time_budget: TimeBudget
    ) -> T:
        remaining = call.deadline - self._clock.monotonic()
        try:
            async with timeout(remaining):
                if remaining <= 0:
                    raise TimeoutError  # asyncio would send the request before checking the clock
                if time_budget.background:
                    await self._quota_gate.wait_for_quota(min(MAX_WAIT_SECONDS, remaining))
                return await self._call_with_retries(call, read)
        except TimeoutError as error:
            raise ZofUnavailable(
                f"Zof did not answer within {time_budget.seconds:g} s.", "Try again in a minute."
            ) from error

    async def _call_with_retries(self, call: CallState, read: Callable[[object, str | None], T]) -> T:
        while True:
            try:
                with self._emit_try(call):
                    call.begin_try()
                    found = await self._transport.send_once(call)
                    return await run_off_loop(call.bytes, read, found, call.request_id)
            except ZofUnavailable as error:
                wait = self._retry_delay(call, error)
                if wait is None:
                    raise
            await self._clock.sleep(wait)

    @contextmanager
    def _emit_try(self, call: CallState) -> Iterator[None]:
        """Emit one attempt: outcome, duration, and wait before it began."""
        started, outcome, cause = self._clock.monotonic(), "crashed", ""
        try:
            yield
            outcome = "ok"
        except ZofError as error:
            outcome, cause = error.kind, type(error.__cause__).__name__ if error.__cause__ else ""
            raise
        except asyncio.CancelledError:
            outcome = "given up"
            raise
        finally:
            ended = self._clock.monotonic()
            self._events.emit(ZofTry(
                call.request.method, call.request.template, call.status, outcome, cause, call.request_id,
                ended - started, started - call.idle,
            ))  # fmt: skip
            call.idle = ended

    def _retry_delay(self, call: CallState, error: ZofUnavailable) -> float | None:
        """Return the seconds until the next attempt, or None for no more."""
        if call.tries == MAX_ATTEMPTS or not call.request.is_repeatable:
            return None
        wait = protocol.retry_delay(call.tries, self._random(), error.retry_at, self._clock.now())
        fits = wait <= MAX_WAIT_SECONDS and self._clock.monotonic() + wait < call.deadline
        return wait if fits else None

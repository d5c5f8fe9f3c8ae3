"""Channels that another organization reads along: names and outcomes, and nothing that a failure says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from enum import Enum
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.triage import button_of, mention_bot, press_button
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.digest_payload import CaseCount, DigestPayload
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.notifications.other_payloads import AlertTestPayload, NotePayload, PlatformEventPayload
from zofbot.notifications.payload_parts import CaseSummary, CauseSummary, RunSummary
from zofbot.notifications.storm_payloads import StormMember, StormMembersPayload, StormPayload
from zofbot.notifications.thread_payloads import ActionPayload, CauseReplyPayload, ResultPayload
from zofbot.services.digest_causes import add_causes
from zofbot.services.failures import Failure
from zofbot.simulator.slack.model import Channel, PostedMessage
from zofbot.slack.shared_channels import redact_for_shared_channels
from zofbot.slack.views.renderer import render_notification
from zofbot.triage import Action, Actor, TriageRecord, TriageState

PARTNERS = "C0PARTNERS"
INNER = "only for us: 4711"
CAUSE = CauseSummary(signature="s1-1", count=2, example=CaseSummary(id="res_1", title="Cart", why=INNER))


@pytest.mark.parametrize(
    "body",
    [
        RunAlertPayload(
            run=RunSummary(id="run_1", title="Nightly"), bad=1, top=(CaseSummary(id="res_1", title="Cart", why=INNER),)
        ),
        CaseAlertPayload(
            run=RunSummary(id="run_1"), case=CaseSummary(id="res_1", title="Cart", why=INNER), first=1.0, last=1.0
        ),
        ResultPayload(case=CaseSummary(id="res_1", title="Cart", why=INNER)),
        CauseReplyPayload(case=CaseSummary(id="res_1", title="Cart", why=INNER), count=2, titles=("Cart", "Search")),
        RunAlertPayload(run=RunSummary(id="run_1"), bad=4, causes=(CAUSE, CAUSE), all_causes=2, grouped=4),
        StormPayload(since=1.0, last=1.0, alerts=2, failures=2, members=1, open=1, causes=(CAUSE,)),
        StormPayload(since=1.0, last=1.0, alerts=2, failures=2, members=1, open=1, causes=(CAUSE,), by_cause=True),
        ActionPayload(act=Action.RESOLVE, who="Ana", reason="flaky", note=INNER),
        PlatformEventPayload(event="gate", about="gate_1", said=INNER),
        DigestPayload(causes=(CaseCount(title="Cart", why=INNER, times=2),)),
        DigestPayload(trouble=f"Zof didn't accept the request for runs: {INNER}", request_id="req_1"),
        NotePayload(said="⚠️ The failed cases were not re-run.", trouble=f"Zof didn't accept the request: {INNER}"),
        StormMembersPayload(members=(StormMember(key="notice:gate_1", id="gate_1", title=INNER, followed=False),)),
    ],
)
def test_what_a_message_says_of_the_inside_is_left_out(body: payloads.Payload) -> None:
    replies = ResultPayload | ActionPayload | StormMembersPayload
    kind = NotificationKind.REPLY if isinstance(body, replies) else NotificationKind.ROOT
    resolved = TriageRecord(
        state=TriageState.RESOLVED, note=INNER, by=Actor(id="U0ANA", name="Ana"), since=1.0, opened=1.0
    )
    one = Notification(
        key="case:res_1:failed:C1", kind=kind, channel="C1", body=payloads.dump_payload(body), happened=1.0
    )
    claimed = Claim(one, 1, 1.0, triage=resolved.model_dump_json())
    assert INNER in render_claim(claimed)
    assert INNER not in render_claim(redact_for_shared_channels(claimed))
    assert "Cart" in render_claim(redact_for_shared_channels(claimed)) or "Cart" not in render_claim(claimed), (
        "names stay"
    )


def test_a_digest_that_an_earlier_version_stored_names_no_cause_by_its_failure_text() -> None:
    stored = {"card": "digest", "causes": [{"title": INNER, "where": "checkout", "times": 2}]}
    one = Notification(key="digest:d:C1", kind=NotificationKind.ROOT, channel="C1", body=stored, happened=1.0)
    assert INNER in render_claim(Claim(one, 1, 1.0))
    redacted = render_claim(redact_for_shared_channels(Claim(one, 1, 1.0)))
    assert INNER not in redacted
    assert "(checkout) · 2 failures" in redacted


def test_a_digest_names_the_case_of_a_cause_without_failure_text() -> None:
    case = CaseSummary(id="res_1", title="Cart", signature="s1-00000000000000aa")
    alert = CaseAlertPayload(run=RunSummary(id="run_1", project="checkout"), case=case, first=5.0, last=5.0, opened=5.0)
    failure = Failure("case:res_1:failed:C1", "C1", alert, TriageRecord(since=5.0, opened=5.0))
    body = payloads.dump_payload(add_causes(DigestPayload(until=9.0), [failure], "C1"))
    one = Notification(key="digest:d:C1", kind=NotificationKind.ROOT, channel="C1", body=body, happened=1.0)
    assert "Cart (checkout) · 1 failure" in render_claim(redact_for_shared_channels(Claim(one, 1, 1.0)))


def test_a_digest_without_causes_waits_for_nobody() -> None:
    body = payloads.dump_payload(DigestPayload(runs=2, failing=(CaseCount(title="Cart", times=1, of=2),)))
    one = Claim(Notification(key="k", kind=NotificationKind.ROOT, channel="C1", body=body, happened=1.0), 1, 1.0)
    assert redact_for_shared_channels(one) == one


NAMES = {
    "ActionPayload": "mention undone_by who",
    "AlertTestPayload": "by",
    "CaseAlertPayload": "case_id mention turner",
    "CaseCount": "title where",
    "CasePast": "passed_run",
    "CaseSummary": "id title",
    "CatchUpLine": "title where",
    "CatchUpPayload": "muted",
    "CauseReplyPayload": "environment mention project run_id titles",
    "CauseSummary": "signature",
    "DigestPayload": "request_id",
    "FailingAgainPayload": "mention",
    "FlappingPayload": "title",
    "MoreFailuresPayload": "titles",
    "NotePayload": "channel request_id said",
    "Owner": "cases wish",
    "PlatformEventPayload": "about environment mention project run_id",
    "RecoveryPayload": "cases title",
    "ReminderPayload": "mention",
    "RerunResultPayload": "absent failed passed",
    "Resolution": "by link",
    "ResultPayload": "mention run_id",
    "RunAlertPayload": "mention turner",
    "RunSummary": "environment id project title",
    "StormMember": "environment id project title",
    "StormPayload": "mention places turner",
    "TrendPoint": "label",
}
"""The texts of each payload that other organizations may see: names, ids, people, and links that lead to a login."""


@pytest.mark.parametrize("kind", get_args(payloads.Payload), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("place", NotificationKind)
def test_of_every_payload_only_names_are_shown(kind: type[payloads.Payload], place: NotificationKind) -> None:
    texts: dict[str, str] = {}
    body = payloads.load_payload(fill_model(kind, texts))
    one = Notification(key="run:run_1:failed:C1", kind=place, channel="C1", body=payloads.dump_payload(body),
                       happened=1.0)  # fmt: skip
    shown = render_claim(redact_for_shared_channels(Claim(one, 1, 1.0)))
    known = {f"{model}.{name}" for model, names in NAMES.items() for name in names.split()}
    assert {name for text, name in texts.items() if text in shown} <= known
    assert kind is AlertTestPayload or len(texts) < 2 or any(text in shown for text in texts), "it is shown at all"


def fill_model(kind: type[BaseModel], texts: dict[str, str], depth: int = 0) -> dict[str, Any]:
    """Give each field of a model a value, texts each their own; ``texts`` says which field each belongs to."""
    hints = get_type_hints(kind)
    return {
        name: kind.model_fields[name].default if name == "card" else fill_field(f"{kind.__name__}.{name}", hints[name],
                                                                                 texts, depth)
        for name in kind.model_fields
    }  # fmt: skip


def fill_field(name: str, hint: Any, texts: dict[str, str], depth: int) -> Any:
    parts = [part for part in get_args(hint) if part is not type(None)]
    if hint is str:
        texts[made := f"text{len(texts):03}"] = name
        return made
    if get_origin(hint) is tuple:
        return [fill_field(name, part, texts, depth) for part in parts if part is not Ellipsis]
    if get_origin(hint) is Literal:
        return parts[0]
    if get_origin(hint) is dict:
        return {}
    if parts:  # optional
        return fill_field(name, parts[0], texts, depth) if depth < 4 else None
    if issubclass(hint, BaseModel):
        return fill_model(hint, texts, depth + 1)
    return next(iter(hint)).value if issubclass(hint, Enum) else hint(2)


def render_claim(claimed: Claim) -> str:
    return json.dumps(render_notification(claimed, 2.0).message_fields(), ensure_ascii=False)


@given(st.recursive(st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["why", "note", "case", "top", "title"]), inner), max_leaves=10))  # fmt: skip
def test_however_deep_it_stands_it_goes_and_nothing_else_does(kept: Any) -> None:
    one = Notification(key="k", kind=NotificationKind.ROOT, channel="C1", body={"card": "x", "in": kept}, happened=1.0)
    left = json.dumps(redact_for_shared_channels(Claim(one, 1, 1.0)).notification.body)
    assert '"why":' not in left
    assert '"note":' not in left
    assert left.count('"title":') <= json.dumps(kept).count('"title":')


# --- through the real door


@pytest.fixture
async def bot(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[RunningBot]:
    details = bool(getattr(request, "param", False))
    async with alerting_bot(store_url, zofbot_shared_details=details) as bot:
        for channel in (PARTNERS, "C0QA"):
            await bot.type_text("/zof subscribe group:case", channel=channel)
        run = fail_run(bot, 1)
        assert await post_webhook(bot, webhook_event(run["id"], "evt_shared")) == 200
        await wait_until(lambda: len(alerts_by_channel(bot)) == 2)
        yield bot


def alerts_by_channel(bot: RunningBot) -> dict[str, PostedMessage]:
    return {item.channel: item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("case:")}


async def test_only_our_own_channel_sees_what_the_failure_says(bot: RunningBot) -> None:
    found = alerts_by_channel(bot)
    assert "boom" in text_of(found["C0QA"])
    assert "Case 0" in text_of(found[PARTNERS])
    assert "boom" not in text_of(found[PARTNERS])
    await press_button(bot, "U0ANA", found[PARTNERS], button_of(found[PARTNERS], "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(alerts_by_channel(bot)[PARTNERS]))
    assert "boom" not in text_of(alerts_by_channel(bot)[PARTNERS])


@pytest.mark.parametrize("bot", [True], indirect=True)
async def test_an_operator_may_show_everything(bot: RunningBot) -> None:
    assert "boom" in text_of(alerts_by_channel(bot)[PARTNERS])


async def test_a_card_that_is_shared_there_says_as_little(bot: RunningBot) -> None:
    for channel, seen in ((PARTNERS, False), ("C0QA", True)):
        await bot.answer_text("/zof result res_4821 share", channel=channel)
        await wait_until(lambda c=channel: any("Voucher can be removed" in text_of(m) for m in bot.public_messages(c)))
        [card] = [message for message in bot.public_messages(channel) if "Voucher can be removed" in text_of(message)]
        assert ("order total is wrong" in text_of(card)) is seen


@pytest.mark.parametrize("place", [PARTNERS, "D0TWO", "C0QA"])
async def test_a_run_that_is_shared_there_keeps_its_extra_fields_to_itself(bot: RunningBot, place: str) -> None:
    bot.world.slack.channels["D0TWO"] = Channel("D0TWO", "petra", {"U0ANA", "U0EXT"}, private=True, external=True)
    run = fail_run(bot, 1)
    run |= {"author_email": "inner@example.com", "branch": "inner-branch", "pr_url": "https://zof.ai/pulls/inner"}
    await bot.type_text(f"/zof run {run['id']}", channel=place)
    await wait_until(lambda: any("inner-branch" in text_of(m) for m in bot.private_messages(place)))
    card = next(m for m in bot.private_messages(place) if "inner-branch" in text_of(m))
    await bot.press_button(card, "zof_share_run")
    await wait_until(lambda: any("Shared by" in text_of(m) for m in bot.public_messages(place)))
    [shared] = [m for m in bot.public_messages(place) if "Shared by" in text_of(m)]
    assert "Case 0" in text_of(shared)
    assert ("inner" in text_of(shared), "boom" in text_of(shared)) == ((place == "C0QA"),) * 2


async def test_whoever_subscribes_a_shared_channel_is_told_that_others_read_along(bot: RunningBot) -> None:
    for channel in (PARTNERS, "C0QA"):
        await bot.type_text("/zof subscribe project:other", channel=channel)
        await wait_until(lambda channel=channel: "last 7 days this would" in text_of(bot.private_messages(channel)[-1]))
    assert "shared with another organization" in text_of(bot.private_messages(PARTNERS)[-1])
    assert "another organization" not in text_of(bot.private_messages("C0QA")[-1])


async def test_somebody_of_the_other_organization_sees_no_details_by_a_button(bot: RunningBot) -> None:
    alert = alerts_by_channel(bot)[PARTNERS]
    await bot.press_button(alert, "zof_result", user="U0EXT")
    await wait_until(
        lambda: any("Only members of this workspace" in text_of(m) for m in bot.private_messages(PARTNERS, "U0EXT"))
    )
    assert not any("boom" in text_of(message) for message in bot.private_messages(PARTNERS, "U0EXT"))
    await bot.press_button(alert, "zof_result", user="U0ANA")
    await wait_until(lambda: any("boom" in text_of(message) for message in bot.private_messages(PARTNERS)))


async def test_nor_by_the_menu_nor_by_words_in_the_thread(bot: RunningBot) -> None:
    alert = alerts_by_channel(bot)[PARTNERS]

    def count_refusals(user: str) -> int:
        return sum("Only members of this workspace" in text_of(m) for m in bot.private_messages(PARTNERS, user))

    for number, word in enumerate(("why", "run"), start=1):
        await press_button(
            bot, "U0EXT", alert, button_of(alert, "zof_triage_more") | {"selected_option": {"value": word}}
        )
        await wait_until(lambda number=number: count_refusals("U0EXT") == number)
    for number, words in enumerate(("why", "result res_4821", "run run_2038"), start=3):
        assert (await mention_bot(bot, alert, words, "U0EXT")).is_accepted
        await wait_until(lambda number=number: count_refusals("U0EXT") == number)
    assert len(bot.private_messages(PARTNERS, "U0EXT")) == 5, "and nothing else"
    assert (await mention_bot(bot, alert, "help", "U0EXT")).is_accepted
    await wait_until(lambda: "Commands in an alert's thread" in text_of(bot.private_messages(PARTNERS, "U0EXT")[-1]))
    assert (await mention_bot(bot, alert, "result res_4821")).is_accepted
    await wait_until(lambda: any("order total is wrong" in text_of(m) for m in bot.private_messages(PARTNERS)))


async def test_nor_do_they_work_on_it_by_words(bot: RunningBot) -> None:
    alert = alerts_by_channel(bot)[PARTNERS]
    assert (await mention_bot(bot, alert, "ack", "U0EXT")).is_accepted
    await wait_until(
        lambda: any("People of other organizations" in text_of(m) for m in bot.private_messages(PARTNERS, "U0EXT"))
    )
    assert "Acknowledged" not in text_of(alert)

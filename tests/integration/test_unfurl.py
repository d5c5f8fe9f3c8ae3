"""Pasted links: read back to what they lead to, and shown as small cards to those who may see them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.support.bot import RunningBot, each_transport, over_socket, running_bot, text_of, wait_until
from tests.support.virtual_time import stand_still
from zofbot.domain.model import CaseCounts, Outcome, Result, Run
from zofbot.listeners.unfurl import MAX_CARDS, parse_links
from zofbot.simulator.seed import ANA, CHECKOUT_CHANNEL, EXTERNAL, GUEST, INCIDENT_ROOM, PARTNERS, QA_ALERTS
from zofbot.simulator.slack.model import BOT_USER_ID, PostedMessage
from zofbot.slack.directory import MAX_READERS_WAIT_SECONDS
from zofbot.slack.links import LinkTarget, ZofLinks
from zofbot.slack.views.unfurl import unfurl_card

CONSOLE = ZofLinks("https://app.zof.example/runs/{run_id}", "https://app.zof.example/results/{result_id}")
TEMPLATES = [
    "https://app.zof.example/things/{}",
    "https://app.zof.example/things/{}/cases?tab=all",
    "https://app.zof.example:8443/open?org=acme&thing={}&tab=1",
    "https://App.Zof.Example/?thing={}",
    "https://app.zof.example/#/things/{}/log",
    "https://app.zof.example/{}",
    "https://app.zof.example/{}/and/{}",
    "https://app.zof.example/a(b)*c.d/{}",
]
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)


# --- reading a link back


@pytest.mark.parametrize("template", TEMPLATES)
@given(identifier=IDS, fragment=st.from_regex(r"(#[a-z=&?/]{0,9})?", fullmatch=True))
def test_a_link_made_of_an_id_is_read_back_to_the_id(template: str, identifier: str, fragment: str) -> None:
    as_run, as_result = ZofLinks(run_template=template.replace("{}", "{run_id}")), ZofLinks(
        result_template=template.replace("{}", "{result_id}")
    )  # fmt: skip
    tail = "" if "#" in template else fragment
    assert as_run.match_template(as_run.run_url(Run(id=identifier)) + tail) == LinkTarget("run", identifier)
    assert as_result.match_template(as_result.result_url(Result(id=identifier)) + tail) == LinkTarget(
        "result", identifier
    )


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("https://app.zof.example/runs/run_1", LinkTarget("run", "run_1")),
        ("https://APP.zof.example:443/runs/run_1/?tab=2&x=<!channel>#cases", LinkTarget("run", "run_1")),
        ("https://app.zof.example/results/res%5F1", LinkTarget("result", "res_1")),
        ("http://app.zof.example/runs/run_1", None),
        ("https://app.zof.example.evil.test/runs/run_1", None),
        ("https://evil.test/app.zof.example/runs/run_1", None),
        ("https://app.zof.example@evil.test/runs/run_1", None),
        ("https://me:secret@app.zof.example/runs/run_1", None),
        ("https://app.zof.example:8443/runs/run_1", None),
        ("https://app.zof.example/runs/run_1/cases", None),
        ("https://app.zof.example/runs/", None),
        ("https://app.zof.example/runs/a%2Fb", None),
        ("https://app.zof.example/runs/..", None),
        ("https://app.zof.example/runs/run_1%0a", None),
        ("https://app.zof.example/runs/" + "a" * 129, None),
        ("https://app.zof.example/RUNS/run_1", None),
        ("https://app.zof.example/runs/run_1?" + "x" * 3000, None),
        ("https://[app.zof.example/runs/run_1", None),
        ("https://app.zof.example:port/runs/run_1", None),
        ("", None),
    ],
)
def test_only_what_the_template_makes_is_read(url: str, meant: LinkTarget | None) -> None:
    assert CONSOLE.match_template(url) == meant


def test_without_a_template_nothing_is_read() -> None:
    assert ZofLinks().match_template("https://zof.ai/runs/run_1") is None


def test_all_that_a_template_has_must_be_there() -> None:
    both = ZofLinks("https://z.example/open?kind=run&id={run_id}", "https://z.example/open?kind=result&id={result_id}")
    assert both.match_template("https://z.example/open?id=run_1&x=1&kind=run") == LinkTarget("run", "run_1")
    assert both.match_template("https://z.example/open?kind=result&id=res_1") == LinkTarget("result", "res_1")
    assert both.match_template("https://z.example/open?id=run_1") is None
    twice = ZofLinks("https://z.example/{run_id}/and/{run_id}")
    assert twice.match_template("https://z.example/run_1/and/run_2") is None


@given(st.text() | st.builds("https://app.zof.example/runs/{}".format, st.text()) | st.from_regex(r"https://[^ ]*"))
@example("https://app.zof.example/runs/\ud800")
@example("https://app.zof.example/runs/%ff%fe")
def test_no_link_however_hostile_raises_or_gives_what_is_no_id(url: str) -> None:
    meant = CONSOLE.match_template(url)
    assert meant is None or (meant.kind == "run" and meant.id.isascii() and "/" not in meant.id)


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["event", "links", "url", "user", "channel", "message_ts", "source", "unfurl_id"]), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["event", "is_ext_shared_channel"]), NESTED))
def test_an_event_of_any_shape_is_read(body: dict[str, Any]) -> None:
    assert parse_links(body, CONSOLE) is None


def link_event(**given: Any) -> dict[str, Any]:
    links = [{"url": "https://app.zof.example/runs/run_1", "domain": "app.zof.example"}]
    known = {"user": ANA, "channel": "C1", "message_ts": "1.2", "links": links}
    return {"event": known | given}


@pytest.mark.parametrize("separator", ["&", "&amp;"])
def test_a_link_is_read_escaped_or_not_and_answered_as_it_came(separator: str) -> None:
    own = ZofLinks(run_template="https://app.zof.example/open?org=acme&copy=1&run={run_id}")
    url = separator.join(("https://app.zof.example/open?org=acme", "copy=1", "run=run_1"))
    pasted = parse_links(link_event(links=[{"url": url, "domain": "app.zof.example"}]), own)
    assert pasted
    assert pasted.links == {LinkTarget("run", "run_1"): url}


def test_it_answers_by_id_where_there_is_one_else_by_place() -> None:
    named = parse_links(link_event(unfurl_id="C1.1.2.f00", source="conversations_history"), CONSOLE)
    assert named
    assert named.place == {"unfurl_id": "C1.1.2.f00", "source": "conversations_history"}
    older = parse_links(link_event(unfurl_id="C1.1.2.f00"), CONSOLE)
    assert older
    assert older.place == {"channel": "C1", "ts": "1.2"}


@pytest.mark.parametrize(
    "given",
    [
        {"source": "composer", "unfurl_id": "U1-x"},
        {"channel": "COMPOSER"},
        {"channel": "D0ANA"},
        {"channel": ""},
        {"user": ""},
        {"message_ts": ""},
        {"links": []},
    ],
)
def test_where_nobody_can_say_who_reads_it_nothing_is_answered(given: dict[str, Any]) -> None:
    assert parse_links(link_event(**given), CONSOLE) is None
    assert parse_links(link_event() | {"is_ext_shared_channel": True}, CONSOLE) is None


# --- the card


def render_unfurl(thing: Result | Run) -> str:
    return json.dumps(unfurl_card(thing), ensure_ascii=False)


def test_the_card_says_the_first_line_and_has_nothing_to_press() -> None:
    result = Result(id="res_1", outcome=Outcome.FAILED, title="Cart <@U1>", project_name="checkout", duration=3.2,
                    environment="staging", failure="\n  Expected 3 & got 2 token=hunter2hunter2\nsecond")  # fmt: skip
    said = render_unfurl(result)
    assert "❌ *Failed: Cart &lt;@U1&gt;*" in said
    for part in ("checkout · staging · 3.2 s", "Expected 3 &amp; got 2", "Result `res_1`"):
        assert part in said
    assert "second" not in said
    assert "hunter2" not in said
    assert not {"actions", "accessory"} & {block["type"] for block in unfurl_card(result)["blocks"]}


def test_a_runs_card_says_its_numbers_and_what_one_of_its_failures_says() -> None:
    good = Result(id="res_0", outcome=Outcome.PASSED, failure="not this")
    bad = [Result(id="res_1", outcome=Outcome.ERROR), Result(id="res_2", outcome=Outcome.FAILED, failure="this\nnot")]
    said = render_unfurl(
        Run(id="run_1", outcome=Outcome.FAILED, counts=CaseCounts(total=3, failed=2), results=(good, *bad))
    )
    assert "Failed: run_1" in said
    assert "2 failed of 3" in said
    assert "this" in said
    assert "not" not in said


# --- through the real door


@pytest.fixture
async def bot(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[RunningBot]:
    template = "https://app.zof.ai/runs/{run_id}"
    async with running_bot(store_url, socket=over_socket(request), zof_run_url_template=template) as bot:
        slack = bot.world.slack
        slack.events.add("link_shared")
        slack.unfurl_domains = {"app.zof.ai"}
        yield bot


def result_link(identifier: str) -> str:
    return f"https://app.zof.ai/{'runs' if identifier.startswith('run') else 'results'}/{identifier}"


async def paste_link(bot: RunningBot, text: str, *, user: str = ANA, channel: str = QA_ALERTS) -> PostedMessage:
    outcome = await bot.simulator.people.type_text(user, channel, text)
    assert outcome.status == 200, outcome
    return [message for message in bot.world.slack.messages[channel].values() if message.user == user][-1]


def unfurl_calls(bot: RunningBot) -> list[Any]:
    return [call for call in bot.world.slack.calls if call.method == "chat.unfurl"]


@each_transport
async def test_links_unfurl_each_once_in_one_call(bot: RunningBot) -> None:
    said = f"Look: {result_link('res_4821')} and {result_link('run_2038')} again {result_link('res_4821')}?tab=2#x"
    message = await paste_link(bot, said)
    await wait_until(lambda: len(message.attachments) == 2)
    shown = {card["app_unfurl_url"]: card for card in message.attachments}
    assert list(shown) == [result_link("res_4821"), result_link("run_2038")]
    assert "Failed" in json.dumps(shown[result_link("res_4821")])
    assert "53 failed" in json.dumps(shown[result_link("run_2038")])
    [call] = unfurl_calls(bot)
    assert (call.ok, call.arguments["source"]) == (True, "conversations_history")


async def test_a_link_whose_id_is_not_its_first_parameter_unfurls(store_url: str) -> None:
    async with running_bot(store_url, zof_run_url_template="https://app.zof.ai/open?org=acme&run={run_id}") as bot:
        bot.world.slack.events.add("link_shared")
        bot.world.slack.unfurl_domains = {"app.zof.ai"}
        message = await paste_link(bot, "Look: https://app.zof.ai/open?org=acme&run=run_2038&tab=2")
        await wait_until(lambda: bool(message.attachments))
        assert "53 failed" in json.dumps(message.attachments)


async def test_of_many_links_the_first_few_unfurl(bot: RunningBot) -> None:
    message = await paste_link(bot, " ".join(result_link(f"res_48{number}") for number in range(21, 29)))
    await wait_until(lambda: bool(unfurl_calls(bot)))
    assert len(unfurl_calls(bot)[0].arguments["unfurls"]) <= MAX_CARDS
    await wait_until(lambda: 1 <= len(message.attachments) <= MAX_CARDS)


async def test_hostile_text_is_made_harmless(bot: RunningBot) -> None:
    message = await paste_link(bot, result_link("res_4826"))
    await wait_until(lambda: bool(message.attachments))
    assert unfurl_calls(bot)[-1].ok, "the pretend Slack refuses what is not escaped"


async def test_what_zof_does_not_show_stays_a_link(bot: RunningBot) -> None:
    message = await paste_link(bot, f"{result_link('res_nope')} {result_link('res_4821')} https://app.zof.ai/help")
    await wait_until(lambda: bool(message.attachments))
    assert [card["app_unfurl_url"] for card in message.attachments] == [result_link("res_4821")]
    bot.world.zof.faults.set_fault("401")
    before = len(unfurl_calls(bot))
    lone = await paste_link(bot, result_link("res_4822"))
    await wait_until(lambda: any(call.path == "/results/res_4822" for call in bot.world.zof.calls))
    await asyncio.sleep(0.2)
    assert (lone.attachments, len(unfurl_calls(bot))) == ([], before)
    assert not [message for message in bot.visible_messages() if message.ts > lone.ts], "nothing is said of it"


@pytest.mark.parametrize(
    ("user", "channel"),
    [
        (GUEST, CHECKOUT_CHANNEL),
        (EXTERNAL, PARTNERS),
        (ANA, PARTNERS),
        (ANA, INCIDENT_ROOM),
    ],
)
async def test_it_is_for_full_members_among_themselves(bot: RunningBot, user: str, channel: str) -> None:
    message = await paste_link(bot, result_link("res_4821"), user=user, channel=channel)
    await asyncio.sleep(0.2)
    assert (message.attachments, unfurl_calls(bot)) == ([], [])
    assert not [call for call in bot.world.zof.calls if call.path == "/results/res_4821"], "nor looked up"


async def test_a_link_in_a_direct_message_is_answered_like_the_command_and_does_not_unfurl(bot: RunningBot) -> None:
    message = await paste_link(bot, result_link("res_4821"), user=ANA, channel="D0ANA")
    await wait_until(lambda: bool(bot.private_messages("D0ANA", ANA)))
    assert "res_4821" in text_of(bot.private_messages("D0ANA", ANA)[-1])
    await asyncio.sleep(0.2)
    assert (message.attachments, unfurl_calls(bot)) == ([], [])
    looked_up = [call for call in bot.world.zof.calls if call.path == "/results/res_4821"]
    assert len(looked_up) == 1, "for the answer"


async def test_a_channel_to_which_others_are_invited_counts_as_shared(bot: RunningBot) -> None:
    bot.world.slack.channels[QA_ALERTS].pending = True
    message = await paste_link(bot, result_link("res_4821"))
    await asyncio.sleep(0.2)
    assert (message.attachments, unfurl_calls(bot)) == ([], [])


async def test_a_channel_that_was_shared_since_we_asked_is_known_by_the_event(bot: RunningBot) -> None:
    first = await paste_link(bot, result_link("res_4821"))
    await wait_until(lambda: bool(first.attachments))
    bot.world.slack.channels[QA_ALERTS].external = True
    second = await paste_link(bot, result_link("res_4822"))
    await asyncio.sleep(0.2)
    assert second.attachments == []


async def test_where_slack_does_not_say_who_and_where_nothing_is_shown(bot: RunningBot) -> None:
    for fault in ("users.info", "conversations.info"):
        bot.world.slack.faults.set_fault("500", only=fault)
        message = await paste_link(bot, result_link("res_4821"), user="U0BEN")
        await asyncio.sleep(2 * MAX_READERS_WAIT_SECONDS)
        assert (message.attachments, unfurl_calls(bot)) == ([], [])
        bot.world.slack.faults.set_fault("none")


async def test_what_is_still_being_written_is_left_alone(bot: RunningBot) -> None:
    assert (await bot.simulator.people.draft_message(ANA, result_link("res_4821"))).status == 200
    await asyncio.sleep(0.2)
    assert unfurl_calls(bot) == []
    [shared] = bot.world.slack.links.values()
    assert (shared.channel, shared.acknowledged) == ("COMPOSER", True)


async def test_our_own_messages_are_left_alone(bot: RunningBot) -> None:
    slack = bot.world.slack
    message = slack.add_message(
        PostedMessage(QA_ALERTS, slack.next_timestamp(), BOT_USER_ID, f"<{result_link('res_4821')}>")
    )
    await bot.simulator.people.deliver_payload(
        "events_api",
        {"event_id": "Ev1", "type": "event_callback"}
        | link_event(
            type="link_shared",
            user=BOT_USER_ID,
            channel=QA_ALERTS,
            message_ts=message.ts,
            links=[{"url": result_link("res_4821")}],
        ),
    )
    await asyncio.sleep(0.2)
    assert unfurl_calls(bot) == []


@pytest.mark.parametrize("fault", ["429", "500", "store_then_cut"])
async def test_a_slack_that_stumbles_is_asked_once_more(bot: RunningBot, fault: str) -> None:
    bot.world.slack.faults.set_fault(fault, 1, only="chat.unfurl")
    message = await paste_link(bot, result_link("res_4821"))
    await wait_until(lambda: len(unfurl_calls(bot)) == 2 and unfurl_calls(bot)[-1].ok)
    assert len(message.attachments) == 1


async def test_no_card_is_sent_again_after_half_a_minute(bot: RunningBot) -> None:
    bot.world.slack.faults.set_fault("429", only="chat.unfurl")
    with capture_logs() as logs:
        await paste_link(bot, result_link("res_4821"))
        await wait_until(lambda: len(unfurl_calls(bot)) == 1)
        stand_still(30)
        await wait_until(lambda: any(line["event"] == "links not unfurled" for line in logs))
    assert len(unfurl_calls(bot)) == 2, "the third of the attempts would be too late"


async def test_a_missing_scope_leaves_the_link_and_says_so_in_the_log(
    bot: RunningBot,
) -> None:
    bot.world.slack.scopes.discard("links:write")
    with capture_logs() as logs:
        message = await paste_link(bot, result_link("res_4821"))
        await wait_until(lambda: any(line["event"] == "links not unfurled" for line in logs))
    [line] = [line for line in logs if line["event"] == "links not unfurled"]
    assert (line["reason"], "`links:write`" in line["fix"]) == ("missing_scope", True)
    assert message.attachments == []
    assert len(unfurl_calls(bot)) == 1


@each_transport
async def test_it_waits_until_slack_has_our_acknowledgement(bot: RunningBot) -> None:
    """Slack refuses cards for what was not acknowledged yet, and then they are sent once more."""
    slack = bot.world.slack
    message = await paste_link(bot, result_link("res_4821"))
    await wait_until(lambda: bool(message.attachments))
    [shared] = slack.links.values()
    shared.acknowledged, message.attachments = False, []
    again = {"event_id": "Ev2", "type": "event_callback"} | link_event(
        type="link_shared", channel=QA_ALERTS, message_ts=message.ts, links=[{"url": result_link("res_4821")}]
    )
    await bot.simulator.people.deliver_payload("events_api", again)
    await wait_until(lambda: unfurl_calls(bot)[-1].error == "cannot_unfurl_url")
    shared.acknowledged = True
    await wait_until(lambda: bool(message.attachments))

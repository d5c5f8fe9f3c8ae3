"""Only what the operator allows is a link: whatever foreign text holds, Slack finds nothing in it to link by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications import payloads, text
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.notifications.other_payloads import PlatformEventPayload
from zofbot.notifications.payload_parts import CaseSummary, RunSummary
from zofbot.notifications.thread_payloads import (
    FailingAgainPayload,
    MoreFailuresPayload,
    RecoveryPayload,
    ResultPayload,
)
from zofbot.simulator.blockkit.automatic_links import LinkParsing, find_automatic, find_emoji, find_links
from zofbot.slack.links import ZofLinks
from zofbot.slack.views import cards, run_list
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.renderer import render_notification
from zofbot.slack.views.unfurl import unfurl_card

Json = dict[str, Any]
ALLOWED = ZofLinks("https://app.zof.ai/runs/{run_id}", "https://app.zof.ai/results/{result_id}", ("zof.ai",))
ALL = LinkParsing(addresses=True, names=True)
"""The most that Slack may look for: as ``chat.update`` does when it is not told otherwise."""

_LINKABLE = [
    "https://evil.example/login?a=b", "HTTP://EVIL.EXAMPLE", "www.evil.example", "evil.example", "x.evil.example/path",
    "ana@evil.example", "mailto:ana@evil.example", "slack://open?team=T1", "tel://123", "http://10.0.0.1/",
    "www.1.example", "@here", "@channel", "#general", "#42", "münchen.example", "evil。example", "https://[::1]/",
    "checkout.spec.ts",
    "http://user@evil.example:80", "://evil.example", "https://evil.example|zof", ":wave:", "::wave::", ":+1:",
]  # fmt: skip
_AROUND = [
    "",
    " ",
    "`",
    "``",
    "```",
    "*",
    "_",
    "~",
    "(",
    ")",
    "<",
    ">",
    "|",
    "&",
    "&amp;",
    "\n",
    ".",
    ":",
    "/",
    "é",
    "a",
    "\u200b",
    "\u2060",
]
HOSTILE = st.lists(st.sampled_from(_LINKABLE + _AROUND), max_size=6).map("".join)
LINKABLE = st.builds("{}{}{}".format, st.sampled_from(_AROUND), st.sampled_from(_LINKABLE), st.sampled_from(_AROUND))
TEXT = HOSTILE | LINKABLE

RESULTS = st.builds(
    Result, id=TEXT.filter(bool), title=TEXT, outcome=st.sampled_from(Outcome), status=TEXT, project_name=TEXT,
    environment=TEXT, failure=TEXT, logs=TEXT, severity=TEXT, run_id=TEXT, case_id=TEXT, url=TEXT,
)  # fmt: skip
RUNS = st.builds(
    Run, id=TEXT.filter(bool), title=TEXT, outcome=st.sampled_from(Outcome), status=TEXT, project_name=TEXT,
    environment=TEXT, url=TEXT,
)  # fmt: skip
PLACES = st.builds(
    RunSummary, id=TEXT, title=TEXT, outcome=st.sampled_from(Outcome), project=TEXT, environment=TEXT, url=TEXT
)
CASES = st.builds(CaseSummary, id=TEXT, title=TEXT, outcome=st.sampled_from(Outcome), why=TEXT, url=TEXT)
BODIES = st.one_of(
    st.builds(RunAlertPayload, run=PLACES, bad=st.integers(0, 9), top=st.lists(CASES, max_size=2).map(tuple)),
    st.builds(
        CaseAlertPayload, run=PLACES, case=CASES, case_id=TEXT, count=st.just(2), first=st.just(1.0), last=st.just(2.0)
    ),
    st.builds(ResultPayload, case=CASES, run_id=TEXT),
    st.builds(
        MoreFailuresPayload,
        run=PLACES,
        titles=st.lists(TEXT, max_size=3).map(tuple),
        count=st.just(9),
        unlisted=st.just(6),
    ),
    st.builds(FailingAgainPayload, run=PLACES),
    st.builds(RecoveryPayload, title=TEXT, run=PLACES, after=st.just(60.0)),
    st.builds(PlatformEventPayload, event=TEXT, about=TEXT, said=TEXT, run_id=TEXT, project=TEXT),
)


def all_nodes(node: Any) -> Iterator[Json]:
    if isinstance(node, list):
        for item in node:
            yield from all_nodes(item)
    elif isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from all_nodes(inner)


def only_allowed_links(payload: Json) -> None:
    assert find_automatic(payload, ALL) == []
    found = re.findall(r"<(https?:[^<>|]*)", payload.get("text", ""))
    for node in all_nodes(payload):
        assert node.get("type") != "mrkdwn" or node["verbatim"] is True
        assert node.get("type") != "plain_text" or node["emoji"] is False
        assert node.get("type") != "link"
        if node.get("type") == "mrkdwn":
            found += re.findall(r"<(https?:[^<>|]*)", node["text"])
        found += [node["url"]] if "url" in node else []
    for url in found:
        assert url.startswith("https://app.zof.ai/") or ALLOWED.allowed_url(url) == url


def check_both(message: Message) -> None:
    for payload in (message.message_fields(), message.plain_version().message_fields()):
        only_allowed_links(payload)


@given(RESULTS)
def test_a_card_of_a_result_links_only_what_is_allowed(result: Result) -> None:
    check_both(cards.result_card(result, ALLOWED, share=True, by=result.title or ""))
    only_allowed_links({"attachments": [unfurl_card(result)]})


@pytest.mark.parametrize("typed", ["a:`https://a.example/b`", "`https://a.example/b:`c:", ":wave:`https://a.example`"])
def test_code_that_loses_its_marks_makes_no_emoji_with_what_is_beside_it(typed: str) -> None:
    assert find_emoji(text.break_links(text.escape_mrkdwn(typed))) == []


@given(RUNS, st.lists(RESULTS, max_size=2), TEXT)
def test_a_card_of_a_run_links_only_what_is_allowed(run: Run, bad: list[Result], filters: str) -> None:
    check_both(cards.run_card(run, bad, ALLOWED))
    check_both(run_list.runs_card([run], filters))
    check_both(run_list.runs_card([], filters))
    only_allowed_links({"attachments": [unfurl_card(run)]})


@given(BODIES, st.sampled_from(NotificationKind))
def test_an_alert_links_only_what_is_allowed(body: payloads.Payload, kind: NotificationKind) -> None:
    stored = json.loads(json.dumps(payloads.dump_payload(body)))
    note = Notification(key="run:run_1:failed:C1", kind=kind, channel="C1", body=stored, happened=1.0)
    check_both(render_notification(Claim(note, 1, 1.0), 1.0, ALLOWED))


@given(
    st.lists(st.sampled_from([*_LINKABLE, *_AROUND, "<@U1>", "<!date^1^{date}|a.example>", "<https://app.zof.ai/x|x>"]))
)
def test_text_holds_nothing_to_link_but_slacks_own_forms(parts: list[str]) -> None:
    said = " ".join(part if part.startswith("<") and len(part) > 1 else text.escape_mrkdwn(part) for part in parts)
    shown = text.break_links(said)
    assert find_links(shown, ALL) == []
    assert find_emoji(shown) == []
    assert re.findall(r"<[^<>]*>", shown) == re.findall(r"<[^<>]*>", said), "Slack's own forms stay as they are"
    assert shown.replace("\u200b", "").replace("`", "") == said.replace("\u200b", "").replace("`", "")
    for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", shown):
        assert find_links(code, ALL) == []


@given(st.text(max_size=200))
def test_any_text_can_be_freed_of_links(anything: str) -> None:
    assert find_links(text.break_links(text.escape_mrkdwn(anything)), ALL) == []


@given(TEXT.filter(str.strip))
def test_what_is_shown_as_code_can_be_copied_as_it_stands(anything: str) -> None:
    code = text.inline_code(anything)
    shown = text.break_links(f"see {code}.")
    assert shown in (f"see {code}.", shown.replace("`", ""))


def test_code_stays_code_unless_it_holds_an_address() -> None:
    assert text.break_links("run `run_1001` of `api.example`") == "run `run_1001` of api.\u200bexample"
    assert text.break_links("4.2 s, v2.14.0, 08:15:30") == "4.2 s, v2.14.0, 08:15:30"


def test_a_long_text_is_freed_in_proportion() -> None:
    for beginning in ("`", "<", "`a.", "@", "a.b", "://", "`a", "www.", ":a"):
        assert find_links(text.break_links(beginning * 20_000), ALL) == []

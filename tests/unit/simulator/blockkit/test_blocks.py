"""The pretend Slack's strictness: each limit of Block Kit, from both sides."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from zofbot.simulator.blockkit.blocks import Surface, find_problems
from zofbot.simulator.blockkit.mentions import find_unescaped

Json = dict[str, Any]


def plain_text(text: str = "x") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn_text(text: str = "x") -> Json:
    return {"type": "mrkdwn", "text": text}


def menu_option(value: str = "v", text: str = "x") -> Json:
    return {"text": plain_text(text), "value": value}


def menu_options(count: int) -> list[Json]:
    return [menu_option(f"v{number}") for number in range(count)]


def section_block(**more: Any) -> Json:
    return {"type": "section", "text": mrkdwn_text(), **more}


def button_element(**more: Any) -> Json:
    return {"type": "button", "text": plain_text(), **more}


def actions_block(*elements: Json, **more: Any) -> Json:
    return {"type": "actions", "elements": list(elements), **more}


def menu_element(kind: str = "static_select", **more: Any) -> Json:
    return {"type": kind, **more}


def rich_text_block(*elements: Json) -> Json:
    return {"type": "rich_text", "elements": list(elements)}


def preformatted_text(*leaves: Json) -> Json:
    return rich_text_block({"type": "rich_text_preformatted", "elements": list(leaves)})


def text_field(**more: Any) -> Json:
    return {"type": "input", "label": plain_text(), "element": {"type": "plain_text_input"}, **more}


def table_block(rows: int, columns: int) -> Json:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * columns] * rows}


def message_payload(*blocks: Json, **more: Any) -> Json:
    return {"blocks": list(blocks), **more}


def modal_view(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain_text(), "submit": plain_text(), "blocks": list(blocks), **more}


CONFIRM: Json = {"title": plain_text(), "text": mrkdwn_text(), "confirm": plain_text(), "deny": plain_text()}
TEXT: Json = {"type": "text", "text": "x"}

PICKER: Json = {"type": "conversations_select", "filter": {"include": ["im"]}}

# What is limited; the last that Slack takes; the first that it refuses; the place it names.
BLOCKS: list[tuple[str, Json, Json, str]] = [
    (
        "section text",
        section_block(text=mrkdwn_text("x" * 3000)),
        section_block(text=mrkdwn_text("x" * 3001)),
        "/text/text",
    ),
    ("empty text", section_block(text=mrkdwn_text("x")), section_block(text=mrkdwn_text("")), "/text/text"),
    ("section without text", {"type": "section", "fields": [mrkdwn_text()]}, {"type": "section"}, ""),
    (
        "section fields",
        section_block(fields=[mrkdwn_text()] * 10),
        section_block(fields=[mrkdwn_text()] * 11),
        "/fields",
    ),
    ("no fields", section_block(fields=[mrkdwn_text()]), section_block(fields=[]), "/fields"),
    (
        "field text",
        section_block(fields=[mrkdwn_text("x" * 2000)]),
        section_block(fields=[mrkdwn_text("x" * 2001)]),
        "/fields/0/text",
    ),
    (
        "header text",
        {"type": "header", "text": plain_text("x" * 150)},
        {"type": "header", "text": plain_text("x" * 151)},
        "/text",
    ),
    ("header plain", {"type": "header", "text": plain_text()}, {"type": "header", "text": mrkdwn_text()}, "/text"),
    ("block_id", section_block(block_id="b" * 255), section_block(block_id="b" * 256), "/block_id"),
    ("unknown block", {"type": "divider"}, {"type": "ruler"}, ""),
    ("unknown property", section_block(expand=True), section_block(colour="red"), "/colour"),
    ("flag", section_block(expand=False), section_block(expand="no"), "/expand"),
    ("filter", actions_block(PICKER), actions_block(PICKER | {"filter": ["im"]}), "/elements/0/filter"),
    (
        "context",
        {"type": "context", "elements": [mrkdwn_text()] * 10},
        {"type": "context", "elements": [mrkdwn_text()] * 11},
        "",
    ),
    (
        "context kinds",
        {"type": "context", "elements": [plain_text()]},
        {"type": "context", "elements": [button_element()]},
        "",
    ),
    ("actions", actions_block(*[button_element()] * 25), actions_block(*[button_element()] * 26), "/elements"),
    ("no actions", actions_block(button_element()), actions_block(), "/elements"),
    (
        "action_id twice",
        actions_block(button_element(action_id="a"), button_element(action_id="b")),
        actions_block(button_element(action_id="a"), button_element(action_id="a")),
        "/elements/1/action_id",
    ),
    (
        "button text",
        actions_block(button_element(text=plain_text("x" * 75))),
        actions_block(button_element(text=plain_text("x" * 76))),
        "/elements/0/text",
    ),
    (
        "button mrkdwn",
        actions_block(button_element()),
        actions_block(button_element(text=mrkdwn_text())),
        "/elements/0/text",
    ),
    (
        "button value",
        actions_block(button_element(value="x" * 2000)),
        actions_block(button_element(value="x" * 2001)),
        "/elements/0/value",
    ),
    (
        "button style",
        actions_block(button_element(style="danger")),
        actions_block(button_element(style="warning")),
        "/elements/0/style",
    ),
    (
        "action_id",
        actions_block(button_element(action_id="a" * 255)),
        actions_block(button_element(action_id="a" * 256)),
        "/elements/0/action_id",
    ),
    (
        "button url length",
        actions_block(button_element(url="https://a.example/" + "x" * 2982)),
        actions_block(button_element(url="https://a.example/" + "x" * 2983)),
        "/elements/0/url",
    ),
    (
        "button url scheme",
        actions_block(button_element(url="http://a.example")),
        actions_block(button_element(url="javascript:alert(1)")),
        "/elements/0/url",
    ),
    (
        "confirm",
        actions_block(button_element(confirm=CONFIRM)),
        actions_block(button_element(confirm={"title": plain_text()})),
        "/elements/0/confirm",
    ),
    (
        "confirm title",
        actions_block(button_element(confirm=CONFIRM | {"title": plain_text("x" * 100)})),
        actions_block(button_element(confirm=CONFIRM | {"title": plain_text("x" * 101)})),
        "/elements/0/confirm/title/text",
    ),
    (
        "confirm text",
        actions_block(button_element(confirm=CONFIRM | {"text": plain_text("x" * 300)})),
        actions_block(button_element(confirm=CONFIRM | {"text": plain_text("x" * 301)})),
        "/elements/0/confirm/text/text",
    ),
    (
        "confirm button",
        actions_block(button_element(confirm=CONFIRM | {"deny": plain_text("x" * 30)})),
        actions_block(button_element(confirm=CONFIRM | {"deny": plain_text("x" * 31)})),
        "/elements/0/confirm/deny/text",
    ),
    (
        "overflow most",
        section_block(accessory=menu_element("overflow", options=menu_options(5))),
        section_block(accessory=menu_element("overflow", options=menu_options(6))),
        "/accessory/options",
    ),
    (
        "overflow least",
        section_block(accessory=menu_element("overflow", options=menu_options(2))),
        section_block(accessory=menu_element("overflow", options=menu_options(1))),
        "/accessory/options",
    ),
    (
        "select options",
        actions_block(menu_element(options=menu_options(100))),
        actions_block(menu_element(options=menu_options(101))),
        "/elements/0/options",
    ),
    (
        "no select options",
        actions_block(menu_element(options=menu_options(1))),
        actions_block(menu_element(options=[])),
        "/elements/0/options",
    ),
    (
        "select without options",
        actions_block(menu_element(options=menu_options(1))),
        actions_block(menu_element()),
        "/elements/0",
    ),
    (
        "option text",
        actions_block(menu_element(options=[menu_option(text="x" * 75)])),
        actions_block(menu_element(options=[menu_option(text="x" * 76)])),
        "/elements/0/options/0/text/text",
    ),
    (
        "option value",
        actions_block(menu_element(options=[menu_option("v" * 150)])),
        actions_block(menu_element(options=[menu_option("v" * 151)])),
        "/elements/0/options/0/value",
    ),
    (
        "options alike",
        actions_block(menu_element(options=menu_options(2))),
        actions_block(menu_element(options=[menu_option(), menu_option()])),
        "/elements/0",
    ),
    (
        "preselected",
        actions_block(menu_element(options=menu_options(2), initial_option=menu_option("v1"))),
        actions_block(menu_element(options=menu_options(2), initial_option=menu_option("v9"))),
        "/elements/0",
    ),
    (
        "placeholder",
        actions_block(menu_element("users_select", placeholder=plain_text("x" * 150))),
        actions_block(menu_element("users_select", placeholder=plain_text("x" * 151))),
        "/elements/0/placeholder/text",
    ),
    (
        "checkboxes",
        actions_block(menu_element("checkboxes", options=menu_options(10))),
        actions_block(menu_element("checkboxes", options=menu_options(11))),
        "/elements/0/options",
    ),
    (
        "text field in actions",
        actions_block(menu_element("datepicker")),
        actions_block(menu_element("plain_text_input")),
        "/elements/0",
    ),
    (
        "date",
        actions_block(menu_element("datepicker", initial_date="2026-11-23")),
        actions_block(menu_element("datepicker", initial_date="23.11.2026")),
        "/elements/0/initial_date",
    ),
    (
        "image alt",
        {"type": "image", "image_url": "https://a.example/x.png", "alt_text": "x" * 2000},
        {"type": "image", "image_url": "https://a.example/x.png", "alt_text": "x" * 2001},
        "/alt_text",
    ),
    (
        "image without alt",
        {"type": "image", "image_url": "https://a.example/x.png", "alt_text": "x"},
        {"type": "image", "image_url": "https://a.example/x.png"},
        "",
    ),
    (
        "rich text leaf",
        preformatted_text(TEXT | {"text": "x" * 3000}),
        preformatted_text(TEXT | {"text": "x" * 3001}),
        "/elements/0/elements/0/text",
    ),
    ("empty rich text", preformatted_text(TEXT), preformatted_text(TEXT | {"text": ""}), "/elements/0/elements/0/text"),
    (
        "rich text kinds",
        rich_text_block({"type": "rich_text_section", "elements": [TEXT]}),
        rich_text_block(TEXT),
        "/elements/0",
    ),
    (
        "preformatted kinds",
        preformatted_text(TEXT),
        preformatted_text({"type": "user", "user_id": "U0ANA"}),
        "/elements/0/elements/0",
    ),
    (
        "list style",
        rich_text_block(
            {
                "type": "rich_text_list",
                "style": "bullet",
                "elements": [{"type": "rich_text_section", "elements": [TEXT]}],
            }
        ),
        rich_text_block(
            {
                "type": "rich_text_list",
                "style": "stars",
                "elements": [{"type": "rich_text_section", "elements": [TEXT]}],
            }
        ),
        "/elements/0/style",
    ),
    ("null", section_block(block_id="b"), section_block(block_id=None), "/block_id"),
]


@pytest.mark.parametrize("surface", ["message", "modal", "home"])
def test_a_limit_holds_on_every_surface(surface: Surface) -> None:
    view: Json = {"type": surface, **({"title": plain_text()} if surface == "modal" else {})}
    payload: Json = {} if surface == "message" else view
    refused = {name: find_problems({**payload, "blocks": [good]}, surface) for name, good, _, _ in BLOCKS}
    assert {name: problems for name, problems in refused.items() if problems} == {}
    found = {(name, where): find_problems({**payload, "blocks": [bad]}, surface) for name, _, bad, where in BLOCKS}
    elsewhere = {
        (name, where): problems
        for (name, where), problems in found.items()
        if not any(f"[json-pointer:/blocks/0{where}" in sentence for sentence in problems)
    }
    assert elsewhere == {}


def markdown_block(length: int) -> Json:
    return {"type": "markdown", "text": "x" * length}


def chart_block(points: int = 3, *, lines: int = 1, kind: str = "line", **fields: Any) -> Json:
    labels = [f"day {number}" for number in range(points)]
    data = [{"label": label, "value": 1.5} for label in labels]
    plotted = [{"name": f"series {number}", "data": data} for number in range(lines)]
    return {
        "type": "data_visualization",
        "title": "x",
        "chart": {"type": kind, "series": plotted, "axis_config": {"categories": labels}, **fields},
    }


def pie_chart(segments: int = 2, value: float = 1, label: str = "a") -> Json:
    parts = [{"label": label, "value": value}] * segments
    return {"type": "data_visualization", "title": "x", "chart": {"type": "pie", "segments": parts}}


def data_point(label: str, value: Any) -> Json:
    return {
        "series": [{"name": "s", "data": [{"label": label, "value": value}]}],
        "axis_config": {"categories": [label]},
    }


CHARTS: list[tuple[str, Json, Json]] = [
    ("points", chart_block(20), chart_block(21)),
    ("series", chart_block(lines=6), chart_block(lines=7)),
    ("kind", chart_block(kind="area"), chart_block(kind="donut")),
    ("title", chart_block() | {"title": "x" * 50}, chart_block() | {"title": "x" * 51}),
    ("no title", chart_block(), {name: value for name, value in chart_block().items() if name != "title"}),
    ("label", chart_block(**data_point("x" * 20, 1)), chart_block(**data_point("x" * 21, 1))),
    ("value", chart_block(**data_point("x", -0.5)), chart_block(**data_point("x", "1"))),
    ("categories", chart_block(), chart_block(axis_config={"categories": ["day 0", "day 1"]})),
    ("two alike", chart_block(2), chart_block(2, axis_config={"categories": ["day 0", "day 0"]})),
    ("no axes", chart_block(), chart_block(axis_config=None)),
    ("axis label", chart_block(axis_config={"categories": ["day 0", "day 1", "day 2"], "y_label": "y" * 50}),
     chart_block(axis_config={"categories": ["day 0", "day 1", "day 2"], "y_label": "y" * 51})),
    ("segments", pie_chart(6), pie_chart(7)),
    ("weight", pie_chart(value=0.1), pie_chart(value=0)),
    ("segment's label", pie_chart(label="x" * 20), pie_chart(label="x" * 21)),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad"), [row[1:] for row in CHARTS], ids=[row[0] for row in CHARTS])
def test_a_chart_keeps_its_limits(good: Json, bad: Json) -> None:
    assert find_problems(message_payload(good), "message") == []
    assert find_problems(message_payload(bad), "message") != []


def test_names_of_series_are_their_own() -> None:
    twice = chart_block(lines=2)
    twice["chart"]["series"][1]["name"] = twice["chart"]["series"][0]["name"]
    assert any("unique" in sentence for sentence in find_problems(message_payload(twice), "message"))


def test_charts_stand_in_messages_only_two_at_most() -> None:
    assert find_problems(message_payload(chart_block(), chart_block()), "message") == []
    assert find_problems(message_payload(chart_block(), chart_block(), chart_block()), "message") != []
    assert find_problems({"type": "home", "blocks": [chart_block()]}, "home") != []


DIVIDER: Json = {"type": "divider"}

# Surface; what is limited; the last that Slack takes; the first that it refuses.
WHOLES: list[tuple[Surface, str, Json, Json]] = [
    ("message", "blocks", message_payload(*[DIVIDER] * 50), message_payload(*[DIVIDER] * 51)),
    ("modal", "blocks", modal_view(*[DIVIDER] * 100), modal_view(*[DIVIDER] * 101)),
    ("home", "blocks", {"type": "home", "blocks": [DIVIDER] * 100}, {"type": "home", "blocks": [DIVIDER] * 101}),
    ("message", "no list", message_payload(DIVIDER), {"blocks": {"type": "divider"}}),
    ("message", "no object", message_payload(DIVIDER), {"blocks": ["divider"]}),
    (
        "message",
        "block_id twice",
        message_payload(section_block(block_id="a"), section_block(block_id="b")),
        message_payload(section_block(block_id="a"), section_block(block_id="a")),
    ),
    (
        "modal",
        "block_id twice",
        modal_view(section_block(block_id="a"), section_block(block_id="b")),
        modal_view(section_block(block_id="a"), section_block(block_id="a")),
    ),
    ("message", "input", message_payload(section_block()), message_payload(text_field())),
    ("home", "input", {"type": "home", "blocks": [section_block()]}, {"type": "home", "blocks": [text_field()]}),
    (
        "modal",
        "input without submit",
        modal_view(text_field()),
        {"type": "modal", "title": plain_text(), "blocks": [text_field()]},
    ),
    (
        "modal",
        "input label",
        modal_view(text_field(label=plain_text("x" * 2000))),
        modal_view(text_field(label=plain_text("x" * 2001))),
    ),
    (
        "modal",
        "input hint",
        modal_view(text_field(hint=plain_text("x" * 2000))),
        modal_view(text_field(hint=plain_text("x" * 2001))),
    ),
    (
        "modal",
        "button as input",
        modal_view(text_field(element=menu_element("users_select"))),
        modal_view(text_field(element=button_element())),
    ),
    (
        "modal",
        "max_length",
        modal_view(text_field(element=menu_element("plain_text_input", max_length=3000))),
        modal_view(text_field(element=menu_element("plain_text_input", max_length=3001))),
    ),
    ("modal", "title", modal_view(title=plain_text("x" * 24)), modal_view(title=plain_text("x" * 25))),
    ("modal", "no title", modal_view(), {"type": "modal", "blocks": []}),
    ("modal", "submit", modal_view(submit=plain_text("x" * 24)), modal_view(submit=plain_text("x" * 25))),
    ("modal", "close", modal_view(close=plain_text("x" * 24)), modal_view(close=plain_text("x" * 25))),
    ("modal", "private_metadata", modal_view(private_metadata="x" * 3000), modal_view(private_metadata="x" * 3001)),
    ("modal", "callback_id", modal_view(callback_id="x" * 255), modal_view(callback_id="x" * 256)),
    ("modal", "type", modal_view(), modal_view() | {"type": "home"}),
    ("home", "no title", {"type": "home", "blocks": []}, {"type": "home", "blocks": [], "title": plain_text()}),
    (
        "message",
        "markdown in all",
        message_payload(markdown_block(6000), markdown_block(6000)),
        message_payload(markdown_block(6000), markdown_block(6001)),
    ),
    (
        "home",
        "markdown",
        {"type": "home", "blocks": [section_block()]},
        {"type": "home", "blocks": [markdown_block(1)]},
    ),
    ("message", "table", message_payload(table_block(100, 20)), message_payload(table_block(101, 20))),
    ("message", "table columns", message_payload(table_block(100, 20)), message_payload(table_block(100, 21))),
    (
        "message",
        "two tables",
        message_payload(table_block(1, 1)),
        message_payload(table_block(1, 1), table_block(1, 1)),
    ),
    (
        "message",
        "attachments",
        message_payload(attachments=[{"text": "x"}] * 100),
        message_payload(attachments=[{"text": "x"}] * 101),
    ),
    (
        "message",
        "blocks of attachments",
        message_payload(attachments=[{"blocks": [section_block()]}]),
        message_payload(attachments=[{"blocks": [section_block(text=mrkdwn_text(""))]}]),
    ),
    (
        "message",
        "blocks in all",
        message_payload(*[DIVIDER] * 40, attachments=[{"blocks": [DIVIDER] * 10}]),
        message_payload(*[DIVIDER] * 40, attachments=[{"blocks": [DIVIDER] * 11}]),
    ),
    (
        "message",
        "block_id twice over attachments",
        message_payload(section_block(block_id="a"), attachments=[{"blocks": [section_block(block_id="b")]}]),
        message_payload(section_block(block_id="a"), attachments=[{"blocks": [section_block(block_id="a")]}]),
    ),
]


@pytest.mark.parametrize(
    ("surface", "good", "bad"),
    [(row[0], *row[2:]) for row in WHOLES],
    ids=[f"{row[0]}: {row[1]}" for row in WHOLES],
)
def test_a_limit_of_a_whole_message_or_view_holds(surface: Surface, good: Json, bad: Json) -> None:
    assert find_problems(good, surface) == []
    assert find_problems(bad, surface) != []


def test_checking_changes_nothing() -> None:
    payload = message_payload(
        *(copy.deepcopy(row[1]) for row in BLOCKS[:20]), attachments=[{"blocks": [section_block()]}]
    )
    before = copy.deepcopy(payload)
    find_problems(payload, "message")
    assert payload == before


KNOWN = {"U0ANA", "C0QA", "S0ONCALL"}


@pytest.mark.parametrize(
    "text",
    [
        "<@U0ANA> and <@U0ANA|ana>, <#C0QA>, <!subteam^S0ONCALL>",
        "<!date^1795467000^{date_short_pretty} {time}|23 Nov 2026>",
        "<!date^1795467000^{time}^https://a.example/|noon>",
        "<https://a.example/?q=1|a link>, <http://a.example>, <mailto:ana@a.example|Ana>",
        "&lt;!channel&gt; is escaped, &amp; so is this",
        "> a quote",
    ],
)
def test_slacks_own_forms_pass(text: str) -> None:
    assert find_unescaped({"text": text, "blocks": [section_block(text=mrkdwn_text(text))]}, KNOWN) == []


@pytest.mark.parametrize(
    "text",
    [
        "<!channel>",
        "<!here|here>",
        "<!everyone>",
        "<@U0NOBODY>",
        "<!subteam^S0NOBODY>",
        "1 < 2",
        "<div>",
        "<javascript:alert(1)|click>",
        "<<@U0ANA>",
        "<!date^soon^{time}|x>",
    ],
)
def test_a_forgotten_escape_is_found_wherever_slack_would_read_it(text: str) -> None:
    assert find_unescaped({"text": text}, KNOWN)
    assert find_unescaped({"blocks": [section_block(text=mrkdwn_text(text))]}, KNOWN)
    assert find_unescaped({"blocks": [section_block(fields=[mrkdwn_text(text)])]}, KNOWN)
    assert find_unescaped({"blocks": [{"type": "markdown", "text": text}]}, KNOWN)
    assert find_unescaped({"attachments": [{"fallback": text}]}, KNOWN)
    assert find_unescaped({"attachments": [{"fields": [{"title": "x", "value": text}]}]}, KNOWN)
    assert find_unescaped({"attachments": [{"blocks": [section_block(text=mrkdwn_text(text))]}]}, KNOWN)


def test_plain_and_rich_text_are_not_read_for_mentions_but_a_broadcast_element_is_refused() -> None:
    assert find_unescaped({"blocks": [{"type": "header", "text": plain_text("<!channel>")}]}, KNOWN) == []
    assert find_unescaped({"blocks": [preformatted_text(TEXT | {"text": "<!channel>"})]}, KNOWN) == []
    broadcast = {"type": "rich_text_section", "elements": [{"type": "broadcast", "range": "here"}]}
    assert find_unescaped({"blocks": [rich_text_block(broadcast)]}, KNOWN)

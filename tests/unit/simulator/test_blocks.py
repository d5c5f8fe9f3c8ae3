"""The pretend Slack's strictness: each limit of Block Kit, from both sides."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from zofbot.simulator.blocks import Surface, problems
from zofbot.simulator.mentions import unescaped

Json = dict[str, Any]


def plain(text: str = "x") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> Json:
    return {"type": "mrkdwn", "text": text}


def option(value: str = "v", text: str = "x") -> Json:
    return {"text": plain(text), "value": value}


def options(count: int) -> list[Json]:
    return [option(f"v{number}") for number in range(count)]


def section(**more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(), **more}


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain(), **more}


def actions(*elements: Json, **more: Any) -> Json:
    return {"type": "actions", "elements": list(elements), **more}


def menu(kind: str = "static_select", **more: Any) -> Json:
    return {"type": kind, **more}


def rich(*elements: Json) -> Json:
    return {"type": "rich_text", "elements": list(elements)}


def preformatted(*leaves: Json) -> Json:
    return rich({"type": "rich_text_preformatted", "elements": list(leaves)})


def field(**more: Any) -> Json:
    return {"type": "input", "label": plain(), "element": {"type": "plain_text_input"}, **more}


def table(rows: int, columns: int) -> Json:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * columns] * rows}


def message(*blocks: Json, **more: Any) -> Json:
    return {"blocks": list(blocks), **more}


def modal(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain(), "submit": plain(), "blocks": list(blocks), **more}


CONFIRM: Json = {"title": plain(), "text": mrkdwn(), "confirm": plain(), "deny": plain()}
TEXT: Json = {"type": "text", "text": "x"}

PICKER: Json = {"type": "conversations_select", "filter": {"include": ["im"]}}

# What is limited; the last that Slack takes; the first that it refuses; the place it names.
BLOCKS: list[tuple[str, Json, Json, str]] = [
    ("section text", section(text=mrkdwn("x" * 3000)), section(text=mrkdwn("x" * 3001)), "/text/text"),
    ("empty text", section(text=mrkdwn("x")), section(text=mrkdwn("")), "/text/text"),
    ("section without text", {"type": "section", "fields": [mrkdwn()]}, {"type": "section"}, ""),
    ("section fields", section(fields=[mrkdwn()] * 10), section(fields=[mrkdwn()] * 11), "/fields"),
    ("no fields", section(fields=[mrkdwn()]), section(fields=[]), "/fields"),
    ("field text", section(fields=[mrkdwn("x" * 2000)]), section(fields=[mrkdwn("x" * 2001)]), "/fields/0/text"),
    (
        "header text",
        {"type": "header", "text": plain("x" * 150)},
        {"type": "header", "text": plain("x" * 151)},
        "/text",
    ),
    ("header plain", {"type": "header", "text": plain()}, {"type": "header", "text": mrkdwn()}, "/text"),
    ("block_id", section(block_id="b" * 255), section(block_id="b" * 256), "/block_id"),
    ("unknown block", {"type": "divider"}, {"type": "ruler"}, ""),
    ("unknown property", section(expand=True), section(colour="red"), "/colour"),
    ("flag", section(expand=False), section(expand="no"), "/expand"),
    ("filter", actions(PICKER), actions(PICKER | {"filter": ["im"]}), "/elements/0/filter"),
    ("context", {"type": "context", "elements": [mrkdwn()] * 10}, {"type": "context", "elements": [mrkdwn()] * 11}, ""),
    ("context kinds", {"type": "context", "elements": [plain()]}, {"type": "context", "elements": [button()]}, ""),
    ("actions", actions(*[button()] * 25), actions(*[button()] * 26), "/elements"),
    ("no actions", actions(button()), actions(), "/elements"),
    (
        "action_id twice",
        actions(button(action_id="a"), button(action_id="b")),
        actions(button(action_id="a"), button(action_id="a")),
        "/elements/1/action_id",
    ),
    ("button text", actions(button(text=plain("x" * 75))), actions(button(text=plain("x" * 76))), "/elements/0/text"),
    ("button mrkdwn", actions(button()), actions(button(text=mrkdwn())), "/elements/0/text"),
    ("button value", actions(button(value="x" * 2000)), actions(button(value="x" * 2001)), "/elements/0/value"),
    ("button style", actions(button(style="danger")), actions(button(style="warning")), "/elements/0/style"),
    ("action_id", actions(button(action_id="a" * 255)), actions(button(action_id="a" * 256)), "/elements/0/action_id"),
    (
        "button url length",
        actions(button(url="https://a.example/" + "x" * 2982)),
        actions(button(url="https://a.example/" + "x" * 2983)),
        "/elements/0/url",
    ),
    (
        "button url scheme",
        actions(button(url="http://a.example")),
        actions(button(url="javascript:alert(1)")),
        "/elements/0/url",
    ),
    ("confirm", actions(button(confirm=CONFIRM)), actions(button(confirm={"title": plain()})), "/elements/0/confirm"),
    (
        "confirm title",
        actions(button(confirm=CONFIRM | {"title": plain("x" * 100)})),
        actions(button(confirm=CONFIRM | {"title": plain("x" * 101)})),
        "/elements/0/confirm/title/text",
    ),
    (
        "confirm text",
        actions(button(confirm=CONFIRM | {"text": plain("x" * 300)})),
        actions(button(confirm=CONFIRM | {"text": plain("x" * 301)})),
        "/elements/0/confirm/text/text",
    ),
    (
        "confirm button",
        actions(button(confirm=CONFIRM | {"deny": plain("x" * 30)})),
        actions(button(confirm=CONFIRM | {"deny": plain("x" * 31)})),
        "/elements/0/confirm/deny/text",
    ),
    (
        "overflow most",
        section(accessory=menu("overflow", options=options(5))),
        section(accessory=menu("overflow", options=options(6))),
        "/accessory/options",
    ),
    (
        "overflow least",
        section(accessory=menu("overflow", options=options(2))),
        section(accessory=menu("overflow", options=options(1))),
        "/accessory/options",
    ),
    ("select options", actions(menu(options=options(100))), actions(menu(options=options(101))), "/elements/0/options"),
    ("no select options", actions(menu(options=options(1))), actions(menu(options=[])), "/elements/0/options"),
    ("select without options", actions(menu(options=options(1))), actions(menu()), "/elements/0"),
    (
        "option text",
        actions(menu(options=[option(text="x" * 75)])),
        actions(menu(options=[option(text="x" * 76)])),
        "/elements/0/options/0/text/text",
    ),
    (
        "option value",
        actions(menu(options=[option("v" * 150)])),
        actions(menu(options=[option("v" * 151)])),
        "/elements/0/options/0/value",
    ),
    ("options alike", actions(menu(options=options(2))), actions(menu(options=[option(), option()])), "/elements/0"),
    (
        "preselected",
        actions(menu(options=options(2), initial_option=option("v1"))),
        actions(menu(options=options(2), initial_option=option("v9"))),
        "/elements/0",
    ),
    (
        "placeholder",
        actions(menu("users_select", placeholder=plain("x" * 150))),
        actions(menu("users_select", placeholder=plain("x" * 151))),
        "/elements/0/placeholder/text",
    ),
    (
        "checkboxes",
        actions(menu("checkboxes", options=options(10))),
        actions(menu("checkboxes", options=options(11))),
        "/elements/0/options",
    ),
    ("text field in actions", actions(menu("datepicker")), actions(menu("plain_text_input")), "/elements/0"),
    (
        "date",
        actions(menu("datepicker", initial_date="2026-11-23")),
        actions(menu("datepicker", initial_date="23.11.2026")),
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
        preformatted(TEXT | {"text": "x" * 3000}),
        preformatted(TEXT | {"text": "x" * 3001}),
        "/elements/0/elements/0/text",
    ),
    ("empty rich text", preformatted(TEXT), preformatted(TEXT | {"text": ""}), "/elements/0/elements/0/text"),
    ("rich text kinds", rich({"type": "rich_text_section", "elements": [TEXT]}), rich(TEXT), "/elements/0"),
    (
        "preformatted kinds",
        preformatted(TEXT),
        preformatted({"type": "user", "user_id": "U0ANA"}),
        "/elements/0/elements/0",
    ),
    (
        "list style",
        rich(
            {
                "type": "rich_text_list",
                "style": "bullet",
                "elements": [{"type": "rich_text_section", "elements": [TEXT]}],
            }
        ),
        rich(
            {
                "type": "rich_text_list",
                "style": "stars",
                "elements": [{"type": "rich_text_section", "elements": [TEXT]}],
            }
        ),
        "/elements/0/style",
    ),
    ("null", section(block_id="b"), section(block_id=None), "/block_id"),
]


@pytest.mark.parametrize("surface", ["message", "modal", "home"])
@pytest.mark.parametrize(("good", "bad", "where"), [row[1:] for row in BLOCKS], ids=[row[0] for row in BLOCKS])
def test_a_limit_holds_on_every_surface(good: Json, bad: Json, where: str, surface: Surface) -> None:
    view: Json = {"type": surface, **({"title": plain()} if surface == "modal" else {})}
    payload: Json = {} if surface == "message" else view
    assert problems({**payload, "blocks": [good]}, surface) == []
    found = problems({**payload, "blocks": [bad]}, surface)
    assert any(f"[json-pointer:/blocks/0{where}" in sentence for sentence in found), found


def markdown(length: int) -> Json:
    return {"type": "markdown", "text": "x" * length}


def chart(points: int = 3, *, lines: int = 1, kind: str = "line", **fields: Any) -> Json:
    labels = [f"day {number}" for number in range(points)]
    data = [{"label": label, "value": 1.5} for label in labels]
    plotted = [{"name": f"series {number}", "data": data} for number in range(lines)]
    return {
        "type": "data_visualization",
        "title": "x",
        "chart": {"type": kind, "series": plotted, "axis_config": {"categories": labels}, **fields},
    }


def pie(segments: int = 2, value: float = 1, label: str = "a") -> Json:
    parts = [{"label": label, "value": value}] * segments
    return {"type": "data_visualization", "title": "x", "chart": {"type": "pie", "segments": parts}}


def point(label: str, value: Any) -> Json:
    return {
        "series": [{"name": "s", "data": [{"label": label, "value": value}]}],
        "axis_config": {"categories": [label]},
    }


CHARTS: list[tuple[str, Json, Json]] = [
    ("points", chart(20), chart(21)),
    ("series", chart(lines=6), chart(lines=7)),
    ("kind", chart(kind="area"), chart(kind="donut")),
    ("title", chart() | {"title": "x" * 50}, chart() | {"title": "x" * 51}),
    ("no title", chart(), {name: value for name, value in chart().items() if name != "title"}),
    ("label", chart(**point("x" * 20, 1)), chart(**point("x" * 21, 1))),
    ("value", chart(**point("x", -0.5)), chart(**point("x", "1"))),
    ("categories", chart(), chart(axis_config={"categories": ["day 0", "day 1"]})),
    ("two alike", chart(2), chart(2, axis_config={"categories": ["day 0", "day 0"]})),
    ("no axes", chart(), chart(axis_config=None)),
    ("axis label", chart(axis_config={"categories": ["day 0", "day 1", "day 2"], "y_label": "y" * 50}),
     chart(axis_config={"categories": ["day 0", "day 1", "day 2"], "y_label": "y" * 51})),
    ("segments", pie(6), pie(7)),
    ("weight", pie(value=0.1), pie(value=0)),
    ("segment's label", pie(label="x" * 20), pie(label="x" * 21)),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad"), [row[1:] for row in CHARTS], ids=[row[0] for row in CHARTS])
def test_a_chart_keeps_its_limits(good: Json, bad: Json) -> None:
    assert problems(message(good), "message") == []
    assert problems(message(bad), "message") != []


def test_names_of_series_are_their_own() -> None:
    twice = chart(lines=2)
    twice["chart"]["series"][1]["name"] = twice["chart"]["series"][0]["name"]
    assert any("unique" in sentence for sentence in problems(message(twice), "message"))


def test_charts_stand_in_messages_only_two_at_most() -> None:
    assert problems(message(chart(), chart()), "message") == []
    assert problems(message(chart(), chart(), chart()), "message") != []
    assert problems({"type": "home", "blocks": [chart()]}, "home") != []


DIVIDER: Json = {"type": "divider"}

# Surface; what is limited; the last that Slack takes; the first that it refuses.
WHOLES: list[tuple[Surface, str, Json, Json]] = [
    ("message", "blocks", message(*[DIVIDER] * 50), message(*[DIVIDER] * 51)),
    ("modal", "blocks", modal(*[DIVIDER] * 100), modal(*[DIVIDER] * 101)),
    ("home", "blocks", {"type": "home", "blocks": [DIVIDER] * 100}, {"type": "home", "blocks": [DIVIDER] * 101}),
    ("message", "no list", message(DIVIDER), {"blocks": {"type": "divider"}}),
    ("message", "no object", message(DIVIDER), {"blocks": ["divider"]}),
    (
        "message",
        "block_id twice",
        message(section(block_id="a"), section(block_id="b")),
        message(section(block_id="a"), section(block_id="a")),
    ),
    (
        "modal",
        "block_id twice",
        modal(section(block_id="a"), section(block_id="b")),
        modal(section(block_id="a"), section(block_id="a")),
    ),
    ("message", "input", message(section()), message(field())),
    ("home", "input", {"type": "home", "blocks": [section()]}, {"type": "home", "blocks": [field()]}),
    ("modal", "input without submit", modal(field()), {"type": "modal", "title": plain(), "blocks": [field()]}),
    ("modal", "input label", modal(field(label=plain("x" * 2000))), modal(field(label=plain("x" * 2001)))),
    ("modal", "input hint", modal(field(hint=plain("x" * 2000))), modal(field(hint=plain("x" * 2001)))),
    ("modal", "button as input", modal(field(element=menu("users_select"))), modal(field(element=button()))),
    (
        "modal",
        "max_length",
        modal(field(element=menu("plain_text_input", max_length=3000))),
        modal(field(element=menu("plain_text_input", max_length=3001))),
    ),
    ("modal", "title", modal(title=plain("x" * 24)), modal(title=plain("x" * 25))),
    ("modal", "no title", modal(), {"type": "modal", "blocks": []}),
    ("modal", "submit", modal(submit=plain("x" * 24)), modal(submit=plain("x" * 25))),
    ("modal", "close", modal(close=plain("x" * 24)), modal(close=plain("x" * 25))),
    ("modal", "private_metadata", modal(private_metadata="x" * 3000), modal(private_metadata="x" * 3001)),
    ("modal", "callback_id", modal(callback_id="x" * 255), modal(callback_id="x" * 256)),
    ("modal", "type", modal(), modal() | {"type": "home"}),
    ("home", "no title", {"type": "home", "blocks": []}, {"type": "home", "blocks": [], "title": plain()}),
    ("message", "markdown in all", message(markdown(6000), markdown(6000)), message(markdown(6000), markdown(6001))),
    ("home", "markdown", {"type": "home", "blocks": [section()]}, {"type": "home", "blocks": [markdown(1)]}),
    ("message", "table", message(table(100, 20)), message(table(101, 20))),
    ("message", "table columns", message(table(100, 20)), message(table(100, 21))),
    ("message", "two tables", message(table(1, 1)), message(table(1, 1), table(1, 1))),
    ("message", "attachments", message(attachments=[{"text": "x"}] * 100), message(attachments=[{"text": "x"}] * 101)),
    (
        "message",
        "blocks of attachments",
        message(attachments=[{"blocks": [section()]}]),
        message(attachments=[{"blocks": [section(text=mrkdwn(""))]}]),
    ),
    (
        "message",
        "blocks in all",
        message(*[DIVIDER] * 40, attachments=[{"blocks": [DIVIDER] * 10}]),
        message(*[DIVIDER] * 40, attachments=[{"blocks": [DIVIDER] * 11}]),
    ),
    (
        "message",
        "block_id twice over attachments",
        message(section(block_id="a"), attachments=[{"blocks": [section(block_id="b")]}]),
        message(section(block_id="a"), attachments=[{"blocks": [section(block_id="a")]}]),
    ),
]


@pytest.mark.parametrize(
    ("surface", "good", "bad"),
    [(row[0], *row[2:]) for row in WHOLES],
    ids=[f"{row[0]}: {row[1]}" for row in WHOLES],
)
def test_a_limit_of_a_whole_message_or_view_holds(surface: Surface, good: Json, bad: Json) -> None:
    assert problems(good, surface) == []
    assert problems(bad, surface) != []


def test_checking_changes_nothing() -> None:
    payload = message(*(copy.deepcopy(row[1]) for row in BLOCKS[:20]), attachments=[{"blocks": [section()]}])
    before = copy.deepcopy(payload)
    problems(payload, "message")
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
    assert unescaped({"text": text, "blocks": [section(text=mrkdwn(text))]}, KNOWN) == []


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
    assert unescaped({"text": text}, KNOWN)
    assert unescaped({"blocks": [section(text=mrkdwn(text))]}, KNOWN)
    assert unescaped({"blocks": [section(fields=[mrkdwn(text)])]}, KNOWN)
    assert unescaped({"blocks": [{"type": "markdown", "text": text}]}, KNOWN)
    assert unescaped({"attachments": [{"fallback": text}]}, KNOWN)
    assert unescaped({"attachments": [{"fields": [{"title": "x", "value": text}]}]}, KNOWN)
    assert unescaped({"attachments": [{"blocks": [section(text=mrkdwn(text))]}]}, KNOWN)


def test_plain_and_rich_text_are_not_read_for_mentions_but_a_broadcast_element_is_refused() -> None:
    assert unescaped({"blocks": [{"type": "header", "text": plain("<!channel>")}]}, KNOWN) == []
    assert unescaped({"blocks": [preformatted(TEXT | {"text": "<!channel>"})]}, KNOWN) == []
    broadcast = {"type": "rich_text_section", "elements": [{"type": "broadcast", "range": "here"}]}
    assert unescaped({"blocks": [rich(broadcast)]}, KNOWN)

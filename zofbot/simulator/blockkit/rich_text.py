"""Validation of rich_text blocks: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block ."""

from __future__ import annotations

from zofbot.simulator.blockkit.rules import (
    ObjectRule,
    Rule,
    check_boolean,
    choice_rule,
    integer_rule,
    list_rule,
    string_rule,
    typed_rule,
    url_rule,
)

_STYLE = ObjectRule(
    may=dict.fromkeys(("bold", "italic", "strike", "code", "underline", "highlight", "unlink"), check_boolean)
)
_STYLED: dict[str, Rule] = {"style": _STYLE}
_ID = string_rule(255)

# Slack publishes no limit for one piece of rich text; 3000 is that of every other text object.
_TEXT = ObjectRule({"text": string_rule(3000)}, _STYLED)
_LINK = ObjectRule({"url": url_rule()}, {"text": string_rule(3000), "unsafe": check_boolean, **_STYLED})
_LEAF_ELEMENT = typed_rule(
    {
        "text": _TEXT,
        "link": _LINK,
        "user": ObjectRule({"user_id": _ID}, _STYLED),
        "usergroup": ObjectRule({"usergroup_id": _ID}, _STYLED),
        "channel": ObjectRule({"channel_id": _ID}, _STYLED),
        "emoji": ObjectRule(
            {"name": string_rule(100)}, {"unicode": string_rule(100), "skin_tone": integer_rule(1, 6), **_STYLED}
        ),
        "date": ObjectRule(
            {"timestamp": integer_rule(0, 10**10), "format": string_rule(255)},
            {"url": url_rule(), "fallback": string_rule(255), **_STYLED},
        ),
        "color": ObjectRule({"value": string_rule(20)}),
        "broadcast": ObjectRule({"range": choice_rule("here", "channel", "everyone")}),
    },
    "rich text",
)
_PLAIN_LEAF_ELEMENT = typed_rule({"text": _TEXT, "link": _LINK}, "preformatted rich text")
_BORDER_FIELD: dict[str, Rule] = {"border": integer_rule(0, 1)}
_SECTION = ObjectRule({"elements": list_rule(_LEAF_ELEMENT, 1000, 0)})

RICH_TEXT = typed_rule(
    {
        "rich_text_section": _SECTION,
        "rich_text_quote": ObjectRule({"elements": list_rule(_LEAF_ELEMENT, 1000)}, _BORDER_FIELD),
        "rich_text_preformatted": ObjectRule(
            {"elements": list_rule(_PLAIN_LEAF_ELEMENT, 1000)}, {"language": string_rule(50), **_BORDER_FIELD}
        ),
        "rich_text_list": ObjectRule(
            {
                "elements": list_rule(typed_rule({"rich_text_section": _SECTION}, "list item"), 1000),
                "style": choice_rule("bullet", "ordered"),
            },
            {"indent": integer_rule(0, 8), "offset": integer_rule(0, 10**6), **_BORDER_FIELD},
        ),
    },
    "rich text element",
)

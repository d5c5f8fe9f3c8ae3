"""The structure of a rich_text block: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block ."""

from __future__ import annotations

from zofbot.simulator.shape import Rule, Shape, boolean, many, one_of, string, typed, url, whole

_STYLE = Shape(may=dict.fromkeys(("bold", "italic", "strike", "code", "underline", "highlight", "unlink"), boolean))
_STYLED: dict[str, Rule] = {"style": _STYLE}
_ID = string(255)

# Slack publishes no limit for one piece of rich text; 3000 is that of every other text object.
_TEXT = Shape({"text": string(3000)}, _STYLED)
_LINK = Shape({"url": url()}, {"text": string(3000), "unsafe": boolean, **_STYLED})
_LEAVES = typed(
    {
        "text": _TEXT,
        "link": _LINK,
        "user": Shape({"user_id": _ID}, _STYLED),
        "usergroup": Shape({"usergroup_id": _ID}, _STYLED),
        "channel": Shape({"channel_id": _ID}, _STYLED),
        "emoji": Shape({"name": string(100)}, {"unicode": string(100), "skin_tone": whole(1, 6), **_STYLED}),
        "date": Shape(
            {"timestamp": whole(0, 10**10), "format": string(255)}, {"url": url(), "fallback": string(255), **_STYLED}
        ),
        "color": Shape({"value": string(20)}),
        "broadcast": Shape({"range": one_of("here", "channel", "everyone")}),
    },
    "rich text",
)
_PLAIN_LEAVES = typed({"text": _TEXT, "link": _LINK}, "preformatted rich text")
_BORDER: dict[str, Rule] = {"border": whole(0, 1)}
_SECTION = Shape({"elements": many(_LEAVES, 1000, 0)})

RICH_TEXT = typed(
    {
        "rich_text_section": _SECTION,
        "rich_text_quote": Shape({"elements": many(_LEAVES, 1000)}, _BORDER),
        "rich_text_preformatted": Shape({"elements": many(_PLAIN_LEAVES, 1000)}, {"language": string(50), **_BORDER}),
        "rich_text_list": Shape(
            {
                "elements": many(typed({"rich_text_section": _SECTION}, "list item"), 1000),
                "style": one_of("bullet", "ordered"),
            },
            {"indent": whole(0, 8), "offset": whole(0, 10**6), **_BORDER},
        ),
    },
    "rich text element",
)

"""Link unfurling: ``link_shared`` events, and ``chat.unfurl``.

https://docs.slack.dev/messaging/unfurling-links-in-messages
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from zofbot.simulator.slack import chat_api
from zofbot.simulator.slack.chat_api import Arguments, ResponseBody
from zofbot.simulator.slack.model import APP_ID, BOT_ID, PostedMessage, SharedLinks
from zofbot.simulator.slack.state import SlackRefusal, Workspace

_LINK = re.compile(r"<(https?://[^<>|\s]+)[^<>]*>")


def find_links(slack: Workspace, text: str) -> list[str]:
    """Return the links of the app's domains in a text in Slack's format, in order, as typed."""
    found = map(_unescape, _LINK.findall(text))
    return [link for link in dict.fromkeys(found) if _is_app_domain(slack, link_host(link))]


def _unescape(link: str) -> str:
    return link.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def link_host(link: str) -> str:
    """Return a link's host; empty if invalid."""
    try:
        return urlsplit(link).hostname or ""
    except ValueError:
        return ""


def _is_app_domain(slack: Workspace, name: str) -> bool:
    return any(name == domain or name.endswith(f".{domain}") for domain in slack.unfurl_domains)


def unfurl_links(slack: Workspace, given: Arguments) -> ResponseBody:
    """``chat.unfurl``: a repeat replaces the cards; the cards of a draft are shown to nobody."""
    shared, message = _find_shared_links(slack, given)
    cards = _parse_cards(given.get("unfurls"))
    if not shared.acknowledged or not all(_is_app_domain(slack, link_host(link)) for link in cards):
        raise SlackRefusal("cannot_unfurl_url")
    if not set(cards) <= set(shared.links):
        raise SlackRefusal("cannot_unfurl_message")
    checked = chat_api.validate_content(slack, {"text": "unfurl", "attachments": list(cards.values())})["attachments"]
    if message:
        own = {"is_app_unfurl": True, "bot_id": BOT_ID, "app_id": APP_ID}
        fresh = [{**card, **own, "app_unfurl_url": link} for link, card in zip(cards, checked, strict=True)]
        kept = [card for card in message.attachments if card.get("app_unfurl_url") not in cards]
        message.attachments = [*kept, *fresh]
        slack.changed()
    return {}


def _find_shared_links(slack: Workspace, given: Arguments) -> tuple[SharedLinks, PostedMessage | None]:
    """Find the shared links, by unfurl id and source or by channel and timestamp, and their message."""
    if "unfurl_id" in given or "source" in given:
        for name in ("unfurl_id", "source"):
            if not given.get(name):
                raise SlackRefusal(f"missing_{name}")
        if given["source"] not in ("composer", "conversations_history"):
            raise SlackRefusal("invalid_source")
        shared = slack.links.get(str(given["unfurl_id"]))
        if shared is None or shared.source != given["source"]:
            raise SlackRefusal("invalid_unfurl_id")
        return shared, _find_message(slack, shared)
    for name in ("channel", "ts"):
        if not given.get(name):
            raise SlackRefusal(f"missing_{name}")
    if given["channel"] not in slack.channels and given["channel"] != "COMPOSER":
        raise SlackRefusal("cannot_find_channel")
    place = (given["channel"], given["ts"])
    for shared in slack.links.values():
        if (shared.channel, shared.ts) == place:
            return shared, _find_message(slack, shared)
    raise SlackRefusal("cannot_unfurl_message" if slack.find_message(*place) else "cannot_find_message")


def _find_message(slack: Workspace, shared: SharedLinks) -> PostedMessage | None:
    if shared.source == "composer":
        return None
    message = slack.find_message(shared.channel, shared.ts)
    if message is None:
        raise SlackRefusal("cannot_find_message")
    return message


def _parse_cards(given: Any) -> dict[str, dict[str, Any]]:
    """Parse the cards by link; each is an attachment, or only blocks.

    Believed: a link may be escaped, as in the event, or as typed.
    """
    if not given:
        raise SlackRefusal("missing_unfurls")
    try:
        cards = json.loads(given) if isinstance(given, str) else given
    except json.JSONDecodeError:
        cards = None
    if not isinstance(cards, dict) or not all(isinstance(card, dict) for card in cards.values()):
        raise SlackRefusal("invalid_unfurls_format")
    if not all(cards.values()):
        raise SlackRefusal("cannot_parse_attachment")
    return {_unescape(link): card for link, card in cards.items()}

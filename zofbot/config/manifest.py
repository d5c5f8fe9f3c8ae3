"""The Slack app manifest of this version, and the reason for each scope, event and command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zofbot.domain.commands import SHORTCUT_CALLBACK_ID, SLASH_COMMAND, usage_hint

SCOPES = {
    "commands": f"the {SLASH_COMMAND} command",
    "app_mentions:read": "reading mentions of the bot in an alert's thread, where slash commands do not work",
    "chat:write": "posting alerts and shared cards",
    "chat:write.public": "posting in public channels that the bot has not joined",
    "channels:join": "joining a public channel where Slack lets only members post or read",
    "channels:history": "finding an unconfirmed message in a public channel before sending it again",
    "groups:history": "finding an unconfirmed message in a private channel",
    "mpim:history": "finding an unconfirmed message in a group direct message",
    "im:history": "finding an unconfirmed message in a direct message, and reading what people type there",
    "im:write": "opening a direct message with a person, to find an unconfirmed message there",
    "channels:read": "seeing whether a channel is shared with another organization, and which are yours",
    "groups:read": "seeing whether a private channel is shared with another organization, and which are yours",
    "im:read": "seeing whether a direct message is with someone from another organization",
    "mpim:read": "seeing whether a group direct message is with someone from another organization, and which are yours",
    "users:read": "telling members from guests and other organizations, and reading time zones for snoozing",
    "usergroups:read": "giving roles to user groups, and showing their names",
}
"""Each bot scope, and what it is needed for."""

OPTIONAL_SCOPES = frozenset({"mpim:history"})
"""Scopes among these that only alerts in group direct messages need."""

LINK_SCOPES = {
    "links:read": "seeing pasted links to runs and results; only with a URL template",
    "links:write": "unfurling them as small cards; only with a URL template",
}
"""Additional scopes for unfurling links."""

EMAIL_SCOPES = {
    "users:read.email": "finding authors and owners by e-mail address, to mention them; only where this is used",
}
"""Additional scopes for ``mention:author`` and ``mention:owner``."""

SCOPES_BY_METHOD: dict[str, tuple[str, ...]] = {
    "apps.connections.open": (),
    "auth.test": (),
    "chat.delete": ("chat:write",),
    "chat.getPermalink": (),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write", "chat:write.public"),
    "chat.unfurl": ("links:write",),
    "chat.update": ("chat:write",),
    "conversations.history": ("channels:history", "groups:history", "im:history", "mpim:history"),
    "conversations.info": ("channels:read", "groups:read", "im:read", "mpim:read"),
    "conversations.join": ("channels:join",),
    "conversations.members": ("mpim:read",),
    "conversations.open": ("im:write",),
    "conversations.replies": ("channels:history", "groups:history", "im:history", "mpim:history"),
    "usergroups.list": ("usergroups:read",),
    "usergroups.users.list": ("usergroups:read",),
    "users.conversations": ("channels:read", "groups:read", "mpim:read"),
    "users.info": ("users:read",),
    "users.list": ("users:read",),
    "users.lookupByEmail": ("users:read.email",),
    "views.open": (),
    "views.publish": (),
    "views.update": (),
}
"""Each Slack Web API method that zofbot calls, and the scopes it needs (https://docs.slack.dev/reference/methods)."""

SCOPES_BY_EVENT: dict[str, tuple[str, ...]] = {
    "app_home_opened": (),
    "app_mention": ("app_mentions:read",),
    "channel_archive": ("channels:read",),
    "channel_id_changed": ("groups:read",),
    "channel_left": ("channels:read",),
    "channel_rename": ("channels:read",),
    "channel_shared": ("channels:read", "groups:read"),
    "channel_unarchive": ("channels:read",),
    "channel_unshared": ("channels:read", "groups:read"),
    "group_archive": ("groups:read",),
    "group_left": ("groups:read",),
    "group_rename": ("groups:read",),
    "group_unarchive": ("groups:read",),
    "link_shared": ("links:read",),
    "member_joined_channel": ("channels:read", "groups:read"),
    "member_left_channel": ("channels:read", "groups:read"),
    "message.im": ("im:history",),
}
"""Each event that zofbot subscribes to, and the scopes it needs (https://docs.slack.dev/reference/events)."""


def scopes_for(domains: Sequence[str], *, emails: bool = False) -> dict[str, str]:
    """Return the scopes needed if links to ``domains`` are unfurled, and people are found by their ``emails``."""
    return SCOPES | (LINK_SCOPES if domains else {}) | (EMAIL_SCOPES if emails else {})


def build_manifest(url: str = "", domains: Sequence[str] = (), *, emails: bool = False) -> dict[str, Any]:
    """Build the manifest: for HTTP with the public ``url`` of the web server, for Socket Mode without.

    Links to ``domains`` (at most five) are unfurled; with ``emails`` people are found by their address. Format: https://docs.slack.dev/reference/app-manifest
    """
    scopes = scopes_for(domains, emails=emails)
    events = [event for event, needed in SCOPES_BY_EVENT.items() if set(needed) <= set(scopes)]
    request_url = {"url": f"{url.rstrip('/')}/slack/events"} if url else {}
    address = {"request_url": request_url["url"]} if url else {}
    menus = {"message_menu_options_url": request_url["url"]} if url else {}
    return {
        "display_information": {
            "name": "zofbot",
            "description": "Zof's runs and results in Slack",
            "background_color": "#1f2a44",
        },
        "features": _build_features(request_url, domains),
        "oauth_config": {"scopes": {"bot": list(scopes)}},
        "settings": {
            "event_subscriptions": address | {"bot_events": events},
            "interactivity": {"is_enabled": True} | address | menus,
            "org_deploy_enabled": False,
            "socket_mode_enabled": not url,
            "token_rotation_enabled": False,
        },
    }


def _build_features(request_url: dict[str, str], domains: Sequence[str]) -> dict[str, Any]:
    """Return what people see of the app: App Home, the command, the shortcut; unfurled ``domains``, if any."""
    command = {
        "command": SLASH_COMMAND,
        "description": "Look up Zof's runs and results",
        "usage_hint": usage_hint(),
        "should_escape": True,
    }
    shortcut = {
        "name": "Zof: triage",
        "type": "message",
        "callback_id": SHORTCUT_CALLBACK_ID,
        "description": "Work on the failure of this alert",
    }
    return {
        "app_home": {
            "home_tab_enabled": True,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": False,
        },
        "bot_user": {"display_name": "zofbot", "always_online": True},
        "slash_commands": [command | request_url],
        "shortcuts": [shortcut],
        **({"unfurl_domains": list(domains)} if domains else {}),
    }


def render_manifest(url: str = "", domains: Sequence[str] = (), *, emails: bool = False) -> str:
    """Return the manifest as YAML for Slack's form for a new app."""
    import yaml  # noqa: PLC0415  (only this command needs it)

    return yaml.safe_dump(build_manifest(url, domains, emails=emails), sort_keys=False, allow_unicode=True, width=120)

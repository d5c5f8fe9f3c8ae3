"""Calls that show views: App Home and modals."""

from __future__ import annotations

from typing import Any

from zofbot.slack import responses
from zofbot.slack.calls import SlackCalls


class ViewCalls:
    """Publishes, opens and updates views."""

    def __init__(self, calls: SlackCalls) -> None:
        self._calls = calls

    async def publish_home(self, user: str, view: dict[str, Any], version: str = "") -> str:
        """Publish ``view`` as the App Home of ``user``, and return Slack's hash of it.

        With ``version``, only if the current view has that hash, so that an older view does not overwrite a newer one
        (https://docs.slack.dev/reference/methods/views.publish). Raises SlackError.
        """
        extra = {"hash": version} if version else {}
        reply = await self._calls.call_method(
            "views.publish",
            lambda: self._calls.client.views_publish(user_id=user, view=view, **extra),
            responses.ViewReply,
        )
        return reply.view.hash or ""

    async def open_view(self, trigger: str, view: dict[str, Any]) -> None:
        """Open a modal for the person whose interaction had this ``trigger``, valid 3 seconds. Raises SlackError."""
        await self._calls.call_method(
            "views.open", lambda: self._calls.client.views_open(trigger_id=trigger, view=view)
        )

    async def update_view(self, identifier: str, view: dict[str, Any], version: str = "") -> str:
        """Update a modal, only if its hash is ``version`` unless that is empty; returns the new hash.

        Slack refuses another version with ``hash_conflict`` (https://docs.slack.dev/reference/methods/views.update).
        Raises SlackError.
        """
        extra = {"hash": version} if version else {}
        reply = await self._calls.call_method(
            "views.update",
            lambda: self._calls.client.views_update(view_id=identifier, view=view, **extra),
            responses.ViewReply,
        )
        return reply.view.hash or ""

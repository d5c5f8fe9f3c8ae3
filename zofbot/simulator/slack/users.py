"""Actions of people in Slack's client (type, press, submit, open App Home) and their visible effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zofbot.simulator.blockkit.elements import find_option_problems
from zofbot.simulator.slack import chat_api, client_views, payloads, unfurl_api, views_api
from zofbot.simulator.slack.model import BOT_USER_ID, Channel, PostedMessage, ResponseUrl, SharedLinks, User, View
from zofbot.simulator.slack.response_url import apply_response
from zofbot.simulator.slack.sender import Acknowledgement, EnvelopeType, PayloadSender
from zofbot.simulator.slack.state import SlackRefusal
from zofbot.simulator.world import World

RETRY_DELAYS_SECONDS = (0.05, 0.1, 0.2)
"""Delays before each retry of an event; Slack's are up to five minutes."""


class WorkspaceUsers:
    """The people in the workspace. Actions that Slack's client prevents raise ``ValueError`` with its message.

    Every action returns the bot's acknowledgement, after the client has applied it.
    """

    def __init__(self, world: World, delivery: PayloadSender | None = None) -> None:
        self.slack = world.slack
        self.delivery = delivery or PayloadSender(world.slack, world.clock)

    async def stop(self) -> None:
        """Close the connections to the bot."""
        await self.delivery.stop()

    async def deliver_payload(
        self,
        kind: EnvelopeType,
        payload: Mapping[str, Any],
        *,
        headers: Mapping[str, str | None] | None = None,
        body: bytes | None = None,
    ) -> Acknowledgement:
        """Send an arbitrary payload; ``headers`` and ``body`` replace those of the HTTP request."""
        if headers is None and body is None:
            return await self.delivery.send_payload(kind, payload)
        return await self.delivery.post_payload(kind, payload, headers=headers, body=body)

    # --- typing

    async def type_text(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Acknowledgement:
        """Send a message, or a slash command if the text starts with ``/``."""
        person, place = self._find_user(user), self._find_channel(user, channel)
        if text.startswith("/"):
            return await self._send_command(person, place, text, thread_ts)
        return await self._send_message(person, place, text, thread_ts)

    async def _send_message(self, person: User, place: Channel, text: str, thread_ts: str | None) -> Acknowledgement:
        try:
            start = chat_api.find_parent(self.slack, place, thread_ts)
        except SlackRefusal:
            raise ValueError("That thread is gone.") from None
        said = payloads.escape_typed(self.slack, text)
        message = self.slack.add_message(
            PostedMessage(place.id, self.slack.next_timestamp(), person.id, said, thread_ts=start)
        )
        kind, subscription = ("message", "message.im") if place.im_with else ("app_mention", "app_mention")
        is_addressed = bool(place.im_with) or (f"<@{BOT_USER_ID}>" in said and BOT_USER_ID in place.members)
        outcome = Acknowledgement(200)
        if is_addressed and subscription in self.slack.events:
            outcome = await self._send_event(payloads.message_event(message, kind, place), place)
        linked = await self._report_links(
            person, SharedLinks("conversations_history", place.id, message.ts, []), said, place
        )
        return outcome if not outcome.is_accepted else linked

    async def draft_message(self, user: str, text: str) -> Acknowledgement:
        """Write a draft; the bot is notified of its links, without the channel."""
        person, identifier = self._find_user(user), self.slack.new_id(f"{user}-")
        said = payloads.escape_typed(self.slack, text)
        return await self._report_links(
            person, SharedLinks("composer", "COMPOSER", identifier, []), said, None, identifier
        )

    async def _report_links(
        self, person: User, shared: SharedLinks, text: str, place: Channel | None, identifier: str = ""
    ) -> Acknowledgement:
        """Send ``link_shared`` for links of the bot's domains, if it subscribed to that event."""
        shared.links = unfurl_api.find_links(self.slack, text)
        is_subscribed = "link_shared" in self.slack.events and "links:read" in self.slack.scopes
        if not shared.links or not is_subscribed:
            return Acknowledgement(200)
        name = identifier or self.slack.new_id(f"{shared.channel}.{shared.ts}.")
        self.slack.links[name] = shared
        outcome = await self._send_event(payloads.links_event(self.slack, person.id, name), place)
        shared.acknowledged = outcome.is_accepted
        return outcome

    async def _send_event(self, body: dict[str, Any], place: Channel | None = None) -> Acknowledgement:
        return await self.delivery.send_event(payloads.event_payload(self.slack, body, place), RETRY_DELAYS_SECONDS)

    async def _send_command(self, person: User, place: Channel, text: str, thread_ts: str | None) -> Acknowledgement:
        name = text.split(maxsplit=1)[0]
        if name not in [known["command"] for known in self.slack.commands]:
            raise ValueError(f"{name} is not a valid command.")
        if thread_ts:
            raise ValueError(f"{name} is not supported in threads. Sorry!")
        response_url = self.slack.new_response_url(person.id, place.id)
        outcome = await self.delivery.send_payload(
            "slash_commands", payloads.command_payload(self.slack, person, place, text, response_url)
        )
        self._show_command_answer(person, text, self._find_response_url(response_url), outcome)
        return outcome

    def _show_command_answer(self, person: User, text: str, hook: ResponseUrl, outcome: Acknowledgement) -> None:
        """Show the acknowledgement's message; if it is invalid, the client reports a failure."""
        name = text.split(maxsplit=1)[0]
        body = outcome.body if isinstance(outcome.body, dict) else {"text": outcome.body}
        error = "" if outcome.is_accepted else outcome.error or "dispatch_failed"
        said = any(body.get(part) for part in ("text", "blocks", "attachments"))
        if body.get("response_type") == "in_channel" and outcome.is_accepted:
            self.slack.add_message(
                PostedMessage(
                    hook.channel, self.slack.next_timestamp(), person.id, payloads.escape_typed(self.slack, text)
                )
            )
        if not error and said:
            try:
                apply_response(self.slack, hook, body)
            except SlackRefusal as no:
                error = no.error
        if error:
            self.slack.show_notice(person.id, f'{name} failed with the error "{error}"')

    # --- channels

    async def archive_channel(self, user: str, channel: str, *, archived: bool) -> Acknowledgement:
        """Archive or unarchive a channel; the bot is notified if it subscribed to that event and can see the channel.

        Archiving removes the bot, and unarchiving does not add it again (https://github.com/elastic/connectors/issues/1972,
        https://github.com/slack-go/slack/issues/1066). Believed: it is still told that its private channel is archived.
        """
        person, place = self._find_user(user), self._find_channel(user, channel, reading=True)
        if place.im_with:
            raise ValueError("Direct messages cannot be archived.")
        if place.archived == archived:
            raise ValueError(f"This channel is {'archived already' if archived else 'not archived'}.")
        is_visible = not place.private or BOT_USER_ID in place.members
        place.archived = archived
        if archived:
            place.members.discard(BOT_USER_ID)
        self.slack.changed()
        kind = f"{'group' if place.private else 'channel'}_{'archive' if archived else 'unarchive'}"
        if kind not in self.slack.events or not is_visible:
            return Acknowledgement(200)
        return await self._send_event(
            {"type": kind, "channel": channel, "user": person.id, "event_ts": self.slack.next_timestamp()}
        )

    async def report_change(self, body: dict[str, Any], place: Channel) -> Acknowledgement:
        """Send a channel event to the bot, if it subscribed to it and is a member."""
        self.slack.changed()
        if body["type"] not in self.slack.events or (place.private and BOT_USER_ID not in place.members):
            return Acknowledgement(200)
        return await self._send_event({**body, "event_ts": self.slack.next_timestamp()}, place)

    # --- pressing

    async def press_element(  # noqa: PLR0913  (the element is in a message or in a view)
        self,
        user: str,
        action: dict[str, Any],
        *,
        channel: str = "",
        ts: str = "",
        view_id: str = "",
        values: dict[str, Any] | None = None,
    ) -> Acknowledgement:
        """Press or choose an element in a message (``channel``, ``ts``) or in a modal or Home (``view_id``).

        ``values`` are the current values of the view's fields.
        """
        person = self._find_user(user)
        if view_id:
            client_views.fill_view(self._find_view(person, view_id), values)
        payload = (
            self._view_action(person, view_id, action) if view_id else self._message_action(person, channel, ts, action)
        )
        outcome = await self.delivery.send_payload("interactive", payload)
        if not outcome.is_accepted:
            self.slack.show_notice(
                user, "This app did not respond to your action. Try again, or contact its developer."
            )
        return outcome

    def _message_action(self, person: User, channel: str, ts: str, action: dict[str, Any]) -> dict[str, Any]:
        message = self._find_message(person, channel, ts)
        block, element = client_views.find_element([*message.shown_blocks, *message.replaced_blocks], action)
        done = payloads.action_entry(self.slack, block, element, action)
        response_url = self.slack.new_response_url(person.id, channel, message)
        return payloads.message_action_payload(self.slack, person, message, done, response_url)

    def _find_message(self, person: User, channel: str, ts: str) -> PostedMessage:
        self._find_channel(person.id, channel, reading=True)
        message = self.slack.find_message(channel, ts)
        if message is None or message.only_to not in ("", person.id):
            raise ValueError("That message is gone.")
        return message

    def _view_action(self, person: User, view_id: str, action: dict[str, Any]) -> dict[str, Any]:
        view = self._find_view(person, view_id)
        block, element = client_views.find_element([*view.payload["blocks"], *view.replaced_blocks], action)
        done = payloads.action_entry(self.slack, block, element, action)
        if kept := views_api.element_state(element, action):
            view.values.setdefault(block["block_id"], {})[element["action_id"]] = kept
            self.slack.changed()
        return payloads.view_action_payload(self.slack, person, view, done)

    async def load_options(self, user: str, view_id: str, action_id: str, typed: str = "") -> list[dict[str, Any]]:
        """Open or type into a menu whose options the bot loads; returns the options.

        If the bot answers late or with invalid options, this raises ``ValueError`` with the client's message. Slack
        asks from three characters on, unless the menu sets another minimum.
        """
        person, view = self._find_user(user), self._find_view(self._find_user(user), view_id)
        block, element = client_views.find_element(view.payload["blocks"], {"action_id": action_id})
        if len(typed) < element.get("min_query_length", 3):
            return []
        place = {"block_id": block["block_id"], "action_id": action_id}
        outcome = await self.delivery.send_payload(
            "interactive", payloads.suggestion_payload(self.slack, person, view, place, typed)
        )
        if not outcome.is_accepted or not isinstance(outcome.body, dict) or find_option_problems(outcome.body):
            raise ValueError("Could not load options.")
        groups = outcome.body.get("option_groups") or ()
        return [*(outcome.body.get("options") or ()), *(option for group in groups for option in group["options"])]

    async def use_shortcut(self, user: str, channel: str, ts: str, callback_id: str) -> Acknowledgement:
        """Choose one of the bot's message shortcuts."""
        if callback_id not in [shortcut["callback_id"] for shortcut in self.slack.shortcuts]:
            raise ValueError("There is no such shortcut.")
        person = self._find_user(user)
        message = self._find_message(person, channel, ts)
        response_url = self.slack.new_response_url(user, channel)
        payload = payloads.shortcut_payload(self.slack, person, message, callback_id, response_url)
        outcome = await self.delivery.send_payload("interactive", payload)
        if not outcome.is_accepted:
            self.slack.show_notice(user, "This app did not respond. Try again, or contact its developer.")
        return outcome

    # --- modals and Home

    async def submit_view(self, user: str, view_id: str, values: dict[str, Any] | None = None) -> Acknowledgement:
        """Submit a modal; missing required fields are reported by the client without calling the bot."""
        person, view = self._find_user(user), self._find_view(self._find_user(user), view_id)
        client_views.fill_view(view, values)
        view.errors = client_views.missing_inputs(view) or None
        self.slack.changed()
        if view.errors:
            return Acknowledgement(200)
        outcome = await self.delivery.send_payload("interactive", payloads.submission_payload(self.slack, person, view))
        client_views.apply_submission_answer(self.slack, person, view, outcome)
        return outcome

    async def dismiss_view(self, user: str, view_id: str) -> Acknowledgement:
        """Close a modal; the bot is notified if the modal set ``notify_on_close``."""
        person, view = self._find_user(user), self._find_view(self._find_user(user), view_id)
        clears = bool(view.payload.get("clear_on_close"))
        if clears:
            self.slack.modals[user] = []
        elif view in self.slack.modals.get(user, []):
            self.slack.modals[user].remove(view)
        self.slack.changed()
        if not view.payload.get("notify_on_close"):
            return Acknowledgement(200)
        return await self.delivery.send_payload(
            "interactive", payloads.view_closed_payload(self.slack, person, view, cleared=clears)
        )

    async def open_home(self, user: str) -> Acknowledgement:
        """Open the bot's App Home."""
        person, home = self._find_user(user), self.slack.homes.get(user)
        dm = self.slack.find_dm(person.id)
        if "app_home_opened" not in self.slack.events:
            return Acknowledgement(200)
        shown = {"view": views_api.dump_view(home)} if home else {}
        body = {"type": "app_home_opened", "user": user, "channel": dm.id if dm else "", "tab": "home", **shown}
        return await self._send_event({**body, "event_ts": self.slack.next_timestamp()})

    # --- who and where

    def _find_user(self, user: str) -> User:
        if user not in self.slack.users:
            raise ValueError("There is nobody with that id.")
        self.slack.notices.pop(user, None)
        return self.slack.users[user]

    def _find_channel(self, user: str, channel: str, *, reading: bool = False) -> Channel:
        place = self.slack.channels.get(channel)
        if place is None or user not in place.members:
            raise ValueError("You are not in that channel.")
        if place.archived and not reading:
            raise ValueError("This channel is archived.")
        return place

    def _find_view(self, person: User, view_id: str) -> View:
        view = self.slack.find_view(view_id)
        if view is None or view.user != person.id:
            raise ValueError("That view is closed.")
        return view

    def _find_response_url(self, response_url: str) -> ResponseUrl:
        return self.slack.hooks[response_url.rpartition("/")[2]]

"""What people do in Slack's client: type, press, submit, open App Home; and what the client then shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zofbot.simulator import payloads, posting, unfurling, views
from zofbot.simulator.delivery import Delivery, Kind, Outcome
from zofbot.simulator.elements import loaded
from zofbot.simulator.entities import BOT, Channel, Hook, Message, Shared, User, View
from zofbot.simulator.respond import speak
from zofbot.simulator.workspace import Refused
from zofbot.simulator.world import World

RETRIES = (0.05, 0.1, 0.2)
"""Seconds before each redelivery of an event; Slack waits up to five minutes."""


class People:
    """Everybody in the workspace. What Slack's client would not let them do raises ``ValueError`` with its sentence.

    Every act returns the bot's acknowledgement, after the client has shown what it says.
    """

    def __init__(self, world: World, delivery: Delivery | None = None) -> None:
        self.slack = world.slack
        self.delivery = delivery or Delivery(world.slack, world.clock)

    async def stop(self) -> None:
        """Close the connections to the bot."""
        await self.delivery.stop()

    async def deliver(
        self,
        kind: Kind,
        payload: Mapping[str, Any],
        *,
        headers: Mapping[str, str | None] | None = None,
        body: bytes | None = None,
    ) -> Outcome:
        """Send a payload of any making; ``headers`` and ``body`` spoil an HTTP request and need one."""
        if headers is None and body is None:
            return await self.delivery.send(kind, payload)
        return await self.delivery.post(kind, payload, headers=headers, body=body)

    # --- typing

    async def type(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Outcome:
        """Send a message, or a slash command when the text starts with ``/``."""
        person, place = self._person(user), self._place(user, channel)
        if text.startswith("/"):
            return await self._command(person, place, text, thread_ts)
        return await self._message(person, place, text, thread_ts)

    async def _message(self, person: User, place: Channel, text: str, thread_ts: str | None) -> Outcome:
        try:
            start = posting.parent(self.slack, place, thread_ts)
        except Refused:
            raise ValueError("That thread is gone.") from None
        said = payloads.escaped(self.slack, text)
        message = self.slack.keep(Message(place.id, self.slack.stamp(), person.id, said, thread_ts=start))
        kind, subscription = ("message", "message.im") if place.im_with else ("app_mention", "app_mention")
        heard = bool(place.im_with) or (f"<@{BOT}>" in said and BOT in place.members)
        outcome = Outcome(200)
        if heard and subscription in self.slack.events:
            outcome = await self._event(payloads.said(message, kind, place), place)
        linked = await self._links(person, Shared("conversations_history", place.id, message.ts, []), said, place)
        return outcome if not outcome.ok else linked

    async def draft(self, user: str, text: str) -> Outcome:
        """Write a message without sending it; the bot hears of links in it, and not for which channel it is."""
        person, identifier = self._person(user), self.slack.new_id(f"{user}-")
        said = payloads.escaped(self.slack, text)
        return await self._links(person, Shared("composer", "COMPOSER", identifier, []), said, None, identifier)

    async def _links(
        self, person: User, shared: Shared, text: str, place: Channel | None, identifier: str = ""
    ) -> Outcome:
        """Tell the bot of links of its domains, if it asked to be told."""
        shared.links = unfurling.links(self.slack, text)
        told = "link_shared" in self.slack.events and "links:read" in self.slack.scopes
        if not shared.links or not told:
            return Outcome(200)
        name = identifier or self.slack.new_id(f"{shared.channel}.{shared.ts}.")
        self.slack.links[name] = shared
        outcome = await self._event(payloads.links(self.slack, person.id, name), place)
        shared.acknowledged = outcome.ok
        return outcome

    async def _event(self, body: dict[str, Any], place: Channel | None = None) -> Outcome:
        return await self.delivery.send_event(payloads.event(self.slack, body, place), RETRIES)

    async def _command(self, person: User, place: Channel, text: str, thread_ts: str | None) -> Outcome:
        name = text.split(maxsplit=1)[0]
        if name not in [known["command"] for known in self.slack.commands]:
            raise ValueError(f"{name} is not a valid command.")
        if thread_ts:
            raise ValueError(f"{name} is not supported in threads. Sorry!")
        response_url = self.slack.new_hook(person.id, place.id)
        outcome = await self.delivery.send(
            "slash_commands", payloads.command(self.slack, person, place, text, response_url)
        )
        self._command_answered(person, text, self._hook(response_url), outcome)
        return outcome

    def _command_answered(self, person: User, text: str, hook: Hook, outcome: Outcome) -> None:
        """Show the acknowledgement; one that Slack cannot show is not shown, and the client says that it failed."""
        name = text.split(maxsplit=1)[0]
        body = outcome.body if isinstance(outcome.body, dict) else {"text": outcome.body}
        error = "" if outcome.ok else outcome.error or "dispatch_failed"
        said = any(body.get(part) for part in ("text", "blocks", "attachments"))
        if body.get("response_type") == "in_channel" and outcome.ok:
            self.slack.keep(Message(hook.channel, self.slack.stamp(), person.id, payloads.escaped(self.slack, text)))
        if not error and said:
            try:
                speak(self.slack, hook, body)
            except Refused as no:
                error = no.error
        if error:
            self.slack.notify(person.id, f'{name} failed with the error "{error}"')

    # --- keeping house

    async def archive(self, user: str, channel: str, *, archived: bool) -> Outcome:
        """Archive a channel, or open it again; the bot hears of it when it asked to."""
        person, place = self._person(user), self._place(user, channel, reading=True)
        if place.im_with:
            raise ValueError("Direct messages cannot be archived.")
        if place.archived == archived:
            raise ValueError(f"This channel is {'archived already' if archived else 'not archived'}.")
        place.archived = archived
        self.slack.changed()
        kind = f"{'group' if place.private else 'channel'}_{'archive' if archived else 'unarchive'}"
        if kind not in self.slack.events:
            return Outcome(200)
        return await self._event({"type": kind, "channel": channel, "user": person.id, "event_ts": self.slack.stamp()})

    async def change(self, body: dict[str, Any], place: Channel) -> Outcome:
        """Tell the bot what became of a channel, if it asked to be told and is in it."""
        self.slack.changed()
        if body["type"] not in self.slack.events or (place.private and BOT not in place.members):
            return Outcome(200)
        return await self._event({**body, "event_ts": self.slack.stamp()}, place)

    # --- pressing

    async def press(  # noqa: PLR0913  (a press is in a message or in a view)
        self,
        user: str,
        action: dict[str, Any],
        *,
        channel: str = "",
        ts: str = "",
        view_id: str = "",
        values: dict[str, Any] | None = None,
    ) -> Outcome:
        """Press or choose something: in a message (``channel``, ``ts``) or in a modal or Home (``view_id``).

        ``values`` are what the fields of the view hold by then.
        """
        person = self._person(user)
        if view_id:
            _fill(self._view(person, view_id), values)
        payload = self._in_view(person, view_id, action) if view_id else self._in_message(person, channel, ts, action)
        outcome = await self.delivery.send("interactive", payload)
        if not outcome.ok:
            self.slack.notify(user, "This app did not respond to your action. Try again, or contact its developer.")
        return outcome

    def _in_message(self, person: User, channel: str, ts: str, action: dict[str, Any]) -> dict[str, Any]:
        message = self._message_seen(person, channel, ts)
        inside = [block for attachment in message.attachments for block in attachment.get("blocks", [])]
        block, element = _element([*message.blocks, *inside], action)
        done = payloads.action(self.slack, block, element, action)
        response_url = self.slack.new_hook(person.id, channel, message)
        return payloads.message_press(self.slack, person, message, done, response_url)

    def _message_seen(self, person: User, channel: str, ts: str) -> Message:
        self._place(person.id, channel, reading=True)
        message = self.slack.find(channel, ts)
        if message is None or message.only_to not in ("", person.id):
            raise ValueError("That message is gone.")
        return message

    def _in_view(self, person: User, view_id: str, action: dict[str, Any]) -> dict[str, Any]:
        view = self._view(person, view_id)
        block, element = _element(view.payload["blocks"], action)
        done = payloads.action(self.slack, block, element, action)
        if kept := views.held(element, action):
            view.values.setdefault(block["block_id"], {})[element["action_id"]] = kept
            self.slack.changed()
        return payloads.view_press(self.slack, person, view, done)

    async def suggest(self, user: str, view_id: str, action_id: str, typed: str = "") -> list[dict[str, Any]]:
        """Open a menu whose options the bot loads, or type into it; gives them as they are offered.

        The menu of a bot that answers late or wrongly says that it could not load, which raises ``ValueError``. Slack
        asks from three characters on unless the menu says otherwise.
        """
        person, view = self._person(user), self._view(self._person(user), view_id)
        block, element = _element(view.payload["blocks"], {"action_id": action_id})
        if len(typed) < element.get("min_query_length", 3):
            return []
        place = {"block_id": block["block_id"], "action_id": action_id}
        outcome = await self.delivery.send("interactive", payloads.suggestion(self.slack, person, view, place, typed))
        if not outcome.ok or not isinstance(outcome.body, dict) or loaded(outcome.body):
            raise ValueError("Could not load options.")
        groups = outcome.body.get("option_groups") or ()
        return [*(outcome.body.get("options") or ()), *(option for group in groups for option in group["options"])]

    async def shortcut(self, user: str, channel: str, ts: str, callback_id: str) -> Outcome:
        """Choose one of the bot's message shortcuts."""
        if callback_id not in [one["callback_id"] for one in self.slack.shortcuts]:
            raise ValueError("There is no such shortcut.")
        person = self._person(user)
        message = self._message_seen(person, channel, ts)
        response_url = self.slack.new_hook(user, channel)
        payload = payloads.shortcut(self.slack, person, message, callback_id, response_url)
        outcome = await self.delivery.send("interactive", payload)
        if not outcome.ok:
            self.slack.notify(user, "This app did not respond. Try again, or contact its developer.")
        return outcome

    # --- modals and Home

    async def submit(self, user: str, view_id: str, values: dict[str, Any] | None = None) -> Outcome:
        """Submit a modal; what a required field lacks is said by the client, without asking the bot."""
        person, view = self._person(user), self._view(self._person(user), view_id)
        _fill(view, values)
        view.errors = _missing(view) or None
        self.slack.changed()
        if view.errors:
            return Outcome(200)
        outcome = await self.delivery.send("interactive", payloads.submission(self.slack, person, view))
        self._submitted(person, view, outcome)
        return outcome

    def _submitted(self, person: User, view: View, outcome: Outcome) -> None:
        try:
            if not outcome.ok:
                raise Refused(outcome.error or "dispatch_failed")
            self._obey(person, view, outcome.body if isinstance(outcome.body, dict) else {})
        except Refused:
            self.slack.notify(person.id, "We had some trouble connecting. Try again?")
        self.slack.changed()

    def _obey(self, person: User, view: View, body: dict[str, Any]) -> None:
        """Do what the acknowledgement of a submission says; raises :class:`Refused` for what Slack would not do."""
        stack = self.slack.modals.get(person.id, [])
        match body.get("response_action"):
            case "errors":
                inputs = {block["block_id"] for block in view.payload["blocks"] if block["type"] == "input"}
                if not body.get("errors") or not set(body["errors"]) <= inputs:
                    raise Refused("invalid_errors")
                view.errors = dict(body["errors"])
            case "clear":
                stack.clear()
            case "update":
                views.replace(self.slack, view, views.checked(self.slack, body.get("view"), "modal"))
            case "push":
                views.stack(self.slack, person.id, views.checked(self.slack, body.get("view"), "modal"))
            case None if view in stack:
                stack.remove(view)

    async def dismiss(self, user: str, view_id: str) -> Outcome:
        """Close a modal; the bot hears of it when the modal asked for that."""
        person, view = self._person(user), self._view(self._person(user), view_id)
        clears = bool(view.payload.get("clear_on_close"))
        if clears:
            self.slack.modals[user] = []
        elif view in self.slack.modals.get(user, []):
            self.slack.modals[user].remove(view)
        self.slack.changed()
        if not view.payload.get("notify_on_close"):
            return Outcome(200)
        return await self.delivery.send("interactive", payloads.closing(self.slack, person, view, cleared=clears))

    async def open_home(self, user: str) -> Outcome:
        """Open the bot's App Home."""
        person, home = self._person(user), self.slack.homes.get(user)
        dm = self.slack.dm(person.id)
        if "app_home_opened" not in self.slack.events:
            return Outcome(200)
        shown = {"view": views.shown(home)} if home else {}
        body = {"type": "app_home_opened", "user": user, "channel": dm.id if dm else "", "tab": "home", **shown}
        return await self._event({**body, "event_ts": self.slack.stamp()})

    # --- who and where

    def _person(self, user: str) -> User:
        if user not in self.slack.users:
            raise ValueError("There is nobody with that id.")
        self.slack.notices.pop(user, None)
        return self.slack.users[user]

    def _place(self, user: str, channel: str, *, reading: bool = False) -> Channel:
        place = self.slack.channels.get(channel)
        if place is None or user not in place.members:
            raise ValueError("You are not in that channel.")
        if place.archived and not reading:
            raise ValueError("This channel is archived.")
        return place

    def _view(self, person: User, view_id: str) -> View:
        view = self.slack.view(view_id)
        if view is None or view.user != person.id:
            raise ValueError("That view is closed.")
        return view

    def _hook(self, response_url: str) -> Hook:
        return self.slack.hooks[response_url.rpartition("/")[2]]


def _element(blocks: list[dict[str, Any]], action: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The block and element an action names; the block may be left out when the action stands once."""
    wanted = action.get("action_id"), action.get("block_id")
    for block in blocks:
        for element in posting.pressable(block):
            if element["action_id"] == wanted[0] and wanted[1] in (None, block["block_id"]):
                return block, element
    raise ValueError("There is nothing like that to press.")


def _fill(view: View, values: dict[str, Any] | None) -> None:
    for block_id, actions in (values or {}).items():
        view.values.setdefault(block_id, {}).update(actions)


def _missing(view: View) -> dict[str, str]:
    """Required inputs that are empty."""
    values = views.state(view)
    missing = {}
    for block in view.payload["blocks"]:
        if block["type"] == "input" and not block.get("optional"):
            state = values[block["block_id"]][block["element"]["action_id"]]
            if not any(value for name, value in state.items() if name != "type"):
                missing[block["block_id"]] = "Please complete this required field."
    return missing

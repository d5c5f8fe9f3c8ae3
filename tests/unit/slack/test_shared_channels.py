"""The edit that adds a message's details once Slack says who reads its channel."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.virtual_time import test_clock
from zofbot.notifications import payloads
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.notifications.payload_parts import CaseSummary
from zofbot.notifications.thread_payloads import ResultPayload
from zofbot.slack.directory import Readers
from zofbot.slack.shared_channels import SharedChannelFilter

STORM, RESULT = "storm:res_1:failed:C1", "result:res_1:failed:C1"


@pytest.mark.parametrize(
    ("sent", "edited", "is_reply"),
    [
        ({"kind": "reply", "key": "again:res_1:failed:C1", "root": STORM}, "again:res_1:failed:C1", True),
        ({"kind": "edit", "key": "result-edit:res_1:failed:C1", "root": RESULT, "edits_reply": True}, RESULT, True),
        ({"kind": "edit", "key": "storm-edit:res_1:failed:C1", "root": STORM}, STORM, False),
        ({"kind": "root", "key": STORM}, STORM, False),
    ],
)
async def test_an_edit_that_adds_details_says_whether_it_edits_a_reply(
    sent: dict[str, Any], edited: str, is_reply: bool
) -> None:
    edits: list[Notification] = []

    async def find_readers(_: str) -> Readers:
        return Readers.UNSEEN

    async def commit_edit(edit: Notification) -> None:
        edits.append(edit)

    body = payloads.dump_payload(ResultPayload(case=CaseSummary(id="res_1", title="Cart", why="boom"), again=True))
    notification = Notification.model_validate({"channel": "C1", "body": body, "happened": 1.0, **sent})
    await SharedChannelFilter(find_readers, commit_edit, test_clock())(Claim(notification, 1, 1.0))
    assert [(edit.kind, edit.root, edit.edits_reply) for edit in edits] == [(NotificationKind.EDIT, edited, is_reply)]

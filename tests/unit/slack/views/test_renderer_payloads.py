"""Each type of payload has one tag and one renderer, and what earlier versions stored is drawn as it was."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from zofbot.notifications import payloads
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.slack.views.renderer import RENDERERS, render_notification


def test_every_payload_has_one_renderer_and_a_tag_of_its_own() -> None:
    kinds = get_args(payloads.Payload)
    assert set(RENDERERS) == set(kinds)
    assert len({kind.model_fields["card"].default for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"card": "line", "said": "a & b", "channel": "C0QA"}, "<#C0QA>: a &amp; b"),
        ({"card": "line", "said": "hello"}, "hello"),
        ({"card": "digest", "runs": 2, "passed": 1, "failed": 1}, "Daily digest: 2 runs, 50% passed"),
        (
            {"card": "catchup", "since": 1.0, "failures": [{"title": "Cart", "at": 2.0}]},
            "Quiet hours ended: 1 failure (1 still open)",
        ),
        ({"card": "trial", "alert": {"card": "run", "run": {"id": "test"}}, "by": "Ana"}, "Requested by Ana"),
        ({"card": "trial", "alert": {"card": "hologram"}, "by": "Ana"}, "Requested by Ana"),
    ],
)
def test_what_is_drawn_from_its_record_alone_never_says_that_it_is_late(stored: dict[str, Any], said: str) -> None:
    note = Notification(key="k", kind=NotificationKind.ROOT, channel="C1", body=stored, happened=1.0)
    message = render_notification(Claim(note, 1, 1.0), 500.0)
    assert said in message.text
    assert payloads.dump_payload(payloads.load_payload(stored)) == stored
    if stored["card"] != "trial":
        assert "Delivered late" not in str(render_notification(Claim(note, 1, 1.0), 1e6).message_fields())

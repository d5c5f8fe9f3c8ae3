"""The escalation policy as ``/zof oncall`` shows it: what is too long ends with a whole mention and a count."""

from __future__ import annotations

import re

import pytest

from zofbot.slack.views.oncall import GroupSummary, OnCallStep, on_call_card

SECTION_CHARS = 3000
"""Maximum length of a section's text (https://docs.slack.dev/reference/block-kit/blocks/section-block)."""


def step_text(step: OnCallStep) -> str:
    blocks = on_call_card([step]).blocks
    [line] = [block["text"]["text"] for block in blocks if block["type"] == "section" and "⏱️" in block["text"]["text"]]
    return str(line)


def group_step(groups: int, name: str, people: int = 20) -> OnCallStep:
    mention = tuple(f"S0GROUP{number}" for number in range(groups))
    return OnCallStep(
        900, mention, {group: GroupSummary(people, (name,) * min(people, 20)) for group in mention}, "env:qa"
    )


@pytest.mark.parametrize("step", [
    group_step(40, "Somebody With A Name"), group_step(6, "Somebody With A Name"), group_step(40, "&" * 80),
    OnCallStep(900, tuple(f"U0PERSON{number:03}" for number in range(400)), {}, "env:qa"),
])  # fmt: skip
def test_a_long_step_fits_and_counts_whom_it_leaves_out(step: OnCallStep) -> None:
    shown = step_text(step)
    assert len(shown) <= SECTION_CHARS
    assert shown.endswith(" · env:qa")
    named = re.findall(r"<(?:@|!subteam\^)(\w+)>", shown)
    assert shown.count("<") == shown.count(">") == len(named)
    assert named == list(step.mention[: len(named)])
    left = len(step.mention) - len(named)
    assert (f" and {left} more · env:qa" in shown) == bool(left)


def test_a_short_step_names_everybody() -> None:
    step = OnCallStep(900, ("S0AA", "U0ANA", "S0BB"), {"S0AA": GroupSummary(25, ("Ana", "Ben"))}, "env:qa")
    assert step_text(step) == (
        "⏱️ after 15 min: <!subteam^S0AA> (Ana, Ben and 23 more), <@U0ANA>, <!subteam^S0BB> (members unknown) · env:qa"
    )

"""The period of a list of causes, as typed."""

from __future__ import annotations

import pytest

from zofbot.domain.command_parser import parse_command
from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import BadInput
from zofbot.listeners.causes import parse_period


@pytest.mark.parametrize(("typed", "seconds"), [("", 7 * 86400), ("24h", 86400), ("1m", 60), ("38d", 38 * 86400)])
def test_a_period_is_a_duration_and_7_days_if_nothing_is_typed(typed: str, seconds: int) -> None:
    assert parse_period(typed) == seconds


@pytest.mark.parametrize("typed", ["yesterday", "59s", "39d", "0"])
def test_another_period_is_refused_with_a_command_that_works(typed: str) -> None:
    with pytest.raises(BadInput, match="Failures are kept for 38 days") as refused:
        parse_period(typed)
    command = parse_command(refused.value.example.removeprefix(SLASH_COMMAND))
    assert (command.verb, parse_period(command.about)) == ("causes", 7 * 86400)

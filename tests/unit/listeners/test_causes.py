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


@pytest.mark.parametrize("typed", ["59s", "39d"])
def test_another_period_is_refused_with_a_command_that_works(typed: str) -> None:
    with pytest.raises(BadInput, match="Failures are kept for 38 days") as refused:
        parse_period(typed)
    assert_example_works(refused.value)


@pytest.mark.parametrize("typed", ["yesterday", "0", "`a` <@U0BEN>"])
def test_what_is_no_duration_is_called_none(typed: str) -> None:
    with pytest.raises(BadInput, match="isn't a duration") as refused:
        parse_period(typed)
    assert refused.value.next_step == "Name a time from `1m` to `38d`."
    assert_example_works(refused.value)


def assert_example_works(error: BadInput) -> None:
    command = parse_command(error.example.removeprefix(SLASH_COMMAND))
    assert (command.verb, parse_period(command.about)) == ("causes", 7 * 86400)

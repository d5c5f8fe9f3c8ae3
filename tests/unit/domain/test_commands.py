"""What people type after ``/zof``, and what they get when they mistype it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.command_parser import ParsedCommand, parse_command
from zofbot.domain.commands import VERBS, usage_hint
from zofbot.domain.errors import BadInput
from zofbot.domain.text import read_input


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("", ParsedCommand("help")),
        ("  ", ParsedCommand("help")),
        ("help", ParsedCommand("help")),
        ("help runs", ParsedCommand("help", about="runs")),
        ("result res_1", ParsedCommand("result", id="res_1")),
        ("RESULT res_1", ParsedCommand("result", id="res_1")),
        ("res_1", ParsedCommand("result", id="res_1")),
        ("7f3a-9", ParsedCommand("result", id="7f3a-9")),
        ("res_1 share", ParsedCommand("result", id="res_1", share=True)),
        ("result res_1 share", ParsedCommand("result", id="res_1", share=True)),
        ("result `res_1`", ParsedCommand("result", id="res_1")),
        ("result “res_1”,", ParsedCommand("result", id="res_1")),
        ("run run_1", ParsedCommand("run", id="run_1")),
        ("run_1", ParsedCommand("run", id="run_1")),
        ("runs", ParsedCommand("runs")),
        (
            "runs status:failed project:shop env:prod",
            ParsedCommand("runs", filters="status:failed project:shop env:prod"),
        ),
        ("unsubscribe #2", ParsedCommand("unsubscribe", about="2")),
        ("unsubscribe ALL", ParsedCommand("unsubscribe", about="all")),
        ("trace Request ID: `req_1`", ParsedCommand("trace", id="req_1")),
    ],
)
def test_what_is_typed_is_understood(typed: str, understood: ParsedCommand) -> None:
    assert parse_command(read_input(typed)) == understood


@pytest.mark.parametrize(
    ("typed", "says", "example"),
    [
        ("resutl res_1", "Did you mean `/zof result res_1`?", "/zof result res_1"),
        ("hlep", "Did you mean `/zof help`?", "/zof help"),
        ("help rnus", "Did you mean `/zof help runs`?", "/zof help runs"),
        ("result", "Copy it from Zof", "/zof result res_4821"),
        ("run", "Copy it from Zof", "/zof run run_1001"),
        ("result ../secrets", "IDs have only letters", "/zof result res_4821"),
        ("result " + "x" * 129, "IDs have only letters", "/zof result res_4821"),
        ("result résumé", "IDs have only letters", "/zof result res_4821"),
        ("result res_1 shaer", "Only `share` can follow the ID", "/zof result res_1"),
        ("run run_1 share", "Nothing can follow the ID", "/zof run run_1"),
        ("unsubscribe", "lists them with numbers", "/zof unsubscribe 1"),
        ("unsubscribe 0", "lists them with numbers", "/zof unsubscribe 1"),
        ("unsubscribe " + "1" * 5000, "lists them with numbers", "/zof unsubscribe 1"),
        ("unsubscribe 1 2", "lists them with numbers", "/zof unsubscribe 1"),
        ("trace", "Copy the request ID", "/zof trace ref_0f3a9c5e21"),
        ("trace req_1 req_2", "Copy the request ID", "/zof trace ref_0f3a9c5e21"),
        ("what is this", "`/zof help` lists commands.", "/zof help"),
    ],
)
def test_a_mistake_gets_a_hint_and_an_example_to_copy(typed: str, says: str, example: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_command(typed)
    assert says in caught.value.next_step
    assert caught.value.example == example


@given(st.text(max_size=300))
def test_anything_typed_is_understood_or_explained(typed: str) -> None:
    understood, mistake = None, None
    try:
        understood = parse_command(typed)
    except BadInput as error:
        mistake = error
    if understood:
        assert understood.verb in VERBS
    if mistake:
        assert mistake.sentence
        assert mistake.next_step
        assert mistake.example.startswith("/zof ")


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_every_example_works_when_copied(verb: object) -> None:
    assert parse_command(verb.example).verb == verb.name  # type: ignore[attr-defined]  # pytest hands it over untyped


@pytest.mark.parametrize("word", ["-h", "--help", "--HELP", "?", "help"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_asked_for_help(verb: str, word: str) -> None:
    assert parse_command(f"{verb} {word}") == ParsedCommand("help", about=verb)


@pytest.mark.parametrize("filters", ["project:help", "help 2h", "project:checkout help"])
def test_help_is_only_the_single_word(filters: str) -> None:
    assert parse_command(f"mute {filters}") == ParsedCommand("mute", filters=filters)


def test_the_hint_fits_into_slack() -> None:
    assert len(usage_hint()) <= 1000

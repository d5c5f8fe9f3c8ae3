"""The owners file: whom cases belong to, and what is said of a wrong file."""

from __future__ import annotations

from pathlib import Path

import pytest

from zofbot.config.settings import load_settings
from zofbot.domain.errors import SettingsError
from zofbot.domain.extra_fields import values_of
from zofbot.zof.parsing import parse_result, parse_run

OWNERS = """\
# who owns what
*                  @qa
checkout/          @acme/checkout-team  # a team of the code host
checkout/Voucher\\ can*  ana@acme.example ben@acme.example
*login*            @identity
"""


def write_file(folder: Path, content: str | bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "OWNERS"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv("ZOFBOT_OWNERS_FILE", str(path))


def test_the_last_line_that_matches_project_and_case_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, OWNERS, monkeypatch)
    find_owners = load_settings().extra_fields.find_owners
    assert find_owners(("search", "proj_2"), "Ranking") == ("@qa",)
    assert find_owners(("checkout",), "Cart total") == ("@acme/checkout-team",)
    assert find_owners(("checkout",), "Voucher can be removed") == ("ana@acme.example", "ben@acme.example")
    assert find_owners(("checkout",), "test_login[chrome]") == ("@identity",)
    assert find_owners((), "odd ]( case") == ("@qa",)


def test_a_byte_order_mark_is_no_part_of_the_first_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, "checkout/ @ana".encode("utf-8-sig"), monkeypatch)
    assert load_settings().extra_fields.find_owners(("checkout",), "Cart total") == ("@ana",)


def test_results_get_them_from_their_own_project_or_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, OWNERS, monkeypatch)
    fields = load_settings().extra_fields
    run = parse_run(
        {"id": "run_1", "project_name": "checkout", "results": [{"id": "res_1", "name": "Cart", "owner": "zed"}]},
        extra_fields=fields,
    )
    assert values_of((run.results or ())[0].extras, "owner") == ("@acme/checkout-team",)
    assert values_of(parse_result({"id": "res_2", "name": "Cart", "owner": "zed"}).extras, "owner") == ("zed",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("checkout/ checkout-team", "line 1 of "),
        ("# fine\n[a-z @ana", "line 2 of "),
        (b"\xff\xfe", "is not text in UTF-8"),
        (b"# " + "é".encode() * 500_000, "is larger than 1 MB"),  # read to the middle of a character
    ],
)
def test_a_wrong_file_names_the_setting_and_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | bytes, said: str
) -> None:
    write_file(tmp_path, content, monkeypatch)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "ZOFBOT_OWNERS_FILE is wrong: " in str(caught.value)
    assert said in str(caught.value)


def test_a_missing_file_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOFBOT_OWNERS_FILE", "/nowhere/OWNERS")
    with pytest.raises(SettingsError, match=r"ZOFBOT_OWNERS_FILE is wrong: /nowhere/OWNERS cannot be read: No such"):
        load_settings()

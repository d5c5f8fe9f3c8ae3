"""What ``--json`` prints is redacted and cleaned, names of fields included, and stays JSON."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.cli.printing import clean_data, print_json
from zofbot.domain.model import Result, Run
from zofbot.domain.redaction import MASK, is_secret_name
from zofbot.observability.trace_model import Trace, TraceStep
from zofbot.store import audit
from zofbot.store.records import OutboxRecord

SECRET = "hunter2"
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(DATA)
def test_whatever_is_printed_is_json_without_control_characters(data: Any) -> None:
    shown = json.dumps(clean_data(data), ensure_ascii=False)
    assert not [
        letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cs") or "\u202a" <= letter <= "\u202e"
    ]
    json.loads(shown)


def test_secrets_go_wherever_they_stand() -> None:
    known = {
        "failure": f"login failed: password={SECRET}",
        "details": {"token": SECRET, "note": f'{{"api_key": "{SECRET}"}}'},
        f"password={SECRET}": ["-u", f"curl -u ana:{SECRET}"],
        "empty": {"token": ""},
    }
    shown = clean_data(known)
    assert SECRET not in json.dumps(shown)
    assert shown["details"]["token"] == MASK
    assert shown["empty"] == {"token": ""}


def test_it_is_printed_as_people_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"title": "می\u200cخواهم \x9b31m\u202eabc", "n": 1, "on": None}, indent=None)
    assert capsys.readouterr().out == '{"title": "می\u200cخواهم abc", "n": 1, "on": null}\n'


def test_no_field_of_ours_is_taken_for_a_secret() -> None:
    models = (Result, Run, audit.AuditRecord, Trace, TraceStep)
    names = [name for model in models for name in model.model_fields] + list(OutboxRecord.__dataclass_fields__)
    assert [name for name in names if is_secret_name(name)] == []

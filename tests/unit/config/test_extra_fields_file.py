"""The file of ``ZOF_EXTRA_FIELDS``: what it may hold, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zofbot.config.settings import load_settings
from zofbot.domain.errors import SettingsError
from zofbot.domain.extra_fields import DEFAULT_EXTRA_FIELDS, FieldType


def write_file(folder: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "fields.yml"
    path.write_text(content, encoding="utf-8")
    monkeypatch.setenv("ZOF_EXTRA_FIELDS", str(path))


def test_a_file_replaces_known_fields_and_adds_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().extra_fields == DEFAULT_EXTRA_FIELDS
    spec = {"commit": {"path": "build.rev"}, "heat map": {"path": "maps.heat", "type": "image"}}
    write_file(tmp_path, json.dumps(spec), monkeypatch)
    fields = {field.label: field for field in load_settings().extra_fields.fields}
    assert fields["commit"].paths == (("build", "rev"),)
    assert fields["commit"].type is FieldType.TEXT
    assert fields["heat map"].type is FieldType.IMAGE
    assert len(fields) == len(DEFAULT_EXTRA_FIELDS.fields) + 1


@pytest.mark.parametrize("content", ["commit: {path: build.rev}", '{"commit": {"path": "build.rev"}}'])
def test_a_byte_order_mark_is_no_part_of_the_first_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    write_file(tmp_path, "\ufeff" + content, monkeypatch)
    fields = {field.label: field for field in load_settings().extra_fields.fields}
    assert fields["commit"].paths == (("build", "rev"),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("commit: [", "neither YAML nor JSON"),
        ("- commit", "must hold labels"),
        ("commit: git.sha", "must have a path and a type"),
        ("commit: {path: 'git..sha'}", "path of `commit`"),
        ("commit: {path: git.sha, type: colour}", "type of `commit` must be one of text, link, image, person"),
        ("commit: {path: git.sha, kind: text}", "must have a path and a type"),
        ("'<b>': {path: git.sha}", "is no label"),
        ("\n".join(f"label {n}: {{path: git.sha}}" for n in range(200)), "has more than "),
    ],
)
def test_a_wrong_file_names_the_setting_and_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, said: str
) -> None:
    write_file(tmp_path, content, monkeypatch)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "ZOF_EXTRA_FIELDS is wrong: " in str(caught.value)
    assert said in str(caught.value)


def test_a_missing_file_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOF_EXTRA_FIELDS", "/nowhere/fields.yml")
    with pytest.raises(SettingsError, match=r"ZOF_EXTRA_FIELDS is wrong: /nowhere/fields.yml cannot be read: No such"):
        load_settings()

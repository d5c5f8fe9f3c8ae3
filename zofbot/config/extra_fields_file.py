"""Read the file of ``ZOF_EXTRA_FIELDS``, in YAML or JSON: ``{label: {path: "dotted.path", type: text}}``."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from zofbot.domain.extra_fields import (
    DEFAULT_EXTRA_FIELDS,
    KNOWN_FIELDS,
    ExtraField,
    ExtraFields,
    FieldType,
    parse_path,
)

MAX_FILE_BYTES = 100_000
MAX_LABELS = 30
_LABEL = re.compile(r"[A-Za-z][\w -]{0,29}")
_PATH = re.compile(r"[\w-]{1,60}(?:\.[\w-]{1,60}){0,9}")
_KNOWN_TYPES = {field.label: field.type for field in KNOWN_FIELDS}


@lru_cache(maxsize=8)
def load_extra_fields(path: str) -> ExtraFields:
    """Return the known fields, with those of the file at ``path``, if any, in place of them or added.

    Raises ValueError with the second half of a sentence.
    """
    if not path:
        return DEFAULT_EXTRA_FIELDS
    labels = _read_mapping(path)
    if len(labels) > MAX_LABELS:
        raise ValueError(f"{path} has more than {MAX_LABELS} labels")
    return ExtraFields.from_fields((*KNOWN_FIELDS, *(_read_field(label, spec) for label, spec in labels.items())))


def _read_mapping(path: str) -> dict[object, object]:
    import yaml  # noqa: PLC0415  (importing it takes as long as reading all settings)

    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        read = yaml.safe_load(content.decode("utf-8")) if len(content) <= MAX_FILE_BYTES else None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError):
        raise ValueError(f"{path} is neither YAML nor JSON") from None
    if not isinstance(read, dict):
        raise ValueError(f"{path} must hold labels, such as `commit: {{path: git.sha}}`, in less than 100 KB")
    return read


def _read_field(label: object, spec: object) -> ExtraField:
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise ValueError(f"`{label}` is no label: it must be letters, digits, spaces, `_` or `-`, at most 30")
    if not isinstance(spec, dict) or not spec.keys() <= {"path", "type"}:
        raise ValueError(f"`{label}` must have a path and a type, such as `{{path: git.sha, type: text}}`")
    path, kind = spec.get("path"), spec.get("type", _KNOWN_TYPES.get(label, FieldType.TEXT))
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ValueError(f"the path of `{label}` must be names with dots between them, such as `git.sha`")
    if kind not in list(FieldType):
        raise ValueError(f"the type of `{label}` must be one of {', '.join(FieldType)}")
    return ExtraField(label, FieldType(kind), (parse_path(path),))

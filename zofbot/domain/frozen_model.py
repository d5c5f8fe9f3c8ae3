"""The base of models that are stored or received."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Immutable; unknown fields are ignored. Fields are written under their aliases, if any.

    Its validator is built when it is first used: building a hundred at each start took a tenth of its CPU time.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, serialize_by_alias=True)

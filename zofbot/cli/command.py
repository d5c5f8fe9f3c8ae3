"""The class of commands with arguments, whose help says only what to type."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand


class ArgumentCommand(TyperCommand):
    """A command whose help shows ``KEY`` for an argument, where Typer from 0.25 shows ``KEY <str>``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for param in self.params:
            if isinstance(param, TyperArgument):
                vars(param)["display_type_rich"] = lambda ctx: ""

"""Starts the command line; the version alone is answered without loading it."""

from __future__ import annotations

import sys

from zofbot import __version__


def main() -> None:
    """Run ``zofbot``."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"zofbot {__version__}\n")
        return
    from zofbot.cli import app  # noqa: PLC0415  (typer alone takes longer than the version may)

    app()


if __name__ == "__main__":
    main()

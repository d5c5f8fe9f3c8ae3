"""Entry point of the command line; ``--version`` is answered without importing it."""

from __future__ import annotations

import sys

from zofbot import __version__


def main() -> None:
    """Run ``zofbot``."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"zofbot {__version__}\n")
        return
    from zofbot.cli import app  # noqa: PLC0415  (importing typer would slow down --version)

    app()


if __name__ == "__main__":
    main()

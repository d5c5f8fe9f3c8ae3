"""Entry point of the command line; ``--version`` is answered without importing it."""

from __future__ import annotations

import errno
import gc
import io
import os
import sys

from zofbot import __version__

INTERRUPTED_EXIT_CODE = 130
"""128 and the number of SIGINT (https://www.gnu.org/software/bash/manual/bash.html#Exit-Status), as typer exits."""


def main() -> None:
    """Run ``zofbot``. Ctrl-C ends it with 130, an output that is closed or full with 1; both without a traceback."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the terminal's encoding lacks is no error. Programs and files get UTF-8, as JSON has to be (RFC 8259).
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")
    try:
        try:
            _run_command_line()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:  # during imports; later ones end in typer, or in what serves
        sys.exit(INTERRUPTED_EXIT_CODE)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        # The interpreter flushes once more: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.ENOSPC:
            sys.stderr.write(f"zofbot: Cannot write the output ({error.strerror}).\n")
        sys.exit(1)


def _open_closed_streams() -> None:
    """Replace standard streams that the caller has closed, which Python leaves as None."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115  (these stay open until the process ends)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _run_command_line() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"zofbot {__version__}\n")
        return
    gc.disable()  # nearly all that is imported stays; collections begin once a command serves
    from zofbot.cli import app  # noqa: PLC0415  (importing typer would slow down --version)

    app()


if __name__ == "__main__":
    main()

"""A process that imports the command line once and forks for each command, at a tenth of the cost of a fresh start.

A request is a JSON list (arguments, environment, folder) and four file descriptors: standard input, output and error,
and a socket that the exit code is written to. The process ends with its parent.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import traceback

import rich.console
import rich.table  # noqa: F401  (imported lazily by commands)

import zofbot
from zofbot import __main__ as entry_point


def _run_command(arguments: list[str], environment: dict[str, str], folder: str) -> int:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.modules["__main__"] = entry_point
    sys.argv = [entry_point.__file__, *arguments]
    code: object = 1
    try:
        entry_point.main()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def _serve_request(asked: bytes, standard: list[int], reply: int) -> None:
    """Run one command in its own process, and send its exit code."""
    process = os.fork()
    if not process:
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        os.close(reply)
        os._exit(_run_command(*json.loads(asked)))
    _, status = os.waitpid(process, 0)
    os.write(reply, str(os.waitstatus_to_exitcode(status)).encode())


def serve_requests() -> None:
    """Serve requests from the socket on standard input."""
    for module in pkgutil.walk_packages(zofbot.__path__, "zofbot."):
        importlib.import_module(module.name)  # commands import what they need when they run: once for all of them
    control = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 4)
        if not asked:
            return
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _serve_request(asked, descriptors[:3], descriptors[3])
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    serve_requests()

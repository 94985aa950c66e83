"""The process that `tests.forking` forks from: `python -m tests.forker DESCRIPTOR`, until that is closed."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from importlib import import_module
from typing import Any

_PR_SET_PDEATHSIG = 1
_PER_MESSAGE = 256 * 1024
_LOADED = (
    "uniassist.cli.main",
    "uniassist.cli.db",
    "uniassist.cli.doctor",
    "uniassist.cli.outbox.commands",
    "uniassist.cli.release.group",
    "uniassist.cli.stack",
    "uniassist.gateway.app",
    "uniassist.worker.app",
    "uniassist.provider_plan.app",
    "uniassist.provider_reminder.app",
    "uniassist.adapter_wechat.app",
    "uniassist.cli.services",
    "typer._adapters",  # loads pydantic when the first command with arguments is run
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def main(descriptor: int) -> None:
    # No death signal of its parent's for this one: Linux sends it when the *thread* that started us ends, and a
    # test that starts its first service in a thread would take all the session's with it. The closed socket tells.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the tests' to handle
    for module in _LOADED:
        import_module(module)
    gc.collect()
    gc.freeze()  # or each child's collector would write to, and so copy, every page
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    children: dict[int, socket.socket] = {}
    with socket.socket(fileno=descriptor) as asked:
        while True:
            ready = select.select([asked, woken], [], [])[0]
            if woken in ready:
                woken.recv(4096)
            _reap(children)
            if asked not in ready:
                continue
            message, descriptors, _, _ = socket.recv_fds(asked, _PER_MESSAGE, 3)
            if not message:
                break
            told = socket.socket(fileno=descriptors[0])
            pid = os.fork()
            if pid == 0:
                for each in (asked, woken, wake, told, *children.values()):
                    each.close()
                signal.set_wakeup_fd(-1)
                _become(json.loads(message), descriptors[1], descriptors[2])
            for each_descriptor in descriptors[1:]:
                os.close(each_descriptor)
            children[pid] = told
            told.send(str(pid).encode())
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _reap(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with children.pop(pid) as told, contextlib.suppress(OSError):
            told.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: dict[str, Any], out: int, err: int) -> None:
    """What a fresh Python would be, up to its exit."""
    code = 1
    try:
        _take_over(request, out, err)
        try:
            sys.modules.pop(request["module"], None)  # or it would be told twice
            runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as ended:
            code = _code_of(ended)
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _take_over(request: dict[str, Any], out: int, err: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in {out, err}:
        os.close(descriptor)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    time.tzset()
    tempfile.tempdir = None
    sys.argv = [request["module"], *request["arguments"]]
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _code_of(ended: SystemExit) -> int:
    if ended.code is None:
        return 0
    if isinstance(ended.code, int):
        return ended.code & 0xFF
    print(ended.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    main(int(sys.argv[1]))

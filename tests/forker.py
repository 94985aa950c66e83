"""The process that `tests.forking` forks from: `python -m tests.forker DESCRIPTOR`, until that is closed."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import tomllib
import traceback
from importlib import import_module
from importlib.resources import files
from typing import Any, NoReturn

from tests.becoming import become, close_all_but
from uniassist.gateway.providers.keywords import prepare

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
# Programs of the tests that load most of a second of their own, and change nothing by that: before the first fork.
_LOADED_ONCE_ASKED_FOR = ("tests.a2a_agent",)


def main(descriptor: int) -> None:
    # No death signal of its parent's for this one: Linux sends it when the *thread* that started us ends, and a
    # test that starts its first service in a thread would take all the session's with it. The closed socket tells.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the tests' to handle
    for module in _LOADED:
        import_module(module)
    _prepare_keywords()
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
            request = json.loads(message)
            if request["module"] in _LOADED_ONCE_ASKED_FOR and request["module"] not in sys.modules:
                import_module(request["module"])
                gc.freeze()
            pid = os.fork()
            if pid == 0:
                _become(request, descriptors[1], descriptors[2])
            for each_descriptor in descriptors[1:]:
                os.close(each_descriptor)
            children[pid] = told
            told.send(str(pid).encode())
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _prepare_keywords() -> None:
    """As each gateway does when it starts, nearly always with those of our own providers."""
    source = files("uniassist.gateway.providers").joinpath("providers.toml").read_text("utf-8")
    for provider in tomllib.loads(source)["provider"]:
        for words in provider.get("keywords", {}).values():
            prepare(words)


def _reap(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with children.pop(pid) as told, contextlib.suppress(OSError):
            told.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: dict[str, Any], out: int, err: int) -> NoReturn:
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        close_all_but({0, 1, 2})
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the forker ignores it
        os.chdir(request["cwd"])
    except BaseException:
        traceback.print_exc()
        os._exit(255)
    become(request["module"], request["arguments"], request["env"])


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""How a forked process becomes `python -m module …`, and so does what it starts of ours.

A start of Python with all our modules costs half a second of CPU and more. What `up` or a rollout starts is its own
child, with the session, the descriptors, the death signal that it asked for: only the loading is left out.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import gc
import inspect
import logging
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

_AT_LOADING = ("PYTHON", "SSL_CERT", "LD_", "MALLOC_", "COVERAGE_")
_loaded_with = dict(os.environ)
_for_real = subprocess.Popen._execute_child  # type: ignore[attr-defined]
_bound = inspect.signature(_for_real).bind


def starts_for_real(env: Mapping[str, str]) -> bool:
    """A variable that Python or a library reads when it loads isn't what ours was loaded with."""
    return any(name.startswith(_AT_LOADING) and _loaded_with.get(name) != value for name, value in env.items())


def become(module: str, arguments: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """What a fresh Python would be, up to its exit; descriptors, folder and session are those of the caller."""
    code = 1
    try:
        _begin_anew([module, *arguments], env)
        subprocess.Popen._execute_child = _start  # type: ignore[attr-defined]
        try:
            sys.modules.pop(module, None)  # or it would be told twice
            contextvars.Context().run(runpy.run_module, module, run_name="__main__", alter_sys=True)
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


def _begin_anew(argv: Sequence[str], env: Mapping[str, str]) -> None:
    gc.freeze()  # what the parent had is nobody's to close
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):  # what is ignored stays so
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    tempfile.tempdir = None
    sys.argv = list(argv)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _start(popen: subprocess.Popen[Any], *given: Any) -> None:
    """As `Popen._execute_child`, which runs every program; one of ours is forked where that makes no difference."""
    wanted = _bound(popen, *given).arguments
    env = dict(os.environ if wanted["env"] is None else wanted["env"])
    if not _is_ours(wanted) or starts_for_real(env):
        _for_real(popen, *given)
        return
    _, _, module, *arguments = wanted["args"]
    popen.pid = os.fork()
    if popen.pid == 0:
        try:
            _arrange(wanted)
            atexit._clear()
            atexit.register(logging.shutdown)
        except BaseException:
            traceback.print_exc()
            os._exit(255)
        become(module, arguments, env)
    popen._child_created = True  # type: ignore[attr-defined]
    ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
    popen._close_pipe_fds(*(wanted[end] for end in ends))  # type: ignore[attr-defined]


def _is_ours(wanted: Mapping[str, Any]) -> bool:
    args = wanted["args"]
    return (
        isinstance(args, list | tuple)
        and list(args[:2]) == [sys.executable, "-m"]
        and str(args[2]).startswith("uniassist.")
        and not wanted["shell"]
        and all(wanted[name] is None for name in ("executable", "uid", "gid", "gids"))
    )


def _arrange(wanted: Mapping[str, Any]) -> None:
    """What comes between fork and exec."""
    if wanted["cwd"] is not None:
        os.chdir(wanted["cwd"])
    if wanted["umask"] >= 0:
        os.umask(wanted["umask"])
    if wanted["start_new_session"]:
        os.setsid()
    if wanted.get("process_group", -1) >= 0:
        os.setpgid(0, wanted["process_group"])
    if wanted["preexec_fn"] is not None:
        wanted["preexec_fn"]()
    for number, name in enumerate(("p2cread", "c2pwrite", "errwrite")):
        if wanted[name] != -1:
            os.dup2(wanted[name], number)
    if wanted["close_fds"]:
        close_all_but({0, 1, 2, *wanted["pass_fds"]})
    for descriptor in wanted["pass_fds"]:
        os.set_inheritable(descriptor, True)


def close_all_but(kept: Collection[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):  # that of the list itself
                os.close(int(name))


def _code_of(ended: SystemExit) -> int:
    if ended.code is None:
        return 0
    if isinstance(ended.code, int):
        return ended.code & 0xFF
    print(ended.code, file=sys.stderr)
    return 1

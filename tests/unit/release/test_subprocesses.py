"""Commands as processes: their end, their words, and what is left of them when they are cut off."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest
from tests.waiting import eventually

from uniassist.errors import StartError
from uniassist.release import subprocesses

# Starts another process, notes its number, and never ends by itself.
_NEVER_ENDS = """\
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""
_CLEANS_UP = """\
import pathlib, sys, time
print("working", flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1]).write_text("cleaned up")
"""


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


async def gone(pid: int) -> None:
    def is_gone() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    await eventually(is_gone, f"process {pid} is gone")


async def test_a_command_answers_with_its_code_and_its_words() -> None:
    script = "import sys; print(sys.stdin.read()); print('oh', file=sys.stderr); sys.exit(3)"
    ended = await subprocesses.run(python(script), os.environ, 60.0, given=b"given")
    assert (ended.code, ended.out, ended.err, ended.words) == (3, "given\n", "oh\n", "oh\ngiven")


async def test_without_input_its_standard_input_is_empty() -> None:
    ended = await subprocesses.run(python("import sys; print(repr(sys.stdin.read()))"), os.environ, 60.0)
    assert ended.out == "''\n"


async def test_at_the_deadline_it_is_killed() -> None:
    begun: list[int] = []
    ended = await subprocesses.run(python("import time; time.sleep(600)"), os.environ, 0.2, began=begun.append)
    assert ended.code is None
    await gone(begun[0])


async def test_one_that_is_cut_off_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    running = asyncio.create_task(subprocesses.run(python(_NEVER_ENDS, str(child)), os.environ, 600.0))
    await eventually(lambda: child.exists() and child.read_text(), "it has started another one")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(int(child.read_text()))


async def test_of_much_that_it_says_the_end_is_kept() -> None:
    script = f"print('a' * {subprocesses.KEPT_BYTES}); print('the end')"
    ended = await subprocesses.run(python(script), os.environ, 60.0)
    assert (len(ended.out), ended.out.endswith("the end\n")) == (subprocesses.KEPT_BYTES, True)


async def test_what_it_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    script = _NEVER_ENDS.rpartition("time.sleep")[0]
    ended = await subprocesses.run(python(script, str(tmp_path / "child")), os.environ, 60.0)
    assert ended.code == 0
    psutil.Process(int((tmp_path / "child").read_text())).kill()


async def test_lines_are_passed_on_as_they_come_and_errors_among_them() -> None:
    lines: list[str] = []
    script = "import sys; print('one'); sys.stdout.flush(); print('two', file=sys.stderr); sys.exit(4)"
    assert await subprocesses.follow(python(script), lines.append) == 4
    assert lines == ["one", "two"]


async def test_one_that_is_followed_may_clean_up_after_itself_when_it_is_cut_off(tmp_path: Path) -> None:
    lines: list[str] = []
    following = asyncio.create_task(subprocesses.follow(python(_CLEANS_UP, str(tmp_path / "done")), lines.append))
    await eventually(lambda: lines, "it works")
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert (tmp_path / "done").read_text() == "cleaned up"


async def test_our_own_command_that_is_not_done_in_time_is_named() -> None:
    with pytest.raises(StartError, match="uniassist release: not done within 0 s"):
        await subprocesses.run_uniassist(os.environ, 0.01, "release", "--help")


def test_one_without_an_event_loop_has_a_deadline_too() -> None:
    ended = subprocesses.run_blocking(python("print('x')"), 60.0)
    late = subprocesses.run_blocking(python("import time; time.sleep(600)"), 0.2)
    assert (ended.code, ended.out, late.code) == (0, "x\n", None)

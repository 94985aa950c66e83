"""How long a command says nothing, at the longest: measured from its start to its end, as who waits sees it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from tests.integration.release.commands import RUN_SECONDS, Command


@dataclass(frozen=True)
class Heard:
    """`silences`: seconds without a line, each with the line before it. `said`: all lines."""

    code: int
    said: list[str]
    silences: list[tuple[float, str]]

    @property
    def longest(self) -> tuple[float, str]:
        """Of those that no word explains: after a line on what is under way, more of it is no riddle."""
        return max((each for each in self.silences if not _is_under_way(each[1])), default=(0.0, ""))


def heard(command: Command, *arguments: str, env: Mapping[str, str]) -> Heard:
    """Both of its streams; it is killed after RUN_SECONDS."""
    process = command.start(arguments, env)
    at = [(time.monotonic(), "its start")]

    def listen(stream: IO[str]) -> None:
        for line in stream:
            at.append((time.monotonic(), line.rstrip("\n")))

    assert process.stdout is not None
    assert process.stderr is not None
    listeners = [threading.Thread(target=listen, args=(stream,)) for stream in (process.stdout, process.stderr)]
    deadline = threading.Timer(RUN_SECONDS, process.kill)
    deadline.start()
    for listener in listeners:
        listener.start()
    for listener in listeners:
        listener.join()
    code = process.wait()
    deadline.cancel()
    process.stdout.close()
    process.stderr.close()
    times = [*at, (time.monotonic(), "its end")]
    gaps = [(later - earlier, line) for (earlier, line), (later, _) in itertools.pairwise(times)]
    return Heard(code, [line for _, line in at[1:]], gaps)


def _is_under_way(line: str) -> bool:
    return line.startswith("      ") and "…" in line

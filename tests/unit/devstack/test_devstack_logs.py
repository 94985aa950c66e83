"""Log files on the terminal: whole lines, each once, with the service's name, from the threshold up."""

from __future__ import annotations

import json
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from uniassist.devstack.logs import LogTail


def _line(level: str, event: str, **fields: object) -> bytes:
    return (
        json.dumps(
            {"level": level, "event": event, "timestamp": "t", "service": "s", **fields}, ensure_ascii=False
        ).encode()
        + b"\n"
    )


def _tail(path: Path, threshold: str = "warning") -> tuple[LogTail, list[str]]:
    said: list[str] = []
    return LogTail("gateway", path, said.append, threshold=threshold), said


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as log:
        log.write(content)


def test_only_what_reaches_the_threshold_is_shown_with_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail, said = _tail(path)
    _append(path, _line("info", "listening") + _line("warning", "slow", seconds=3) + _line("error", "lost"))
    tail.show_new()
    assert [line.split() for line in said] == [
        ["gateway", "warning:", "slow", "seconds=3"],
        ["gateway", "error:", "lost"],
    ]


def test_verbose_shows_info_too(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail, said = _tail(path, "info")
    _append(path, _line("debug", "hidden") + _line("info", "listening"))
    tail.show_new()
    assert [line.split()[1:] for line in said] == [["info:", "listening"]]


def test_what_is_not_a_log_line_of_ours_is_shown_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail, said = _tail(path)
    _append(path, b'GATEWAY_PORT: taken\n[1, 2]\n"text"\n{"event": "no level"}\n\xff\xfe\n\n')
    tail.show_new()
    assert [line.split(maxsplit=1)[1] for line in said] == [
        "GATEWAY_PORT: taken",
        "[1, 2]",
        '"text"',
        '{"event": "no level"}',
        "��",
    ]


def test_what_was_there_before_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _append(path, _line("error", "old"))
    tail, said = _tail(path)
    tail.show_new()
    _append(path, _line("error", "new"))
    tail.show_new()
    tail.show_new()
    assert ["new" in line for line in said] == [True]


def test_a_file_that_is_not_there_or_was_cut_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail, said = _tail(path)
    tail.show_new()
    _append(path, _line("error", "one"))
    tail.show_new()
    path.write_bytes(b"")
    tail.show_new()
    _append(path, _line("error", "two"))
    tail.show_new()
    assert [line.split()[-1] for line in said] == ["one", "two"]


@given(cuts=st.lists(st.integers(0, 400), max_size=8))
def test_lines_come_whole_and_once_however_they_were_written(cuts: list[int]) -> None:
    content = b"".join(_line("error", f"事件-{number}") for number in range(4))
    borders = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "log"
        tail, said = _tail(path)
        for start, end in pairwise(borders):
            _append(path, content[start:end])
            tail.show_new()
    assert [line.split()[-1] for line in said] == [f"事件-{number}" for number in range(4)]

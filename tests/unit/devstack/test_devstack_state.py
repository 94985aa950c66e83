"""The state directory: one holder, secrets that stay and stay closed, nothing believed of the dead."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from uniassist.devstack.state import RunState, ServiceState, StateDirectory
from uniassist.errors import StartError


def _state(pid: int = 4711) -> RunState:
    gateway = ServiceState("gateway", "http://127.0.0.1:8787", 4712, restarts=2)
    return RunState(pid, time.time(), True, "postgresql://u:p@127.0.0.1/x", "redis://127.0.0.1/0", [gateway])


def test_only_one_holds_it_and_the_second_is_told_who(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    with directory.locked():
        directory.write(_state())
        with pytest.raises(StartError, match=r"process 4711, since \d\d:\d\d:\d\d"), directory.locked():
            pass
    assert not directory.is_locked()
    with directory.locked():
        assert directory.is_locked()


def test_what_was_written_is_read_back_while_it_is_held_and_not_after(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    written = _state()
    with directory.locked():
        directory.write(written)
        assert directory.read() == written
    assert directory.read() is None


def test_the_state_of_a_killed_up_is_not_read(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.write(_state())
    assert directory.read() is None


def test_looking_at_a_directory_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "none")
    assert not directory.is_locked()
    assert directory.read() is None
    assert not directory.path.exists()


def test_a_secret_is_made_once_and_differs_from_the_next(tmp_path: Path) -> None:
    first = StateDirectory(tmp_path)
    secrets = {name: first.secret(name) for name in ("A", "B")}
    assert secrets["A"] != secrets["B"]
    assert min(map(len, secrets.values())) >= 32
    again = StateDirectory(tmp_path)
    assert {name: again.secret(name) for name in ("A", "B")} == secrets


def test_files_with_secrets_are_closed_to_others_also_when_rewritten(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    for _ in range(2):
        directory.secret("A")
        directory.write(_state())
        directory.forget_port("redis")
        for name in ("state.json", "kept.json"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_port_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    assert [directory.port("postgres", 5001), directory.port("postgres", 5002)] == [5001, 5001]
    assert directory.port("redis", 6001) == 6001
    directory.forget_port("postgres")
    assert directory.port("postgres", 5003) == 5003
    assert directory.port("redis", 6002) == 6001


def test_a_damaged_file_is_named_and_not_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("{", "utf-8")
    with pytest.raises(StartError, match=r"kept\.json"):
        StateDirectory(tmp_path).secret("A")
    assert kept.read_text("utf-8") == "{"

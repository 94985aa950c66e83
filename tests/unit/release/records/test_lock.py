from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.records.lock import holder_of, locked

_HOLD = """\
import sys, time
from pathlib import Path
from uniassist.release.records.lock import locked
with locked(Path(sys.argv[1]), "rolling out v2"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_since_when_and_why_and_a_killed_holder_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder_of(path) is None
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with (
            pytest.raises(Refused, match=rf"\(process {holder.pid}\) since .*: rolling out v2") as refused,
            locked(path, "mine"),
        ):
            pass
        assert refused.value.code == ExitCode.LOCKED
        found = holder_of(path)
        assert found is not None
        assert found.pid == holder.pid
        holder.send_signal(signal.SIGKILL)
    assert holder_of(path) is None
    with locked(path, "mine"):
        pass

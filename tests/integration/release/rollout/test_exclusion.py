"""Two at once: from the same directory, from another one, and with the database away."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.release.gate.test_preflight import flat
from tests.integration.release.rollout.little import Place
from tests.ports import free_port
from tests.waiting import eventually

from uniassist.release.exit_codes import ExitCode, Refused

_HOLDER = """
import sys
from uniassist.store.release_lock import held
with held(sys.argv[1], "me@elsewhere/7: rollout of v9") as other:
    print("taken" if other is None else other.said, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def elsewhere(database_url: str) -> Iterator[subprocess.Popen[str]]:
    """Another host's release, that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    yield process
    process.kill()
    process.communicate()


async def test_whoever_is_at_it_in_another_directory_is_named_and_frees_it_by_dying(
    tmp_path: Path, database_url: str, elsewhere: subprocess.Popen[str]
) -> None:
    site = Place(tmp_path).site({"DATABASE_URL": database_url})
    with pytest.raises(Refused) as refused, site.alone("rollback"):
        pytest.fail("it was let in")
    assert refused.value.code == ExitCode.LOCKED
    assert "another directory or host, at the database: me@elsewhere/7: rollout of v9, since 2" in str(
        refused.value
    )

    elsewhere.send_signal(signal.SIGKILL)
    elsewhere.wait()

    async def let_in() -> bool:
        try:
            with site.alone("rollback"):
                return True
        except Refused:
            return False

    await eventually(let_in, "the lock is free")


def test_a_second_directory_is_kept_out_while_the_first_works(tmp_path: Path, database_url: str) -> None:
    first, second = Place(tmp_path / "one"), Place(tmp_path / "two")
    values = {"DATABASE_URL": database_url}
    with (
        first.site(values).alone("rollout of v1"),
        pytest.raises(Refused, match=r"rollout of v1"),
        second.site(values).alone("rollback"),
    ):
        pytest.fail("it was let in")
    with second.site(values).alone("rollback"):
        pass


def test_a_database_that_is_away_is_said_and_holds_nobody_up(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.site({"DATABASE_URL": f"postgresql://u:secret-of-u@127.0.0.1:{free_port()}/db"}).alone("rollback"):
        assert "NOT locked at the database" in flat(place.told.said)
    assert "secret-of-u" not in place.told.said

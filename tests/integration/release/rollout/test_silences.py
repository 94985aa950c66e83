"""No command is silent for more than two seconds without a word, whatever hangs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.release.commands import Command
from tests.integration.release.gate.test_preflight import write_env
from tests.integration.release.repositories import repository
from tests.integration.release.silences import heard
from tests.unheard import unheard

# Two seconds, and what a busy machine takes to start Python and to run a thread.
LONGEST_SECONDS = 2.0 + 4.0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repo = repository(tmp_path_factory.mktemp("silent") / "checkout")
    repo.write("README", "one")
    repo.commit(tag="v1")
    return repo.path


@pytest.fixture
def hung(checkout: Path, tmp_path: Path) -> Iterator[Path]:
    """An env file whose Postgres and Redis take connections, and are never heard."""
    with unheard() as url:
        where = url.removeprefix("http://")
        path = tmp_path / "hung.env"
        write_env(path, DATABASE_URL=f"postgresql://u:p@{where}/db", REDIS_URL=f"redis://{where}/0")
        yield path


@pytest.mark.parametrize(
    "arguments",
    [
        ("release", "preflight", "--rev", "v1"),
        ("release", "gate", "--rev", "v1"),
        ("drill", "worker", "--mode", "live"),
        ("doctor",),
        ("outbox", "stats"),
        ("db", "status"),
    ],
    ids=" ".join,
)
def test_servers_that_hang_leave_nobody_without_a_word(
    checkout: Path, hung: Path, arguments: tuple[str, ...]
) -> None:
    found = heard(Command(checkout), *arguments, "--env-file", str(hung), env={})
    assert found.code not in (0, 1) or arguments[0] != "release", found.said
    assert found.longest[0] < LONGEST_SECONDS, (found.longest, found.said)
    assert any("…" in line for line in found.said), ("nothing took long", found.said)

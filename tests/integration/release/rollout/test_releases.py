"""The commands as an operator runs them, over a project in small and the local driver."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.release.commands import Ended
from tests.integration.release.gate.test_preflight import flat
from tests.integration.release.repositories import NEXT_SCHEMA, SCHEMA, VERSIONS
from tests.integration.release.rollout.little_project import Project, project

from uniassist.release.records.lock import locked


@pytest.fixture
def place(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Project]:
    made = project(tmp_path, database_url, redis_url)
    yield made
    made.stop()


def state(place: Project) -> list[str]:
    home = place.repo.path / ".uniassist" / "release"
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


def ended_with(ended: Ended, code: int, *said: str) -> None:
    assert ended.code == code, ended.said
    for text in said:
        assert text in flat(ended.said), ended.said


def test_what_is_refused_touches_nothing(place: Project) -> None:
    before = state(place)
    ended_with(place("rollout", "--rev", "v1"), 2, "there is no terminal to ask at: give --yes")
    ended_with(place("rollback", "--yes"), 2, "there is nothing to roll back to")
    ended_with(place("rollout", "--rev", "v9", "--yes"), 10, "v9 is no tag")
    ended_with(place("rollout", "--help"), 0, "Exit codes")
    ended_with(place("rollout", "--rev", "v1", "--dry-run"), 0, "v1 (it doesn't run)")
    untouched = [name for name in state(place) if not name.endswith("lock")]
    assert [name for name in untouched if name != "pins.json"] == before
    commit = place.repo.git("rev-parse", "v1^{commit}")
    known = place.repo.path / f".uniassist/release/commits/{commit}.json"
    found = json.loads(known.read_text())
    known.write_text(json.dumps({"preflight": found["preflight"]}))
    ended_with(place("rollout", "--rev", "v1", "--yes"), 11, "no green gate for v1")
    lock = place.repo.path / ".uniassist/release/environments/staging/lock"
    with locked(lock, "rollout of v1"):
        ended_with(place("rollout", "--rev", "v1", "--yes"), 30, "locked by", ": rollout of v1", "since 2")
        ended_with(place("status"), 0, ": rollout of v1")


def test_a_release_and_the_way_back(place: Project) -> None:
    """v1, then v2, whose gateway breaks; a plan that went stale; back without git and network."""
    place.tag("v2", broken="gateway")
    ended_with(place("plan", "--rev", "v2"), 0, "gateway — → v2 (it doesn't run)")
    ended_with(place("rollout", "--rev", "v1", "--yes"), 0, "[4/4] worker — → v1 healthy in", "all-new")
    assert place.revisions() == ["v1"] * 4
    _note_verified(place)
    _contract(place)

    ended_with(place("rollout", "--rev", "v2", "--yes"), 32, "gateway was —, and is v1", "release plan --rev v2")
    ended_with(place("plan", "--rev", "v2"), 0, "gateway v1 → v2 (another revision)")
    broken = place("rollout", "--rev", "v2", "--yes", "--healthy-within", "1")
    ended_with(broken, 12, "[3/4] gateway v1 → v2 FAILED", "next: uniassist release rollback", "MIXED")
    ended_with(place("status"), 0, "MIXED", "stopped at gateway", "to v1")
    ended_with(place("rollout", "--rev", "v2", "--yes"), 31, "stopped at gateway", "release resume")

    for command in (("rollback", "--yes"), ("status",)):
        other = place(*command, "--driver", "manual")
        ended_with(other, 2, "last released with local", "give --driver local")

    away = place(
        "rollback", "--yes", PATH=_path_without_git(place), PIP_NO_INDEX="1", PIP_INDEX_URL="http://127.0.0.1:1"
    )
    # Its verification can't be well: these services do nothing.
    ended_with(away, 21, "[6/6] verify v1 FAILED", "LEFT TO DO: verify v1", "all-new: every service is v1")
    # Commands to copy may be as long as they have to be.
    assert [line for line in away.out.splitlines() if len(line) > 80 and "uniassist release" not in line] == []
    assert place.revisions() == ["v1"] * 4
    ended_with(place("abort", "--yes"), 0, "is closed; no service was touched")

    port = next(line for line in place.env_file.read_text().splitlines() if line.startswith("WORKER_PORT"))
    place.env_file.write_text(place.env_file.read_text().replace(port, f"{port}\nLAMP='on'"))
    ended_with(place("rollout", "--rev", "v2", "--yes"), 10, "with another env set")


def test_another_state_directory_that_holds_the_ports_is_named_before_anything_is_built(place: Project) -> None:
    ended_with(place("rollout", "--rev", "v1", "--yes"), 0)
    other = str(place.repo.path.parent / "other")
    shutil.copytree(place.repo.path / ".uniassist/release/commits", Path(other) / "commits")

    planned = place("plan", "--rev", "v1", "--state-dir", other)
    ended_with(
        planned, 0, "IN THE WAY: gateway: GATEWAY_PORT: port", "that a keeper of another state directory runs"
    )
    refused = place("rollout", "--rev", "v1", "--yes", "--state-dir", other)
    ended_with(refused, 32, str(place.repo.path / ".uniassist/release"), "nothing was touched")
    assert not (Path(other) / "releases").exists()
    assert place.revisions() == ["v1"] * 4


def _contract(place: Project) -> None:
    """What takes something away is refused in a rollout, and done by a command of its own."""
    same, less = f"{SCHEMA}_same", f"{NEXT_SCHEMA}_less"
    steps = [place.repo.path / VERSIONS / f"{name}.py" for name in (same, less)]
    for path, below, kind in zip(steps, ("0001", SCHEMA), ("expand", "contract"), strict=True):
        path.write_text(f'revision = "{path.name[:4]}"\ndown_revision = "{below}"\nkind = "{kind}"\n')
    place.tag("v1-less")
    ended_with(
        place("rollout", "--rev", "v1-less", "--yes"), 10, f"{less} contracts", "release contract --rev v1-less"
    )
    ended_with(
        place("contract", "--rev", "v1-less", "--yes"),
        0,
        f"pending: {less} (contract)",
        f"schema is at {NEXT_SCHEMA}",
    )
    for path in steps:
        path.unlink()


def _note_verified(place: Project) -> None:
    """As a verification would."""
    path = place.repo.path / ".uniassist/release/environments/staging/deployed.json"
    known = json.loads(path.read_text())
    known["verified"] = [{"release": known["current"], "at": "2026-11-24T07:00:00.000Z"}]
    path.write_text(json.dumps(known))


def _path_without_git(place: Project) -> str:
    folder = place.repo.path.parent / "bin"
    folder.mkdir()
    for name in ("sh", "env"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    assert shutil.which("git", path=str(folder)) is None
    return str(folder)

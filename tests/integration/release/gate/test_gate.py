from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.integration.release.commands import Command, Ended
from tests.integration.release.repositories import Repository, repository
from tests.ports import free_port


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return repository(tmp_path)


@pytest.fixture
def servers(database_url: str, redis_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url}


def record_of(repo: Repository, commit: str) -> dict[str, object]:
    known: dict[str, object] = json.loads((repo.path / f".uniassist/release/commits/{commit}.json").read_text())
    return known


def steps_of(ended: Ended) -> list[str]:
    return [step["result"] for step in json.loads(ended.out)["steps"]]


def test_a_green_gate_is_recorded_for_commit_wheel_and_environment(
    command: Command, repo: Repository, servers: dict[str, str]
) -> None:
    repo.write("README", "x")
    commit = repo.commit(tag="v1")
    # What isn't committed isn't tested.
    repo.write("src/uniassist/cli/broken.txt", "smoke")

    ended = command("release", "gate", "--rev", "v1", **servers)

    assert ended.code == 0, ended.said
    lines = [line for line in ended.out.splitlines() if "(runbook: Pre-release gate" in line]
    assert [line.split("  ")[0] for line in lines] == ["[1/3] typecheck", "[2/3] conformance", "[3/3] smoke"]
    gate = record_of(repo, commit)["gate"]
    assert isinstance(gate, dict)
    assert len(gate["wheelSha256"]) == len(gate["envDigest"]) == 64
    log = (repo.path / ".uniassist/release/runs" / gate["run"]).read_text()
    assert "smoke: 1 ok, 0 failed" in log
    password = servers["DATABASE_URL"].partition("://")[2].partition("@")[0].partition(":")[2]
    assert password not in log + ended.said


@pytest.mark.parametrize(
    ("name", "text", "results", "named"),
    [
        ("src/uniassist/wrong.py", "x: int = 'one'\n", ["failed", "not run", "not run"], "Incompatible types"),
        ("src/uniassist/cli/broken.txt", "conformance", ["ok", "failed", "not run"], "conformance found something"),
        ("src/uniassist/cli/broken.txt", "smoke", ["ok", "ok", "failed"], "smoke found something"),
    ],
)
def test_it_stops_at_the_first_check_that_fails(
    command: Command,
    repo: Repository,
    servers: dict[str, str],
    name: str,
    text: str,
    results: list[str],
    named: str,
) -> None:
    repo.write(name, text)
    commit = repo.commit(tag="v1")

    ended = command("release", "gate", "--rev", "v1", "--json", **servers)

    assert (ended.code, steps_of(ended)) == (11, results), ended.said
    assert named in ended.err
    assert "next: " in ended.err
    assert not (repo.path / f".uniassist/release/commits/{commit}.json").exists()


def test_without_a_revision_it_tests_the_working_tree_and_says_so(
    command: Command, repo: Repository, servers: dict[str, str]
) -> None:
    repo.write("README", "not committed")
    ended = command("release", "gate", **servers)
    assert ended.code == 0, ended.said
    assert "the working tree, with 1 changes: counts for no release" in ended.out
    assert not (repo.path / ".uniassist/release/commits").exists()


def test_missing_variables_and_servers_out_of_reach_are_named(command: Command, repo: Repository) -> None:
    missing = command("release", "gate", DATABASE_URL="postgresql://u:secret-of-u@127.0.0.1:1/x")
    assert (missing.code, "REDIS_URL: required" in missing.err) == (2, True), missing.said
    nowhere = f"127.0.0.1:{free_port()}"
    away = command(
        "release", "gate", DATABASE_URL=f"postgresql://u:secret-of-u@{nowhere}/x", REDIS_URL=f"redis://{nowhere}/0"
    )
    assert (away.code, "DATABASE_URL: can't connect" in away.err) == (10, True), away.said
    assert "secret-of-u" not in missing.said + away.said


def test_an_unknown_revision_is_refused(command: Command, repo: Repository, servers: dict[str, str]) -> None:
    ended = command("release", "gate", "--rev", "v9", **servers)
    assert (ended.code, "v9: no such revision" in ended.err) == (10, True), ended.said

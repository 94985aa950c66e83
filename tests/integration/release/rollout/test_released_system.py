"""A released system, seen by the commands that know a system of `up`; stopped and started as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.release.commands import Ended
from tests.integration.release.gate.test_preflight import flat
from tests.integration.release.rollout.little_project import Project, project


@pytest.fixture
def place(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Project]:
    made = project(tmp_path, database_url, redis_url)
    yield made
    made.stop()


def steps_of(ended: Ended) -> list[str]:
    return [line.split("  ")[0] for line in ended.out.splitlines() if line.startswith("[")]


def test_it_is_found_by_what_is_released_here_by_its_env_file_and_by_url(place: Project) -> None:
    nothing = place.command("status")
    assert (nothing.code, "nothing is released here" in nothing.out) == (1, True), nothing.said
    assert place("rollout", "--rev", "v1", "--yes").code == 0

    here = place.command("status")
    assert here.code == 0, here.said
    assert "showing the release v1 of staging, in .uniassist/release" in here.out
    assert here.out.count("v1, healthy") == 4
    by_file = place.command("status", "--env-file", str(place.env_file), "--json")
    document = json.loads(by_file.out)
    assert (document["kind"], document["system"]) == ("release", f"the system of {place.env_file}")
    gateway = next(service["url"] for service in document["services"] if service["name"] == "gateway")
    by_url = place.command("status", "--url", gateway)
    assert (by_url.code, "healthy" in by_url.out) == (0, True), by_url.said

    # Its services are none; that its own gateway and database were asked is what counts.
    said = place.command("send", "hello")
    assert (said.code, gateway in said.err or "refused" in said.err) == (1, True), said.said
    stats = place.command("outbox", "stats")
    assert (stats.code, "of the release v1 of staging" in stats.err) == (0, True), stats.said
    assert place.command("outbox", "stats", "--env-file", str(place.env_file)).code == 0
    records = str(place.repo.path / ".uniassist" / "release")
    by_directory = place.command(
        "outbox", "stats", "--state-dir", records, DATABASE_URL="postgresql://u:p@[::1]:1/x"
    )
    assert (by_directory.code, "of the release v1" in by_directory.err) == (0, True), by_directory.said
    assert place.command("db", "status", "--env-file", str(place.env_file)).code == 0
    examined = place.command("doctor")
    assert "looking at the release v1 of staging" in examined.out
    assert "a table made, written and rolled back" in flat(examined.out)
    assert examined.code == 0, examined.said


def test_it_stops_and_starts_as_a_whole_worker_first_and_last(place: Project) -> None:
    early = place("start", "--yes")
    assert (early.code, "nothing was rolled out here" in early.err) == (2, True), early.said
    assert place("rollout", "--rev", "v1", "--yes").code == 0
    assert place("stop").code == 2

    stopped = place("stop", "--yes")
    assert stopped.code == 0, stopped.said
    order = ["worker", "gateway", "adapter-wechat", "provider-plan"]
    assert steps_of(stopped) == [f"[{n}/4] stop {service}" for n, service in enumerate(order, start=1)]
    assert place.revisions() == [None] * 4
    assert "next        uniassist release start" in place("status").out

    started = place("start", "--yes")
    assert started.code == 0, started.said
    assert steps_of(started) == [f"[{n}/4] start {service}" for n, service in enumerate(reversed(order), start=1)]
    assert place.revisions() == ["v1"] * 4

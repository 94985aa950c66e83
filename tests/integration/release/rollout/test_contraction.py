"""A migration that takes something away: what must be so before, and what is no more afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.release.repositories import NEXT_SCHEMA, SCHEMA, VERSIONS
from tests.integration.release.rollout.checkout import Checkout

from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.rollout.contraction import contract

SAME = f'revision = "{SCHEMA}"\ndown_revision = "0001"\nkind = "expand"\n'
LESS = f'revision = "{NEXT_SCHEMA}"\ndown_revision = "{SCHEMA}"\nkind = "contract"\n'


@pytest.fixture
def place(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Checkout]:
    """v1 runs and is verified, v0 was before it; the tag v1-less contracts."""
    made = Checkout(tmp_path, database_url, redis_url)
    made.well("v1-less", **{f"{VERSIONS}/{SCHEMA}_same.py": SAME, f"{VERSIONS}/{NEXT_SCHEMA}_less.py": LESS})
    made.running("v0")
    made.running("v1")
    yield made
    made.driver.kill_all()


def yes(_question: str) -> None: ...


def no(_question: str) -> None:
    raise UsageRefused("not confirmed")


def good(place: Checkout) -> list[str]:
    return [known.release.partition("-")[0] for known in place.home.deployed().verified]


def migrated(place: Checkout) -> list[dict[str, Any]]:
    path = place.driver.folder / "migrations.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_what_older_code_needs_is_taken_away_only_after_it_is_no_target_any_more(place: Checkout) -> None:
    code, said = contract(place.opened(), place.repo.path, "v1-less", yes)

    assert (code, said) == (ExitCode.DONE, "ran 0002_less; the schema is at 0002")
    assert place.driver.effects == ["prepare v1-less"]
    ran = migrated(place)
    assert [(each["tag"], each["asked"]) for each in ran] == [
        ("v1-less", ["db", "migrate", "--json", "--contract"])
    ]
    assert [release.partition("-")[0] for release in ran[0]["good"]] == ["v1"], "v0 was a target while it ran"
    assert good(place) == ["v1"]
    assert f"pending: {NEXT_SCHEMA}_less (contract)" in place.told.said


def test_a_migration_that_fails_leaves_no_target_that_may_not_run(place: Checkout) -> None:
    (place.driver.folder / "migrations-fail").touch()
    code, said = contract(place.opened(), place.repo.path, "v1-less", yes)
    assert (code, "no migration today" in said) == (ExitCode.ROLLOUT, True)
    assert good(place) == ["v1"]


def test_what_is_not_confirmed_changes_nothing(place: Checkout) -> None:
    with pytest.raises(UsageRefused):
        contract(place.opened(), place.repo.path, "v1-less", no)
    assert (good(place), migrated(place), place.driver.effects) == (["v0", "v1"], [], [])


def test_what_runs_must_be_verified_and_run_everywhere(place: Checkout) -> None:
    v1 = place.kept("v1")
    place.home.change(lambda known: known.doubted(v1.id))
    with pytest.raises(Refused, match="what runs isn't verified") as unverified:
        contract(place.opened(), place.repo.path, "v1-less", yes)
    place.home.change(lambda known: known.proved(v1.id))
    asyncio.run(place.driver.deploy("worker", place.kept("v0")))
    with pytest.raises(Refused, match="not all runs as v1") as drifted:
        contract(place.opened(), place.repo.path, "v1-less", yes)
    assert (unverified.value.code, drifted.value.code) == (ExitCode.PREFLIGHT, ExitCode.STALE)
    assert (good(place), migrated(place)) == (["v0", "v1"], [])

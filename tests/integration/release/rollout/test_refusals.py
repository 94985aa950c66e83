"""What a rollout refuses: each reason by itself, and which comes first when there are several."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.release.rollout.checkout import Checkout
from tests.integration.release.rollout.little import Place

from uniassist.release.env.environment import EnvSet
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.records.kept_releases import Release
from uniassist.release.report.masking import Masker
from uniassist.release.revision.migrations import Migration
from uniassist.release.rollout import intended, plan
from uniassist.release.rollout.candidate import ReleaseCandidate
from uniassist.release.rollout.intended import Intended
from uniassist.release.rollout.rollout import roll_out
from uniassist.release.walk import observation, unfinished

LESS = Migration("0002", "0001", "contract", "0002_less", "DROP TABLE x")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.driver.kill_all()


def found(place: Place, release: Release, *pending: Migration) -> Intended:
    """As it would be intended now, were the tag in a checkout."""
    candidate = ReleaseCandidate(release, EnvSet({}, {}, release.env_digest), place.folder, pending)
    seen = asyncio.run(observation.observe_all(place.driver))
    return Intended(candidate, seen, plan.make(release, seen, [step.name for step in pending], []))


def green(place: Place, release: Release) -> None:
    gate = {"wheelSha256": release.wheel_sha256, "envDigest": release.env_digest}
    place.site().records.know(release.commit, gate=gate)


def refused(place: Place, intention: Intended) -> tuple[ExitCode, str]:
    with pytest.raises(Refused) as raised:
        intended.refuse(place.site(), intention)
    return raised.value.code, str(raised.value)


def test_a_service_that_somebody_else_changed_is_not_rolled_over(place: Place) -> None:
    place.running("v1")
    other, v2 = place.release("v9"), place.release("v2")
    green(place, v2)
    asyncio.run(place.driver.deploy("gateway", other))

    code, said = refused(place, found(place, v2))

    assert code == ExitCode.STALE
    assert "somebody else changed it" in said
    assert "gateway: is v9, but v1 was deployed last" in said
    assert "next: uniassist release rollback --to v1" in said


def test_of_several_reasons_the_one_to_mend_first_is_given(place: Place) -> None:
    """A run that stopped, no gate, a contraction, drift and a stale plan, mended one after the other."""
    v1 = place.running("v1")
    v2, other = place.release("v2"), place.release("v9")
    plan.write(place.home.plan, found(place, v2).plan)
    asyncio.run(place.driver.deploy("gateway", other))
    place.driver.broken.add("provider-plan v2")
    run = place.begin("rollout", v2, v1)
    assert place.conduct(run) == ExitCode.ROLLOUT

    code, said = refused(place, found(place, v2, LESS))
    assert (code, "stopped at provider-plan" in said) == (ExitCode.UNFINISHED, True)

    unfinished.abort(place.home, run, found(place, v2).seen, Masker())
    # What abort saw, it took for what is there; somebody else comes once more.
    place.home.change(lambda known: known.given("gateway", v1.id))
    code, said = refused(place, found(place, v2, LESS))
    assert (code, "no green gate for v2" in said) == (ExitCode.GATE, True)

    green(place, v2)
    code, said = refused(place, found(place, v2, LESS))
    assert (code, "0002_less contracts" in said) == (ExitCode.PREFLIGHT, True)

    code, said = refused(place, found(place, v2))
    assert (code, "gateway: is v9" in said) == (ExitCode.STALE, True)

    asyncio.run(place.driver.deploy("gateway", v1))
    code, said = refused(place, found(place, v2))
    assert (code, "provider-plan was v1, and is v2" in said) == (ExitCode.STALE, True)
    assert "the plan of" in said

    place.home.plan.unlink()
    intended.refuse(place.site(), found(place, v2))


def test_drift_is_refused_before_anybody_is_asked(tmp_path: Path, database_url: str, redis_url: str) -> None:
    """The whole way of the command, from the tag on."""
    made = Checkout(tmp_path, database_url, redis_url)
    made.well("v1")
    asked: list[str] = []
    try:
        assert roll_out(made.opened(), made.repo.path, "v1", asked.append)[0] == ExitCode.DONE
        asyncio.run(made.driver.deploy("worker", made.release("v9")))
        effects = made.driver.effects
        with pytest.raises(Refused) as raised:
            roll_out(made.opened(), made.repo.path, "v1", asked.append)
        assert (raised.value.code, "worker: is v9" in str(raised.value)) == (ExitCode.STALE, True)
        assert asked == ["Roll out v1 to staging?"]
        assert made.driver.effects == effects
    finally:
        made.driver.kill_all()

"""A release with a provider beside the four: rolled out behind provider-plan, rolled back to one without."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.release.rollout.little import Place

from uniassist.release.env.services import ROLLOUT_ORDER
from uniassist.release.exit_codes import ExitCode
from uniassist.release.records.kept_releases import Release
from uniassist.release.rollback.rollback import walk_rollback
from uniassist.release.rollout import standstill, status
from uniassist.release.rollout.rollout import Rollout
from uniassist.release.walk.site import Site, released_services

FIFTH = "provider-reminder"
FIVE = ("provider-plan", FIFTH, "adapter-wechat", "gateway", "worker")


class PlaceOfFive(Place):
    def with_fifth(self, tag: str) -> Release:
        """A kept release whose environment names a provider."""
        release = self.release(tag)
        (release.folder / "verify.env").write_text("STAGING_PROVIDERS='reminder'\n")
        return release

    def opened(self) -> Site:
        """A command's site, of what was released last."""
        return replace(self.site(), services=released_services(self.home))

    async def rolled_out(self, target: Release) -> ExitCode:
        async def migrated() -> str:
            return self.driver.once("migrate")

        previous = self.home.kept.get(self.home.deployed().current or "")
        run, site = self.begin("rollout", target, previous), self.opened()
        services = site.services_of(target)
        walk = site.walk(run, len(services), services)
        return await Rollout(walk, target, migrated, gone=site.others_than(services)).run()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[PlaceOfFive]:
    made = PlaceOfFive(tmp_path)
    yield made
    made.driver.kill_all()
    made.driver._kill(FIFTH)


def test_the_provider_follows_the_plan_and_a_rollback_to_a_release_without_it_stops_it(place: PlaceOfFive) -> None:
    v1, v2 = place.running("v1"), place.with_fifth("v2")
    assert asyncio.run(place.rolled_out(v2)) == ExitCode.DONE
    assert place.driver.effects == ["prepare v2", "migrate", *(f"deploy {service} v2" for service in FIVE)]
    assert "[2/5] provider-reminder — → v2" in "\n".join(place.said)
    place.home.change(lambda known: known.proved(v2.id))
    site = place.opened()
    assert site.services == FIVE
    found = asyncio.run(status.look(place.home, place.driver, "nobody watches", site.services))
    assert found.running == "v2, all healthy"
    assert [line.split()[0] for line in found.lines()[1:6]] == list(FIVE)
    before = len(place.driver.effects)

    async def verified(_release: Release) -> str:
        return "verified"

    code = walk_rollback(site, place.begin("rollback", v1, v2), v1, verified)
    assert code == ExitCode.ROLLED_BACK, place.said
    assert place.driver.effects[before:] == [
        "stop worker v2",
        *(f"deploy {service} v1" for service in ROLLOUT_ORDER),
        "stop provider-reminder v2",
    ]
    assert "all-new: every service is v1" in place.said
    assert released_services(place.home) == ROLLOUT_ORDER


def test_a_rollout_of_a_release_without_it_stops_it_too(place: PlaceOfFive) -> None:
    place.running("v1")
    assert asyncio.run(place.rolled_out(place.with_fifth("v2"))) == ExitCode.DONE
    before = len(place.driver.effects)
    assert asyncio.run(place.rolled_out(place.release("v3"))) == ExitCode.DONE
    deployed = [f"deploy {service} v3" for service in ROLLOUT_ORDER]
    assert place.driver.effects[before:] == ["prepare v3", *deployed, "stop provider-reminder v2"]


def test_all_stop_in_the_reverse_order_and_start_again(place: PlaceOfFive) -> None:
    place.running("v1")
    asyncio.run(place.rolled_out(place.with_fifth("v2")))
    before = len(place.driver.effects)
    assert standstill.stop_all(place.opened(), lambda _question: None) == ExitCode.DONE
    assert standstill.start_all(place.opened(), lambda _question: None) == ExitCode.DONE
    stopped = [f"stop {service} v2" for service in reversed(FIVE)]
    assert place.driver.effects[before:] == [*stopped, *(f"deploy {service} v2" for service in FIVE)]

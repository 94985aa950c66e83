"""A service of several processes under the local driver: one instance, that is stopped and replaced as a whole."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
from tests.integration.release.drivers.places import Place
from tests.waiting import eventually

from uniassist.release.drivers.driver import Observed
from uniassist.release.drivers.local import LocalDriver

SERVICE = "provider-plan"


def ours(_python: Path, service: str) -> list[str]:
    return [sys.executable, "-m", "uniassist.cli.main", service]


async def test_all_processes_are_one_instance_and_end_together(tmp_path: Path) -> None:
    place = Place("local", tmp_path)
    env = {"PROVIDER_PLAN_PORT": str(place.port), "PROVIDER_PLAN_PROCESSES": "2"}
    driver = LocalDriver(place.home, urls={SERVICE: place.url}, program=ours)
    families: list[list[psutil.Process]] = []
    try:
        for tag in ("v1", "v2"):
            await driver.deploy(SERVICE, place.release(tag, **env))

            async def healthy() -> Observed | None:
                seen = await driver.observe(SERVICE)
                return seen if seen.ok and seen.revision == tag else None  # noqa: B023

            assert not (await eventually(healthy, f"{tag} is healthy")).stranger
            parent = psutil.Process(int((place.home / "services" / SERVICE / "service.lock").read_text()))
            await eventually(lambda: len(parent.children()) == 2, "two processes")  # noqa: B023
            families.append([parent, *parent.children()])
            for _ in range(20):  # whichever of them answers
                seen = await driver.observe(SERVICE)
                assert (seen.state, seen.stranger) == ("running", False), seen.detail
            assert await driver.in_the_way({"HOST": "127.0.0.1", **env}) == []
        assert not any(each.is_running() for each in families[0])
    finally:
        await driver.stop(SERVICE)
    assert not any(each.is_running() for each in families[1])

"""What every driver owes a rollout: the same tests for this host, the operator's commands and a person's hands."""

from __future__ import annotations

from tests.integration.release.drivers.places import SERVICE, Place, stranger
from tests.waiting import eventually

from uniassist.release.drivers.driver import DriverFailed


async def test_what_was_deployed_is_observed_with_its_revision_env_set_and_instance(place: Place) -> None:
    driver, release = place.driver(), place.release("v1")
    await driver.prepare(release)
    await driver.deploy(SERVICE, release)
    seen = await place.healthy(driver, "v1")
    health = place.health()
    assert health is not None
    assert (seen.state, seen.env_digest, seen.instance) == ("running", release.env_digest, health["instance"])
    assert seen.instance


async def test_a_second_deploy_of_what_runs_changes_nothing(place: Place) -> None:
    driver, release = place.driver(), place.release("v1")
    await driver.deploy(SERVICE, release)
    first = await place.healthy(driver, "v1")
    await driver.deploy(SERVICE, release)
    await place.driver().deploy(SERVICE, release)  # another run of the tool
    assert (await place.healthy(driver, "v1")).instance == first.instance
    if place.name == "exec":
        assert (place.folder / "calls").read_text().split() == ["deploy"]


async def test_a_new_release_replaces_the_old_and_revert_brings_it_back_with_its_env_set(place: Place) -> None:
    driver, old, new = place.driver(), place.release("v1"), place.release("v2")
    await driver.deploy(SERVICE, old)
    first = await place.healthy(driver, "v1")
    await driver.deploy(SERVICE, new)
    second = await place.healthy(driver, "v2")
    assert second.instance != first.instance
    assert (place.health() or {})["lamp"] == "v2"
    for _ in range(2):
        await driver.revert(SERVICE, old)
    assert (await place.healthy(driver, "v1")).env_digest == old.env_digest
    assert (place.health() or {})["lamp"] == "v1"


async def test_the_same_revision_with_another_env_set_is_another_release(place: Place) -> None:
    driver = place.driver()
    await driver.deploy(SERVICE, place.release("v1"))
    await place.healthy(driver, "v1")
    changed = place.release("v1", LAMP="brighter")
    await driver.deploy(SERVICE, changed)
    assert (await place.healthy(driver, "v1")).env_digest == changed.env_digest
    assert (place.health() or {})["lamp"] == "brighter"


async def test_what_was_stopped_is_gone_and_stopping_it_again_is_nothing(place: Place) -> None:
    driver = place.driver()
    await driver.stop(SERVICE)  # never deployed
    await driver.deploy(SERVICE, place.release("v1"))
    await place.healthy(driver, "v1")
    for _ in range(2):
        await driver.stop(SERVICE)
        assert place.health() is None
    seen = await driver.observe(SERVICE)
    assert (seen.state, seen.ok) == ("unknown" if place.name == "manual" else "stopped", None)
    await driver.deploy(SERVICE, place.release("v1"))
    await place.healthy(driver, "v1")


async def test_a_stop_of_one_revision_leaves_another_running(place: Place) -> None:
    driver = place.driver()
    await driver.deploy(SERVICE, place.release("v1"))
    first = await place.healthy(driver, "v1")
    await driver.stop(SERVICE, "v2")
    assert (await driver.observe(SERVICE)).instance == first.instance
    await driver.stop(SERVICE, "v1")
    assert place.health() is None


async def test_another_one_that_answers_at_the_url_is_a_stranger(place: Place) -> None:
    with stranger(place.port):
        seen = await place.driver().observe(SERVICE)
    assert (seen.revision, seen.instance) == ("v0", "not-yours")
    if place.name != "manual":  # there a person vouches for what they started; only /health tells what it is
        assert (seen.state, seen.stranger) == ("stopped", True)
        assert "answers" in seen.detail


async def test_another_service_at_the_url_is_a_stranger(place: Place) -> None:
    with stranger(place.port):
        driver = place.driver()
        driver._urls = {"worker": place.url}  # type: ignore[attr-defined]
        seen = await driver.observe("worker")
    assert seen.stranger
    assert "gateway" in seen.detail


async def test_only_where_releases_run_on_this_host_has_one_a_command(place: Place) -> None:
    driver, release = place.driver(), place.release("v1")
    await driver.prepare(release)
    command = driver.command(release)
    assert (command is not None) == (place.name == "local")
    assert driver.waits_for_a_person == (place.name == "manual")
    if command is not None:
        assert str(release.folder) in command[0], "the release's own Python"


async def test_what_was_prepared_for_kept_releases_stays(place: Place) -> None:
    driver, release = place.driver(), place.release("v1")
    await driver.prepare(release)
    assert driver.prune([release]) == []
    await driver.deploy(SERVICE, release)
    await place.healthy(driver, "v1")


async def test_a_release_that_ends_at_once_is_said_with_its_last_words(place: Place) -> None:
    driver = place.driver(deadline_seconds=2.0)
    said = ""
    try:
        await driver.deploy(SERVICE, place.release("v3", BROKEN="1"))
    except DriverFailed as failed:
        said = str(failed)
    expected = "nobody answers" if place.name == "manual" else "the lamp is out of oil"

    async def look() -> bool:
        seen = await driver.observe(SERVICE)
        assert seen.ok is None
        return expected in said + seen.detail

    await eventually(look, expected)
    driver = place.driver()
    await driver.deploy(SERVICE, place.release("v1"))
    await place.healthy(driver, "v1")

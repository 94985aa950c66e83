"""On this host: crashes, orphans, killed tools, taken ports, and files that were changed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.full_disk import disk, fill
from tests.integration.release.drivers.places import SERVICE, Place, started_tool, stranger, tiny_program
from tests.waiting import eventually

from uniassist.release.drivers import keeper
from uniassist.release.drivers.driver import DriverFailed, Observed
from uniassist.release.drivers.embedded import Keepers
from uniassist.release.drivers.local import LocalDriver
from uniassist.release.drivers.runner import ServiceOrder
from uniassist.release.records.kept_releases import Release
from uniassist.release.report.masking import Masker


def folder_of(place: Place) -> Path:
    return place.home / "services" / SERVICE


def keeper_pid(place: Place) -> int:
    return int((folder_of(place) / "keeper.lock").read_text())


async def running(place: Place, tag: str = "v1", **env: str) -> Observed:
    driver = place.driver()
    await driver.deploy(SERVICE, place.release(tag, **env))
    return await place.healthy(driver, tag)


async def test_a_crashed_service_is_started_again_as_another_instance(local: Place) -> None:
    first = await running(local)
    local.kill_service()

    async def again() -> Observed | None:
        seen = await local.driver().observe(SERVICE)
        return seen if seen.ok and seen.instance != first.instance and not seen.stranger else None

    second = await eventually(again, "started again")
    assert first.instance
    assert second.instance == first.instance.replace(".0", ".1")
    assert "ended with -9" in second.detail
    assert "ended with -9; starts again in 0.5 s" in (folder_of(local) / "log").read_text()


async def test_a_keeper_that_hangs_is_called_that_and_holds_nothing_up(local: Place) -> None:
    await running(local)
    hung = keeper_pid(local)
    os.kill(hung, signal.SIGSTOP)
    try:
        said = f"its keeper hangs: process {hung} was stopped by a signal; kill -CONT {hung}"
        await eventually(lambda: _with(local.driver(), said), "seen")
        began = time.monotonic()
        await running(local, "v2")
        # Well below the time that a keeper has to drain.
        assert time.monotonic() - began < 10.0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(hung, signal.SIGKILL)


async def test_a_full_disk_keeps_no_service_from_going_back(tmp_path: Path) -> None:
    with disk(tmp_path / "small", megabytes=32) as small:
        place = Place("local", small)
        await running(place, "v1")
        await running(place, "v2")
        fill(small)
        try:
            await running(place, "v1")
        finally:
            await place.driver().stop(SERVICE)


async def test_a_service_that_ends_again_and_again_counts_as_running_and_can_be_stopped(local: Place) -> None:
    driver = local.driver()
    await driver.deploy(SERVICE, local.release("v3", BROKEN="1"))
    seen = await eventually(lambda: _with(driver, "is started again"), "pausing")
    assert (seen.state, seen.ok) == ("running", None)
    await driver.stop(SERVICE)
    assert (await driver.observe(SERVICE)).state == "stopped"


async def test_what_a_service_said_last_is_shown_without_its_secrets(local: Place) -> None:
    urls, masker = {SERVICE: local.url}, Masker(["the lamp is out of oil"])
    driver = LocalDriver(local.home, urls=urls, program=tiny_program, mask=masker.mask)
    await driver.deploy(SERVICE, local.release("v3", BROKEN="1"))
    seen = await eventually(lambda: _with(driver, "tiny: ***"), "its words")
    assert "out of oil" not in seen.detail


async def test_a_service_whose_keeper_was_killed_serves_on_and_gets_a_keeper_with_the_next_deploy(
    local: Place,
) -> None:
    first = await running(local)
    os.kill(keeper_pid(local), signal.SIGKILL)
    seen = await eventually(lambda: _with(local.driver(), "its keeper is gone"), "seen")
    assert (seen.state, seen.ok, seen.instance, seen.stranger) == ("running", True, first.instance, False)
    second = await running(local)
    assert second.instance != first.instance
    assert psutil.pid_exists(keeper_pid(local))


async def test_a_service_whose_keeper_was_killed_is_found_and_stopped(local: Place) -> None:
    await running(local)
    service = (local.health() or {})["pid"]
    os.kill(keeper_pid(local), signal.SIGKILL)
    await eventually(lambda: _with(local.driver(), "its keeper is gone"), "seen")
    await local.driver().stop(SERVICE)
    assert local.health() is None
    assert _is_gone(service)


async def test_what_doesnt_drain_in_time_is_killed_with_and_without_its_keeper(local: Place) -> None:
    driver = local.driver(drain_seconds=0.3)
    for orphaned in (False, True):
        await driver.deploy(SERVICE, local.release("v4", STUBBORN="1"))
        await local.healthy(driver, "v4")
        service = (local.health() or {})["pid"]
        if orphaned:
            os.kill(keeper_pid(local), signal.SIGKILL)
        await driver.stop(SERVICE)
        assert _is_gone(service)
    assert "not drained in time: killed" in (folder_of(local) / "log").read_text()


async def test_a_closed_terminal_and_a_ctrl_c_leave_it_running(local: Place) -> None:
    first = await running(local)
    for number in (signal.SIGHUP, signal.SIGINT):
        os.kill(keeper_pid(local), number)
    local.kill_service()  # the keeper does its work

    async def again() -> bool:
        seen = await local.driver().observe(SERVICE)
        return bool(seen.ok) and seen.instance != first.instance

    await eventually(again, "started again")


async def test_a_taken_port_is_named_with_who_has_it_and_nothing_is_stopped(local: Place) -> None:
    driver = local.driver()
    await driver.deploy(SERVICE, local.release("v3", BROKEN="1"))  # its keeper goes on trying
    with stranger(local.port) as pid, pytest.raises(DriverFailed) as failed:
        await driver.deploy(SERVICE, local.release("v1"))
    assert f"GATEWAY_PORT: port {local.port} on 127.0.0.1 is taken by process {pid}" in str(failed.value)
    assert "nothing was stopped" in str(failed.value)
    assert (await driver.observe(SERVICE)).state == "running"


async def test_an_env_set_that_was_changed_after_it_was_prepared_is_refused(local: Place) -> None:
    release = local.release("v5")
    await local.driver().prepare(release)
    with (release.folder / "env").open("a") as env:
        env.write("LAMP2=added\n")
    with pytest.raises(DriverFailed, match="env was changed after it was prepared"):
        await local.driver().deploy(SERVICE, release)
    assert local.health() is None


async def test_another_wheel_than_the_one_that_was_gated_is_refused(local: Place) -> None:
    release = local.release("v6")
    with next(release.folder.glob("*.whl")).open("ab") as wheel:
        wheel.write(b"x")
    with pytest.raises(DriverFailed, match=f"expected sha256 {release.wheel_sha256}"):
        await local.driver().prepare(release)


async def test_half_a_virtual_environment_is_built_anew(local: Place) -> None:
    release = local.release("v7")
    (release.folder / "venv" / "bin").mkdir(parents=True)
    (release.folder / "venv" / "bin" / "python").touch()
    (local.home / "dependencies" / ".new-1-1").mkdir(parents=True, exist_ok=True)
    await local.driver().prepare(release)
    await local.driver().deploy(SERVICE, release)
    await local.healthy(local.driver(), "v7")


async def test_dependencies_that_no_kept_release_needs_are_removed(local: Place) -> None:
    kept = local.release("v1")
    driver = local.driver()
    assert isinstance(driver, LocalDriver)
    await driver.prepare(kept)
    (local.home / "dependencies" / "of-before").mkdir()
    assert "of-before" in driver.prune([kept])
    assert await driver.prepare(kept) == "prepared before"


@pytest.mark.parametrize("moment", ["half prepared", "prepared", "the old one is gone", "the new one is ordered"])
async def test_a_tool_that_is_killed_midway_leaves_what_the_next_one_goes_on_from(
    local: Place, moment: str
) -> None:
    first = await running(local)
    new = local.release("v9" if moment == "half prepared" else "v2")
    if moment != "half prepared":
        await local.driver().prepare(new)
    tool = await started_tool(local, new.tag)
    await eventually(lambda: _reached(local, new, moment), moment, pause_seconds=0.001)
    if tool.returncode is None:
        tool.kill()
    await tool.wait()
    second = await running(local, new.tag)
    assert second.instance != first.instance
    await local.driver().stop(SERVICE)
    await eventually(lambda: not _keepers(local), "no keeper is left")
    assert local.health() is None


@pytest.mark.parametrize("ordered", ["before", "since"])
async def test_a_keeper_that_comes_late_starts_nothing(tmp_path: Path, ordered: str) -> None:
    """Its tool was killed before it had its lock; the service was stopped, or another ordered and stopped."""
    keepers, orders = Keepers(tmp_path), []
    for number in ("1", "2"):
        command = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]
        order = ServiceOrder(number, "calm", "v1-x", "v1", "d", "w", command, str(tmp_path), 5.0, ("127.0.0.1", 1))
        await keepers.start(order, {})
        await keepers.stop("calm")
        orders.append(order)
    late = orders[-1] if ordered == "before" else orders[0]
    folder = tmp_path / "services" / "calm"
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", keeper.__file__, str(folder), late.id), stderr=asyncio.subprocess.PIPE
    )
    _, said = await started.communicate()
    assert (started.returncode, b"isn't wanted any more" in said) == (1, True)
    assert not (await keepers.look("calm")).alive
    again = orders[0]
    await keepers.start(again, {})
    assert (await keepers.look("calm")).alive
    await keepers.stop("calm")


async def test_a_log_is_bounded(tmp_path: Path) -> None:
    keepers = Keepers(tmp_path)
    loud = [sys.executable, "-I", "-S", "-c", "while True: print('x' * 1000, flush=True)"]
    order = ServiceOrder("1", "loud", "v1-x", "v1", "d", "w", loud, str(tmp_path), 5.0, ("127.0.0.1", 1), 100_000)
    await keepers.start(order, {})
    log = tmp_path / "services" / "loud" / "log"
    try:
        await eventually(lambda: (log.parent / "log.1").exists(), "turned")
    finally:
        await keepers.stop("loud")
    assert "stopped; ended with" in log.read_text(errors="replace")


def test_the_keeper_needs_nothing_but_the_standard_library() -> None:
    used = {name for name in _imports(Path(keeper.__file__)) if name != "__future__"}
    assert used <= set(sys.stdlib_module_names)


def _imports(path: Path) -> set[str]:
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[1].partition(".")[0] for words in lines if words[:1] in (["import"], ["from"])}


async def _with(driver: object, text: str) -> Observed | None:
    assert isinstance(driver, LocalDriver)
    seen = await driver.observe(SERVICE)
    return seen if text in seen.detail else None


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _keepers(place: Place) -> list[int]:
    return [p.pid for p in psutil.process_iter() if _names(p, str(folder_of(place)))]


def _names(process: psutil.Process, argument: str) -> bool:
    try:
        return argument in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _reached(place: Place, new: Release, moment: str) -> bool:
    looks: dict[str, Callable[[], bool]] = {
        "half prepared": lambda: (new.folder / "venv" / "bin").exists(),
        "prepared": lambda: (new.folder / "prepared.json").exists(),
        "the old one is gone": lambda: place.health() is None,
        "the new one is ordered": lambda: b'"v2"' in (folder_of(place) / "order.json").read_bytes(),
    }
    return looks[moment]()

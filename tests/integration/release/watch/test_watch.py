"""A watch as a process over four tiny services: what fires, what is held, and who watches."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.release.commands import Command
from tests.integration.release.watch.started_watch import THRESHOLDS, StartedWatch
from tests.integration.release.watch.tiny_services import TinySystem
from tests.ports import free_port
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.release.watch.directory import WatchDirectory, who_watches


@pytest.fixture
def system(tmp_path: Path) -> Iterator[TinySystem]:
    tiny = TinySystem(tmp_path)
    tiny.start()
    yield tiny
    tiny.stop()


@pytest.fixture
def watch(tmp_path: Path, system: TinySystem) -> Iterator[Callable[..., StartedWatch]]:
    started: list[StartedWatch] = []

    def start(on_trigger: str = "rollback", code: int = 20, **env: str) -> StartedWatch:
        started.append(StartedWatch(tmp_path, on_trigger, code, {**system.variables, **env}))
        return started[-1]

    yield start
    for each in started:
        each.kill()


async def test_a_service_that_goes_down_is_rolled_back(
    watch: Callable[..., StartedWatch], system: TinySystem, tmp_path: Path
) -> None:
    alerts = tmp_path / "alerts"
    started = watch(STAGING_ALERT_COMMAND=f"cat >> {alerts}")
    await started.watches()
    system.kill("worker")

    assert await started.ends() == 20, started.said
    assert "proof: a synthetic failure fired the health trigger" in started.said
    assert "TRIGGER (health): worker failed every probe" in started.said
    fired = started.directory.trigger()
    assert fired is not None
    assert (fired.kind, fired.subject, fired.first_failed.service) == ("health", "worker", "worker")
    assert fired.first_failed.asked.endswith("/health")
    assert fired.first_failed.at < fired.triggered_at
    rolled = next(line for line in started.log.read_text().splitlines() if line.startswith("rolling"))
    assert f"--yes --because {fired.reason} --first-failed-at {fired.first_failed.at}" in rolled
    kinds = [json.loads(line)["kind"] for line in alerts.read_text().splitlines()]
    assert kinds[0] == "test"
    assert "alert" in kinds
    assert started.state().ended == "rolled back and verified"
    records = list((tmp_path / "home/runs").glob("*-watch-*.json"))
    assert [json.loads(record.read_text())["exitCode"] for record in records] == [20]


async def test_a_rollback_that_does_not_succeed_is_incomplete(
    watch: Callable[..., StartedWatch], system: TinySystem
) -> None:
    started = watch(code=30)
    await started.watches()
    system.set("gateway", status=503, postgres="ok")
    assert await started.ends() == 21, started.said
    assert "the rollback ended with 30" in started.said


async def test_on_hold_nothing_is_rolled_back(watch: Callable[..., StartedWatch], system: TinySystem) -> None:
    started = watch("hold")
    await started.watches()
    system.set("adapter-wechat", status=503, gateway="failing")
    assert await started.ends() == 22, started.said
    assert "rolling" not in started.said
    assert "held: --on-trigger hold" in started.said
    assert not who_watches(started.directory.path.parents[2], "staging").is_watched
    assert "nobody watches since" in started.directory.look().sentence()


async def test_flapping_warns_and_fires_nothing(watch: Callable[..., StartedWatch], system: TinySystem) -> None:
    started = watch()
    await started.watches()
    for turn in range(1, 5):
        system.set("gateway", status=503)
        await started.says("gateway fails", turn)
        system.set("gateway", status=200)
        await started.says("gateway is ok again", turn)
    await started.says("gateway is flapping")
    assert "TRIGGER" not in started.said
    assert started.process.poll() is None


async def test_an_outage_of_redis_is_held_and_alerted(
    watch: Callable[..., StartedWatch], system: TinySystem, own_redis: EmbeddedRedis
) -> None:
    for service in ("gateway", "worker"):
        system.set(service, status=200, redis="ok")
    started = watch(REDIS_URL=own_redis.url)
    await started.watches()
    own_redis.process.kill()
    system.set("gateway", status=503, redis="failing")
    system.set("worker", status=503, redis="failing")
    await started.says("ALERT: redis is away")
    system.set("gateway", status=200, redis="failing")
    await started.says("gateway is ok again")
    await eventually(lambda: "redis is away" in started.state().held, "its state, written after it is said, holds")
    first = started.probed_at("worker")
    await eventually(lambda: started.probed_at("worker") - first > 3.0, "it fails for longer than fires", 30.0)
    own_redis.start()
    await started.says("redis is back")
    system.set("worker", status=200, redis="ok")
    await started.says("worker is ok again")
    assert "TRIGGER" not in started.said


async def test_an_outage_of_postgres_named_by_all_is_held(
    watch: Callable[..., StartedWatch], system: TinySystem
) -> None:
    """Without a URL to try: what all services name that need it."""
    for service in ("gateway", "worker", "adapter-wechat"):
        system.set(service, status=200, postgres="ok")
    started = watch()
    await started.watches()
    for service in ("gateway", "worker", "adapter-wechat"):
        system.set(service, status=503, postgres="full (disk)")
    await started.says("gateway fails: not healthy (503): postgres: full (disk)")
    await started.says("ALERT: postgres is full (disk) (3 services name it)")
    await started.says("outbox: no data")
    for service in ("gateway", "worker", "adapter-wechat"):
        system.set(service, status=200, postgres="ok")
    await started.says("postgres is back")
    assert "TRIGGER" not in started.said


async def test_a_killed_watch_is_told_since_when(watch: Callable[..., StartedWatch]) -> None:
    started = watch()
    await started.watches()
    assert started.directory.look().is_watched
    started.process.kill()
    started.process.wait(10)
    looked = started.directory.look()
    assert not looked.is_watched
    assert f"NOBODY WATCHES since {started.state().heartbeat}" in looked.sentence()


async def test_a_closed_terminal_does_not_end_it_and_a_second_watch_says_who(
    command: Command, system: TinySystem, tmp_path: Path
) -> None:
    arguments = ("release", "watch", "--for", "5m", "--thresholds", str(THRESHOLDS), "--on-trigger", "hold")
    terminal = command.start(arguments, system.variables)
    directory = WatchDirectory(tmp_path / ".uniassist/release", "staging")
    await eventually(lambda: (s := directory.look().state) and len(s.services) == 4, "it watches", 30.0)
    state = directory.look().state
    assert state is not None
    try:
        terminal.send_signal(signal.SIGHUP)
        terminal.communicate(timeout=60)
        beat = state.heartbeat
        await eventually(lambda: (s := directory.look().state) and s.heartbeat > beat, "its heart goes on")

        second = command(*arguments, **system.variables)

        assert second.code == 30
        assert f"process {state.pid} watches what runs now since {state.since}" in second.err
    finally:
        os.kill(state.pid, signal.SIGTERM)
        await eventually(lambda: not directory.look().is_watched, "it ends")
    ended = directory.look().state
    assert ended is not None
    assert (ended.ended, ended.exit_code) == ("stopped by a person", 130)


async def test_ctrl_c_ends_it(command: Command, system: TinySystem) -> None:
    ended = command.interrupted(
        "release", "watch", "--thresholds", str(THRESHOLDS), when=lambda line: "proof:" in line, **system.variables
    )
    assert ended.code == 130, ended.said
    assert "nobody watches now" in ended.said


def test_a_dry_run_touches_nothing(command: Command, system: TinySystem, tmp_path: Path) -> None:
    ended = command("release", "watch", "--thresholds", str(THRESHOLDS), "--dry-run", **system.variables)
    assert ended.code == 0, ended.said
    assert "would prove the alarm" in ended.out
    assert not (tmp_path / ".uniassist").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--for", "15"), "--for: expected a time such as 90s"),
        (("--on-trigger", "panic"), "--on-trigger: expected rollback or hold"),
        (("--rolled-out-at", "noon"), "--rolled-out-at: expected a time"),
        (("--thresholds", "none.toml"), "none.toml: can't be read"),
    ],
)
def test_wrong_usage_is_named(command: Command, arguments: tuple[str, ...], named: str) -> None:
    urls = {
        f"STAGING_{name}_BASE_URL": f"http://127.0.0.1:{free_port()}"
        for name in ("GATEWAY", "PROVIDER_PLAN", "ADAPTER_WECHAT")
    }
    ended = command("release", "watch", "--thresholds", str(THRESHOLDS), *arguments, **urls)
    assert ended.code == 2, ended.said
    assert named in ended.err

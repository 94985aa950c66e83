"""`uniassist doctor` as a newcomer and a script call it, with the system running and not."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.integration.devstack.system import SERVICES, System, alive


def test_on_a_machine_that_has_all_it_exits_zero(new_system: Callable[..., System]) -> None:
    system = new_system()
    done = system.run("doctor")
    assert done.returncode == 0, done.stdout
    assert "fail" not in done.stdout
    report = json.loads(system.run("doctor", "--json").stdout)
    assert report["ok"] is True
    assert {"python", "postgres", "redis", "settings", "state", "disk"} <= {f["name"] for f in report["findings"]}
    assert not system.directory.exists(), "looking makes nothing"


def test_what_is_wrong_is_one_line_with_its_remedy_and_exit_code_one(new_system: Callable[..., System]) -> None:
    system = new_system(DATABASE_URL="postgresql://me:s3cret-word@127.0.0.1:9/x", OUTBOX_POLL_MS="soon")
    done = system.run("doctor")
    assert done.returncode == 1
    assert done.stdout.count("fail ") == 2
    assert "OUTBOX_POLL_MS" in done.stdout
    assert "unset it to use the embedded one" in " ".join(done.stdout.split())
    assert "s3cret-word" not in done.stdout + done.stderr
    report = json.loads(system.run("doctor", "--json").stdout)
    assert report["ok"] is False
    assert [f["name"] for f in report["findings"] if f["level"] == "fail"] == ["settings", "postgres"]


def test_the_ports_of_the_running_system_are_its_own(running: System, new_system: Callable[..., System]) -> None:
    done = running.run("doctor")
    assert done.returncode == 0, done.stdout
    assert all(f"{service}, running" in done.stdout for service in SERVICES)
    stranger = new_system(GATEWAY_PORT=running.env["GATEWAY_PORT"]).run("doctor")
    assert stranger.returncode == 1
    assert "set GATEWAY_PORT" in stranger.stdout


def test_looking_disturbs_nothing(running: System) -> None:
    before = running.pids()
    running.run("doctor")
    assert running.pids() == before
    assert all(alive(process) for process in running.family())

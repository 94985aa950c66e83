"""A system that `up` runs: what it shows, what works as printed, and that it heals itself."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from collections.abc import Callable

import psutil
import psycopg
from redis import Redis
from tests.integration.devstack.system import SERVICES, Json, System, alive, get, ingest, timeline
from tests.waiting import eventually


def test_status_gives_scripts_every_service_with_its_url_and_process(running: System) -> None:
    done = running.run("status", "--json", "--secrets")
    status = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert status["stateDir"] == str(running.directory)
    assert [service["name"] for service in status["services"]] == list(SERVICES)
    for service in status["services"]:
        assert service["url"] == running.url(service["name"])
        assert service["health"] == "ok"
        assert alive(psutil.Process(service["pid"]))
    with psycopg.connect(status["databaseUrl"]) as connection:
        assert connection.execute("SELECT count(*) FROM outbox_events").fetchone() is not None
    with Redis.from_url(status["redisUrl"]) as client:
        assert client.ping()


def test_status_shows_a_person_the_same_without_the_password(running: System) -> None:
    password = (running.directory / "postgres" / "password").read_text("utf-8").strip()
    done = running.run("status")
    assert done.returncode == 0
    assert all(running.url(service) in done.stdout for service in SERVICES)
    assert "postgres:***@" in done.stdout
    assert password not in done.stdout + running.said()


def test_what_holds_secrets_is_readable_by_its_owner_only(running: System) -> None:
    for name in ("state.json", "kept.json", "postgres/password"):
        mode = stat.S_IMODE((running.directory / name).stat().st_mode)
        assert mode & 0o077 == 0, f"{name} has mode {mode:o}"


async def test_the_printed_curl_line_works_and_its_message_goes_all_the_way_through(running: System) -> None:
    line = next(line for line in running.said().splitlines() if "/v0/ingest" in line)
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    ack = json.loads(done.stdout)
    assert ack["routing"]["candidates"][0]["providerId"] == "plan"
    session, gateway = ack["sessionId"], running.url("gateway")
    assert await eventually(lambda: any(_is_form(event) for event in timeline(gateway, session)), "the plan's form")
    events = timeline(gateway, session)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["kind"] for event in events][:3] == ["inbound", "routing_decision", "provider_run"]
    await _all_consumed(running, session)
    with Redis.from_url(running.status()["redisUrl"]) as client:
        assert client.xlen(f"uniassist:timeline:{session}") == len(timeline(gateway, session))


def test_the_printed_commands_work_as_printed(running: System) -> None:
    send, follow = re.findall(r"^  (\S*uniassist .*)$", running.said(), re.MULTILINE)
    bare = running.env | {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", send], env=bare, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    once = follow.replace(" --follow", "")
    done = subprocess.run(["bash", "-c", once], env=bare, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "计划" in done.stdout


def test_a_second_up_says_who_runs_and_leaves_it_alone(running: System) -> None:
    before = running.pids()
    for arguments in (("up",), ("up", "--detach")):
        done = running.run(*arguments)
        assert done.returncode == 1
        assert running.process is not None
        assert f"process {running.process.pid}" in done.stderr
        assert str(running.directory) in done.stderr
    assert running.pids() == before


def test_a_taken_port_is_named_with_its_variable_before_anything_starts(
    running: System, new_system: Callable[..., System]
) -> None:
    other = new_system(WORKER_PORT=running.env["WORKER_PORT"])
    for arguments in (("up",), ("up", "--detach")):
        done = other.run(*arguments)
        assert done.returncode == 1
        assert f"WORKER_PORT: port {running.env['WORKER_PORT']} is taken" in done.stderr
    assert not (other.directory / "postgres").exists()


async def test_a_killed_service_runs_again_and_that_is_said(running: System) -> None:
    before = running.pids()
    victim = psutil.Process(before["provider-plan"])
    victim.kill()
    said = await running.says("provider-plan ended with -9")
    assert "provider-plan starts again in" in said
    after = await eventually(lambda: _healthy(running), "all healthy again")
    assert after["provider-plan"] not in (None, before["provider-plan"])
    assert {name: pid for name, pid in after.items() if name != "provider-plan"} == {
        name: pid for name, pid in before.items() if name != "provider-plan"
    }
    restarts = {service["name"]: service["restarts"] for service in running.status()["services"]}
    assert restarts["provider-plan"] == 1


async def test_killed_servers_run_again_and_nothing_acknowledged_is_lost(running: System) -> None:
    before, gateway, session = running.pids(), running.url("gateway"), "servers-killed"
    acknowledged = [number for number in range(10) if ingest(gateway, session, number)]
    assert len(acknowledged) == 10
    running.server("postgres").kill()
    running.server("valkey-server").kill()
    acknowledged += [number for number in range(10, 40) if ingest(gateway, session, number)]
    said = await running.says("redis starts again in")
    assert "postgres starts again in" in said

    def accepted() -> bool:
        return ingest(gateway, session, 40)

    await eventually(accepted, "messages are accepted again", 60)
    await eventually(lambda: _healthy(running), "all healthy again", 30)
    assert running.pids() == before, "the services stayed up"
    written = [event["traceId"] for event in timeline(gateway, session) if event["kind"] == "inbound"]
    assert {f"{session}-{number}" for number in [*acknowledged, 40]} <= set(written)
    await _all_consumed(running, session)


def test_the_services_logs_are_kept_in_the_state_directory(running: System) -> None:
    for service in SERVICES:
        lines = (running.directory / "logs" / f"{service}.log").read_text("utf-8").splitlines()
        assert json.loads(lines[0])["service"] == service


async def test_only_warnings_and_worse_reach_the_terminal_with_the_services_name(running: System) -> None:
    running.server("valkey-server").kill()

    def levels_said() -> list[str]:
        return re.findall(
            r"^(?:gateway|worker|adapter-wechat|provider-plan) +(\w+): ", running.said(), re.MULTILINE
        )

    levels = await eventually(levels_said, "somebody warns that Redis is away", 30)
    await eventually(lambda: _healthy(running), "all healthy again", 30)
    assert set(levels) <= {"warning", "error", "critical"}, running.said()


def _is_form(event: Json) -> bool:
    return event["kind"] == "interaction" and event.get("extensionKind") == "data_collection_request"


def _healthy(system: System) -> dict[str, int | None]:
    """The services' processes once /health of all is good, otherwise nothing."""
    if any(get(f"{system.url(service)}/health")[0] != 200 for service in SERVICES):
        return {}
    return system.pids()


async def _all_consumed(system: System, session: str) -> None:
    with psycopg.connect(system.status()["databaseUrl"], autocommit=True) as connection:
        query = "SELECT count(*) FROM outbox_events WHERE session_id = %s AND status <> 'consumed'"

        def open_rows() -> bool:
            return connection.execute(query, (session,)).fetchone() == (0,)

        await eventually(open_rows, "all of the session's outbox rows are consumed", 60)

"""Each finding of the doctor, and that what is not well comes with a way to mend it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ports import free_port

from uniassist.devstack import doctor
from uniassist.devstack import plan as plans
from uniassist.devstack.doctor import DoctorFinding
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.devstack.state import RunState, ServiceState, StateDirectory

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="the embedded Postgres changes its user only as root")


@pytest.fixture
def port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def _level(findings: list[DoctorFinding], name: str) -> str:
    return next(finding.level for finding in findings if finding.name == name)


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10, 14), "fail"), ((3, 11, 0), "ok"), ((3, 12, 3), "ok"), ((3, 9), "fail")]
)
def test_python_from_three_eleven_on(version: tuple[int, ...], level: str) -> None:
    assert doctor.python(version).level == level


def test_the_command_on_the_path_is_ours_or_a_warning(tmp_path: Path) -> None:
    assert doctor.command({"PATH": str(Path(sys.executable).parent)}).level == "ok"
    assert doctor.command({"PATH": str(tmp_path)}).level == "warn"
    other = tmp_path / "uniassist"
    other.touch(mode=0o755)
    found = doctor.command({"PATH": str(tmp_path)})
    assert (found.level, str(other) in found.said) == ("warn", True)


def test_settings_that_a_service_would_refuse_are_named_with_the_service() -> None:
    assert [finding.level for finding in doctor.settings({})] == ["ok"]
    (batch,) = doctor.settings({"OUTBOX_BATCH_SIZE": "many"})
    assert (batch.level, "OUTBOX_BATCH_SIZE" in batch.said, "worker" in batch.said) == ("fail", True, True)
    everywhere = list(doctor.settings({"UNIASSIST_ENV": "production"}))
    assert len(everywhere) == 1, "one fault is one line, however many services read it"


def test_outside_dev_a_missing_or_placeholder_secret_is_found_and_not_shown() -> None:
    missing = list(doctor.settings({"UNIASSIST_ENV": "staging"}))
    assert any("UNIASSIST_ADAPTER_SECRET" in finding.said for finding in missing)
    weak = list(doctor.settings({"UNIASSIST_ENV": "staging", "UNIASSIST_ADAPTER_SECRET": "hunter2"}))
    assert all(finding.level == "fail" for finding in weak)
    assert "hunter2" not in str(weak)


def test_ports_are_free_taken_or_ours(tmp_path: Path, port: int) -> None:
    directory = StateDirectory(tmp_path)
    free = {name: free_port() for name in plans.PORT_VARIABLES.values() if name != "GATEWAY_PORT"}
    plan = plans.read({name: str(value) for name, value in free.items()} | {"GATEWAY_PORT": str(port)})
    findings = list(doctor.ports(plan, directory))
    assert sorted(finding.level for finding in findings) == ["fail", "ok", "ok", "ok", "ok"]
    taken = next(finding for finding in findings if finding.level == "fail")
    assert taken.name == f"port {port}"
    assert f"process {os.getpid()}" in taken.said
    assert "GATEWAY_PORT" in taken.remedy
    with directory.locked():
        gateway = ServiceState("gateway", f"http://127.0.0.1:{port}", os.getpid())
        directory.write(RunState(os.getpid(), 0.0, True, "", "", [gateway]))
        assert {finding.level for finding in doctor.ports(plan, directory)} == {"ok"}


def test_a_port_given_twice_fails(tmp_path: Path) -> None:
    same = str(free_port())
    plan = plans.read({"GATEWAY_PORT": same, "WORKER_PORT": same})
    twice = [finding for finding in doctor.ports(plan, StateDirectory(tmp_path)) if "given to" in finding.said]
    assert [(f.name, f.level, f.said) for f in twice] == [
        (f"port {same}", "fail", "given to gateway and to worker")
    ]


def test_given_servers_answer_with_their_version(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis
) -> None:
    database, streams = doctor.database(postgres_server.url_for("postgres")), doctor.streams(redis_server.url)
    assert (database.level, ":***@" in database.said, "18." in database.said) == ("ok", True, True)
    assert streams.level == "ok"


def test_a_redis_of_the_least_version_is_fine(server_directory: Path) -> None:
    old = EmbeddedRedis(server_directory / "doctor-redis", flavour="redis-6.2")
    old.start()
    try:
        found = doctor.streams(old.url)
    finally:
        old.process.kill()
    assert (found.level, "6.2." in found.said) == ("ok", True)


def test_a_server_that_is_away_fails_without_its_password() -> None:
    nobody = free_port()
    for variable, found in (
        ("DATABASE_URL", doctor.database(f"postgresql://me:s3cret-word@127.0.0.1:{nobody}/x")),
        ("REDIS_URL", doctor.streams(f"redis://:s3cret-word@127.0.0.1:{nobody}/0")),
    ):
        assert found.level == "fail"
        assert variable in found.said
        assert "s3cret-word" not in str(found)
        assert found.remedy


def test_a_wrong_password_fails_and_is_not_shown(postgres_server: EmbeddedPostgres) -> None:
    found = doctor.database(f"postgresql://postgres:s3cret-word@127.0.0.1:{postgres_server.port}/postgres")
    assert (found.level, "s3cret-word" in str(found)) == ("fail", False)


def test_embedded_servers_are_run_to_see_that_they_run() -> None:
    assert [doctor.database(None).level, doctor.streams(None).level] == ["ok", "ok"]


def test_a_state_directory_is_judged_before_it_is_there(tmp_path: Path) -> None:
    assert doctor.state_directory(tmp_path / "new" / "er", embedded=False).level == "ok"
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        assert doctor.state_directory(path, embedded=False).level == "fail"
    assert not (tmp_path / "new").exists()


@as_root
def test_as_root_a_closed_folder_on_the_way_is_named(server_directory: Path) -> None:
    closed = server_directory / "doctor-closed"
    (closed / "below").mkdir(parents=True)
    closed.chmod(0o700)
    found = doctor.state_directory(closed / "below" / "state", embedded=True)
    assert (found.level, str(closed) in found.said) == ("fail", True)
    assert doctor.state_directory(closed / "below" / "state", embedded=False).level == "ok"
    assert doctor.state_directory(closed, embedded=True).level == "ok", "`up` opens the state directory itself"


@pytest.mark.parametrize(("free", "level"), [(0, "fail"), (10**7, "fail"), (10**9, "warn"), (10**10, "ok")])
def test_little_room_warns_and_hardly_any_fails(free: int, level: str) -> None:
    assert doctor.disk_space(free).level == level


def test_what_an_earlier_run_left_is_told(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    (nothing,) = doctor.earlier_run(directory)
    assert (nothing.level, "nothing runs" in nothing.said) == ("ok", True)
    directory.write(RunState(os.getpid(), 0.0, True, "", "", []))
    (killed,) = doctor.earlier_run(directory)
    assert (killed.level, "killed" in killed.said) == ("warn", True)
    with directory.locked():
        directory.write(RunState(4711, 0.0, True, "", "", []))
        (running,) = doctor.earlier_run(directory)
        assert (running.level, "4711" in running.said) == ("ok", True)


def test_a_postgres_without_its_up_is_told_and_a_strangers_pid_is_not(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    stay = "import signal; print(flush=True); signal.pause()"
    for arguments, level in (([str(data)], "warn"), ([], "ok")):
        process = subprocess.Popen([sys.executable, "-c", stay, *arguments], stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            with process.stdout:
                process.stdout.readline()  # for a moment after it has begun, a process has no arguments
            (data / "postmaster.pid").write_text(f"{process.pid}\n{data}\n", "utf-8")
            (found,) = doctor.earlier_run(StateDirectory(tmp_path))
        finally:
            process.kill()
            process.wait(10)
        assert found.level == level
        assert (str(process.pid) in found.said) is (level == "warn")


def test_examining_writes_nothing_and_every_fault_has_a_remedy(tmp_path: Path, port: int) -> None:
    directory = StateDirectory(tmp_path / "none")
    environ = {"GATEWAY_PORT": str(port), "OUTBOX_POLL_MS": "soon", "REDIS_URL": "redis://127.0.0.1:1/0"}
    findings = doctor.examine(directory, environ)
    assert [_level(findings, name) for name in ("settings", "redis", f"port {port}")] == ["fail"] * 3
    assert all(finding.remedy for finding in findings if finding.level != "ok")
    assert not any(finding.remedy for finding in findings if finding.level == "ok")
    assert not directory.path.exists()


def test_settings_that_can_not_be_read_do_not_hide_the_rest(tmp_path: Path) -> None:
    findings = doctor.examine(StateDirectory(tmp_path), {"GATEWAY_PORT": "many"})
    assert _level(findings, "settings") == "fail"
    assert {"python", "state", "disk", "up"} <= {finding.name for finding in findings}

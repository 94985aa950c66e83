"""How several processes of a service start, and how they end when one of them can't."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.forking import ended, uniassist
from tests.integration.gateway.client import GatewayClient, message
from tests.integration.gateway.processes.each_process import all_up, children, samples
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

Start = Callable[..., ServiceProcess]


@pytest.fixture
def env(service: Start, tmp_path: Path, shared_database_url: str, shared_redis_url: str) -> dict[str, str]:
    """Of a gateway that isn't started, on a port that is free."""
    return ServiceProcess(
        "gateway", tmp_path / "log", {"DATABASE_URL": shared_database_url, "REDIS_URL": shared_redis_url}
    ).env


@pytest.mark.parametrize("given", ["0", "65", "two", "1.5"])
def test_a_wrong_number_names_its_variable(env: dict[str, str], given: str) -> None:
    expected = "GATEWAY_PROCESSES: expected an integer from 1 to 64"
    by_variable = ended(["gateway"], env=env | {"GATEWAY_PROCESSES": given})
    by_option = ended(["gateway", "--processes", given], env=env)
    for end in (by_variable, by_option):
        assert end.returncode == 1
        assert expected in end.stderr
        assert "Traceback" not in end.stderr


def test_a_taken_port_is_said_before_any_process_is_started(
    service: Start, env: dict[str, str], shared_database_url: str, shared_redis_url: str
) -> None:
    there = service("gateway", DATABASE_URL=shared_database_url, REDIS_URL=shared_redis_url)
    end = ended(["gateway"], env=env | {"GATEWAY_PROCESSES": "2", "PORT": str(there.port)})
    assert end.returncode == 1
    assert end.stderr == f"PORT: port {there.port} on 127.0.0.1 is taken; stop what uses it, or set PORT\n"


def test_what_keeps_a_process_from_starting_is_said_once_and_ends_the_parent(
    env: dict[str, str], tmp_path: Path
) -> None:
    missing = tmp_path / "nowhere.toml"
    end = ended(["gateway"], env=env | {"GATEWAY_PROCESSES": "3", "UNIASSIST_PROVIDERS_FILE": str(missing)})
    assert end.returncode == 1
    assert end.stderr.count("UNIASSIST_PROVIDERS_FILE") == 1
    assert end.stderr.endswith("process 1 of 3 ended with 1 before it took requests\n")


async def test_a_process_that_can_never_be_replaced_ends_them_all(
    service: Start, tmp_path: Path, providers_file: Path, shared_database_url: str, shared_redis_url: str
) -> None:
    own = tmp_path / "providers.toml"
    shutil.copy(providers_file, own)
    gateway = service(
        "gateway",
        DATABASE_URL=shared_database_url,
        REDIS_URL=shared_redis_url,
        UNIASSIST_PROVIDERS_FILE=str(own),
        GATEWAY_PROCESSES="2",
    )
    await all_up(gateway.url, 2)
    processes = children(gateway)
    own.unlink()
    os.kill(processes[0].pid, signal.SIGKILL)
    await eventually(lambda: not gateway.process.running, "it gives up", 90)
    assert gateway.process.exit_code == 1
    said = gateway.process.log.read_text()
    assert "of 2 ended with 1 before it took requests, 5 times in a row\n" in said
    assert "UNIASSIST_PROVIDERS_FILE" in said
    assert not processes[1].is_running()


async def test_two_by_the_option(env: dict[str, str], http: JsonClient) -> None:
    url = f"http://127.0.0.1:{env['PORT']}"
    gateway = uniassist(["gateway", "--processes", "2"], env=env)
    try:

        async def up() -> bool:
            return gateway.poll() is not None or await _is_up(http, url)

        await eventually(up, "it is up", 60)
        await all_up(url, 2)
        await GatewayClient(http, url).ingest(message())
        assert sum((await samples(http, url, "uniassist_ingest_total")).values()) == 1
    finally:
        gateway.terminate()
        _, said = gateway.communicate(timeout=30)
    assert gateway.returncode == 0, said


async def _is_up(http: JsonClient, url: str) -> bool:
    try:
        return (await http.request("GET", f"{url}/health", timeout_seconds=2)).status == 200
    except Exception:
        return False

"""The compose file: order, health, confinement, names; and that the example of a driver drives just this."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.ops.manifests import OPTIONAL, ROLLOUT

from uniassist.devstack.plan import PORT_VARIABLES
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.devstack.redis import binary as redis_binary
from uniassist.release.drivers.exec_file import ExecFile, read_exec_file
from uniassist.release.env.services import ROLLOUT_ORDER, known
from uniassist.settings import secret_files
from uniassist.settings.variables import VARIABLES

ROOT = Path(__file__).parents[3]
FILE = ROOT / "ops/deploy/compose/compose.yaml"
TEXT = FILE.read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
_SECONDS = re.compile(r"(\d+)s")
_DOCKER = """#!/bin/sh
printf '%s\\n' "$@" > "$SEEN/arguments"
env > "$SEEN/environment"
"""


def condition(service: str, on: str) -> str:
    found: str = SERVICES[service]["depends_on"][on]["condition"]
    return found


def test_there_is_the_system_and_nothing_else() -> None:
    assert set(SERVICES) == {"postgres", "redis", "migrate", *ROLLOUT}


def test_each_waits_for_its_predecessor_of_the_rollout_to_be_healthy() -> None:
    assert condition("migrate", "postgres") == "service_healthy"
    assert condition(ROLLOUT[0], "migrate") == "service_completed_successfully"
    for before, after in itertools.pairwise(ROLLOUT):
        assert condition(after, before) == "service_healthy", after
    assert condition("adapter-wechat", "redis") == "service_healthy"


def test_an_optional_service_wants_its_profile_and_the_four_are_whole_without_it() -> None:
    profiles = {service: found["profiles"] for service, found in SERVICES.items() if "profiles" in found}
    assert profiles == {service: [service.removeprefix("provider-")] for service in OPTIONAL}
    for before, after in itertools.pairwise(ROLLOUT_ORDER):
        assert condition(after, before) == "service_healthy", "the runbook's four wait for each other as well"
    for service, found in SERVICES.items():
        for on, said in found.get("depends_on", {}).items():
            assert said.get("required", True) is (on not in OPTIONAL), (service, on)


def test_a_provider_is_called_in_the_network_of_the_containers_an_optional_one_where_the_env_file_has_it() -> None:
    for service in (each for each in ROLLOUT if each.startswith("provider-")):
        found = known(service)
        inside = f"http://{service}:{VARIABLES[found.port_variable].default}"
        variable = found.base_url_variable or ""
        value = f"${{{variable}:+{inside}}}" if service in OPTIONAL else inside
        assert COMPOSE["x-environment"][variable] == value


@pytest.mark.parametrize("service", ROLLOUT)
class TestEachService:
    def test_is_confined(self, service: str) -> None:
        found = SERVICES[service]
        assert found["read_only"] is True
        assert found["cap_drop"] == ["ALL"]
        assert found["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in found
        assert "user" not in found, "the image says it"
        assert found["mem_limit"]
        assert found["pids_limit"]

    def test_has_the_time_of_its_drain(self, service: str) -> None:
        matched = _SECONDS.fullmatch(SERVICES[service]["stop_grace_period"])
        assert matched is not None
        assert int(matched[1]) >= 25, "ten seconds for its own work, ten for its requests"

    def test_is_its_own_first_process(self, service: str) -> None:
        shell, option, script = SERVICES[service]["entrypoint"]
        assert (shell, option) == ("/bin/sh", "-c")
        assert script == f"UNIASSIST_INSTANCE=$$HOSTNAME exec uniassist {service}"
        assert "init" not in SERVICES[service]

    def test_is_asked_where_it_listens(self, service: str) -> None:
        variable = PORT_VARIABLES[service]
        inside = SERVICES[service]["environment"][variable]
        assert inside == VARIABLES[variable].default
        assert SERVICES[service]["ports"] == [f"127.0.0.1:${{{variable}:-{inside}}}:{inside}"]
        kind, program, _, code = SERVICES[service]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python3"), "no shell, and nothing that the image lacks"
        path = "/health/live" if service == "adapter-wechat" else "/health"
        assert f"'http://127.0.0.1:{inside}{path}'" in code
        compile(code, "healthcheck", "exec")

    def test_gets_variables_that_there_are(self, service: str) -> None:
        for name, value in SERVICES[service]["environment"].items():
            assert name in VARIABLES or secret_files.secret_of(name), name
            if secret_files.secret_of(name):
                assert value.removeprefix("/run/secrets/") in SERVICES[service]["secrets"]
            elif VARIABLES[name].secret:
                assert value == "", "a secret in the open"


def test_every_secret_that_is_named_is_given_and_made_by_the_script(tmp_path: Path) -> None:
    named = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert named == set(COMPOSE["secrets"])
    script = FILE.with_name("init.sh")
    for _ in range(2):  # what is there stays
        subprocess.run(["sh", script, tmp_path / "secrets"], check=True, capture_output=True, timeout=30)
        made = {path.name: path.read_text("utf-8").strip() for path in (tmp_path / "secrets").iterdir()}
        assert set(made) == named
        assert made["database-url"] == f"postgresql://uniassist:{made['postgres-password']}@postgres:5432/uniassist"
        password = made["redis-url"].removeprefix("redis://:").partition("@")[0]
        assert f"requirepass {password}" in made["redis-conf"]
    assert len({made["postgres-password"], password}) == 2
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert {os.stat(tmp_path / "secrets" / name).st_mode & 0o777 for name in named} == {0o444}


def test_the_check_of_redis_gets_in_by_the_url_that_the_script_made(tmp_path: Path) -> None:
    subprocess.run(["sh", FILE.with_name("init.sh"), tmp_path], check=True, capture_output=True, timeout=30)
    url = tmp_path / "redis-url"
    password = url.read_text("utf-8").removeprefix("redis://:").partition("@")[0]
    redis = EmbeddedRedis(tmp_path / "redis", password=password)
    try:
        redis.start()
        url.chmod(0o644)
        url.write_text(url.read_text("utf-8").replace("@redis:6379", f"@127.0.0.1:{redis.port}"))
        program = tmp_path / "valkey-cli"
        program.write_text(f'#!/bin/sh\nexec {redis_binary("redis-6.2").with_name("redis-cli")} "$@"\n')
        program.chmod(0o755)
        kind, check = SERVICES["redis"]["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        subprocess.run(
            ["/bin/sh", "-c", check.replace("$$", "$").replace("/run/secrets/redis-url", str(url))],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            check=True,
            timeout=30,
        )
    finally:
        redis.stop()


def test_nothing_is_killed_at_once_where_the_engine_has_no_grace_of_its_own() -> None:
    for service, found in SERVICES.items():
        assert _SECONDS.fullmatch(found.get("stop_grace_period", "")), f"{service}: podman 4 kills it"


def test_no_check_wants_a_new_engine() -> None:
    for service, found in SERVICES.items():
        check = found.get("healthcheck", {})
        assert "start_interval" not in check, f"{service}: refused below Docker Engine 25"
        kind, *words = check.get("test", ["NONE"])
        assert kind != "CMD" or not any(" " in word for word in words), f"{service}: podman 4 takes it apart"


def test_the_volumes_are_the_ones_that_are_used() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])
    assert ":/media/wechat" in SERVICES["adapter-wechat"]["volumes"][0]
    assert "WECHAT_MEDIA_DIR=/media/wechat" in (ROOT / "ops/deploy/image/Dockerfile").read_text("utf-8")


@pytest.fixture(scope="module")
def driver() -> ExecFile:
    return read_exec_file(ROOT / "ops/deploy/drivers/docker-compose.toml")


@pytest.mark.parametrize("service", ROLLOUT)
@pytest.mark.parametrize("verb", ["deploy", "revert"])
def test_the_example_of_a_driver_starts_a_service_of_this_file(
    driver: ExecFile, verb: str, service: str, tmp_path: Path
) -> None:
    arguments, environment = docker(getattr(driver, verb).run, service, tmp_path)
    options = dict(itertools.pairwise(arguments))
    assert arguments[0] == "compose"
    assert (ROOT / options["-f"]).resolve() == FILE
    assert options["--env-file"] == str(tmp_path / "env")
    assert arguments[arguments.index("up") :] == [
        *("up", "-d", "--no-deps", "--no-build"),
        *(("--pull", "never") if verb == "revert" else ()),
        *("--force-recreate", service),
    ]
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert required == {"UNIASSIST_TAG", "UNIASSIST_ENV_FILE"}
    assert environment["UNIASSIST_TAG"] == environment["UNIASSIST_REVISION"] == "v42"
    assert environment["UNIASSIST_ENV_DIGEST"] == "abc"
    assert Path(environment["UNIASSIST_ENV_FILE"]).is_absolute()
    assert SERVICES[service]["image"].startswith("uniassist:${UNIASSIST_TAG:?")


def test_the_example_of_a_driver_looks_for_the_project_of_this_file(driver: ExecFile, tmp_path: Path) -> None:
    arguments, _ = docker(driver.observe.run, "worker", tmp_path)
    assert f"label=com.docker.compose.project={COMPOSE['name']}" in arguments
    assert "label=com.docker.compose.service=worker" in arguments
    assert driver.prepare is not None
    assert "-f ops/deploy/image/Dockerfile" in driver.prepare.run
    assert "--time 25" in driver.stop.run


def test_the_shell_of_observe_says_what_runs(driver: ExecFile, tmp_path: Path) -> None:
    for ids, said in (
        ("", {"state": "stopped"}),
        ("one two", {"state": "running", "instances": ["one", "two"]}),
    ):
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\necho {ids}\n")
        program.chmod(0o755)
        done = subprocess.run(
            ["/bin/sh", "-euc", driver.observe.run],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "UNIASSIST_RELEASE_SERVICE": "worker"},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert json.loads(done.stdout) == said


def docker(script: str, service: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """What the script would run, and the variables that it would run it with."""
    (folder / "docker").write_text(_DOCKER)
    (folder / "docker").chmod(0o755)
    (folder / "env").write_text("")
    release = {"SERVICE": service, "TAG": "v42", "ENV_FILE": str(folder / "env"), "ENV_DIGEST": "abc"}
    subprocess.run(
        ["/bin/sh", "-euc", script],
        env={
            "PATH": f"{folder}:/usr/bin:/bin",
            "SEEN": str(folder),
            **{f"UNIASSIST_RELEASE_{name}": value for name, value in release.items()},
        },
        capture_output=True,
        check=True,
        timeout=30,
    )
    lines = (folder / "environment").read_text("utf-8").splitlines()
    pairs = (line.partition("=") for line in lines)
    return (folder / "arguments").read_text("utf-8").splitlines(), {name: value for name, _, value in pairs}

"""An env file with nothing left to fill in."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.integration.release.commands import Command
from tests.integration.release.gate.test_preflight import results
from tests.integration.release.repositories import repository
from tests.integration.release.terminal import suggested

from uniassist.release.env.file import read_env_file


@pytest.fixture
def command(tmp_path: Path) -> Command:
    repository(tmp_path / "checkout")
    return Command(tmp_path / "checkout")


def test_it_is_ready_for_preflight_and_says_what_is_next(
    command: Command, database_url: str, redis_url: str
) -> None:
    servers = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    ended = command("release", "init", **servers)
    assert ended.code == 0, ended.said
    (line,) = suggested(ended)
    assert line == "git tag -a v1 -m v1 && uniassist release run --rev v1 --env-file staging.env"

    path = command.folder / "staging.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    values = read_env_file(path)
    assert len({values[name] for name in values if name.endswith("_PORT")}) == 4
    assert values["STAGING_GATEWAY_BASE_URL"] == values["GATEWAY_URL"]
    for name in ("UNIASSIST_ADAPTER_SECRET", "WECHAT_TOKEN"):
        assert values[name] not in ended.said

    command("release", "preflight", "--env-file", "staging.env")
    ready = command("release", "preflight", "--json", "--env-file", "staging.env")
    assert {name: results(ready)[name] for name in ("environment", "postgres", "redis")} == {
        "environment": "ok",
        "postgres": "ok",
        "redis": "ok",
    }

    again = command("release", "init", **servers)
    assert (again.code, "is there already, and stays as it is" in again.err) == (2, True), again.said
    assert read_env_file(path) == values


def test_servers_that_are_not_given_are_named(command: Command, database_url: str) -> None:
    ended = command("release", "init", DATABASE_URL=database_url)
    assert (ended.code, "REDIS_URL: required" in ended.err) == (2, True), ended.said
    assert not (command.folder / "staging.env").exists()


def test_a_provider_that_is_named_is_in_it_with_all_that_it_needs(
    command: Command, database_url: str, redis_url: str
) -> None:
    servers = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    ended = command("release", "init", STAGING_PROVIDERS="weather", **servers)
    assert (ended.code, "provider-weather answers can't be guessed" in ended.err) == (2, True), ended.said
    ended = command("release", "init", STAGING_PROVIDERS="reminder", **servers)
    assert ended.code == 0, ended.said
    values = read_env_file(command.folder / "staging.env")
    assert values["STAGING_PROVIDERS"] == "reminder"
    assert len({values[name] for name in values if name.endswith("_PORT")}) == 5
    own = f"http://127.0.0.1:{values['PROVIDER_REMINDER_PORT']}"
    assert own == values["UNIASSIST_REMINDER_PROVIDER_BASE_URL"] == values["STAGING_PROVIDER_REMINDER_BASE_URL"]
    tokens = [values[f"UNIASSIST_PROVIDER_TOKEN_{each}"] for each in ("PLAN", "REMINDER")]
    assert len(set(tokens)) == 2
    assert not any(token in ended.said for token in tokens)

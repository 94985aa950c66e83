"""`send` and `timeline` as a user of the app types them, to a gateway that wants app tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jwt
import psycopg
import pytest
from tests.integration.release.commands import Command, Ended
from tests.integration.release.terminal import suggested, typed
from tests.processes import ServiceProcess

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.devstack.supervisor import answers

KEY = "test-app-key-0123456789-0123456789"


@pytest.fixture(scope="module")
def gateway(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE talked TEMPLATE template_uniassist")
        env = {
            "DATABASE_URL": postgres_server.url_for("talked"),
            "REDIS_URL": redis_server.url,
            "UNIASSIST_APP_AUTH": "jwt",
            "UNIASSIST_APP_JWT_KEY": KEY,
        }
        process = ServiceProcess("gateway", tmp_path_factory.mktemp("talk") / "gateway.log", env)
        try:
            process.start()
            process.process.wait_ready(partial(answers, f"{process.url}/health"))
            yield process
        finally:
            process.stop()
            connection.execute("DROP DATABASE talked WITH (FORCE)")


@pytest.fixture(scope="module")
def token() -> str:
    return jwt.encode({"sub": "talker", "exp": int(time.time()) + 600}, KEY, algorithm="HS256")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def env_file(tmp_path: Path, gateway: ServiceProcess, token: str) -> Path:
    path = tmp_path / "staging.env"
    path.write_text(f"STAGING_GATEWAY_BASE_URL='{gateway.url}'\nSTAGING_APP_TOKEN='{token}'\n")
    return path


def session_of(ended: Ended) -> str:
    return next(line.split()[1] for line in ended.out.splitlines() if line.startswith("session "))


def kinds(ended: Ended) -> list[str]:
    return [json.loads(line)["kind"] for line in ended.out.splitlines()]


@pytest.mark.parametrize("how", ["option", "shell", "env file"])
def test_what_is_sent_is_answered_and_the_line_that_follows_it_runs(
    command: Command, gateway: ServiceProcess, token: str, env_file: Path, how: str
) -> None:
    options = {
        "option": ("--url", gateway.url, "--app-token", token),
        "shell": ("--url", gateway.url),
        "env file": ("--env-file", str(env_file)),
    }[how]
    env = {"STAGING_APP_TOKEN": token} if how != "env file" else {}
    sent = command("send", "hello", "--locale", "en", *options, **env)
    assert sent.code == 0, sent.said
    assert "builtin_chat: " in sent.out
    assert token not in sent.said

    (line,) = suggested(sent)
    once = typed(line.replace(" --follow", ""), command.folder, **env)
    assert once.code == 0, (line, once.said)
    assert once.out.splitlines()[0].split()[2] == "inbound"
    assert "hello" in once.out


@pytest.mark.parametrize(
    ("options", "zone"), [((), "Asia/Kathmandu"), (("--timezone", "Europe/Berlin"), "Europe/Berlin")]
)
def test_providers_are_told_the_machines_time_zone_or_the_one_that_is_asked_for(
    command: Command, gateway: ServiceProcess, token: str, options: tuple[str, ...], zone: str
) -> None:
    env = {"GATEWAY_URL": gateway.url, "STAGING_APP_TOKEN": token, "TZ": "Asia/Kathmandu"}
    sent = command("send", "hello", "--json", *options, **env)
    assert sent.code == 0, sent.said
    inbound, *_ = json.loads(sent.out)["events"]
    assert inbound["payload"]["input"]["timezone"] == zone


def test_a_timeline_is_shown_whole_from_a_cursor_and_as_json(
    command: Command, gateway: ServiceProcess, token: str
) -> None:
    env = {"GATEWAY_URL": gateway.url, "STAGING_APP_TOKEN": token}
    session = session_of(command("send", "hello", **env))
    followed = command.interrupted(
        "timeline", session, "--follow", when=lambda line: " interaction " in line, **env
    )
    assert followed.code == 0, followed.said
    whole = command("timeline", session, "--json", **env)
    assert [line.split()[2] for line in followed.out.splitlines()] == kinds(whole)
    assert kinds(whole)[:2] == ["inbound", "routing_decision"]
    rest = command("timeline", session, "--json", "--cursor", "1", **env)
    assert kinds(rest) == kinds(whole)[1:]
    past = command("timeline", session, "--cursor", "1000", **env)
    assert (past.code, past.out) == (0, f"session {session} has no events after 1000\n")


@pytest.mark.parametrize("arguments", [("send", "hello"), ("timeline", "s-1")], ids=lambda given: given[0])
def test_without_a_token_it_is_said_how_to_show_one(
    command: Command, gateway: ServiceProcess, arguments: tuple[str, ...]
) -> None:
    ended = command(*arguments, "--url", gateway.url)
    assert ended.code == 1, ended.said
    assert "INVALID_APP_TOKEN" in ended.err
    assert "--app-token TOKEN, or STAGING_APP_TOKEN" in ended.err


def test_a_directory_in_which_nothing_is_is_named(command: Command, tmp_path: Path) -> None:
    for arguments in (("send", "hello"), ("timeline", "s-1"), ("outbox", "stats"), ("db", "status")):
        ended = command(*arguments, "--state-dir", str(tmp_path / "nothing"))
        assert (ended.code, f"nothing runs on {tmp_path / 'nothing'}" in ended.err) == (1, True), ended.said

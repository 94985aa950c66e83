from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from redis import Redis
from tests.integration.release.checks.front import Answer, Fault, changed_health, front
from tests.integration.release.commands import Command, Ended
from tests.integration.release.conftest import REVISION
from tests.ports import free_port
from tests.processes import CONTEXT_TOKEN, ServiceProcess

from uniassist.devstack.supervisor import answers
from uniassist.release.env.services import known
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import Parts


def flat(text: str) -> str:
    return " ".join(text.split())


def steps_of(out: str) -> dict[str, str]:
    return {step["name"]: step["result"] for step in json.loads(out)["steps"]}


def test_a_good_release_is_verified_and_recorded(command: Command, staging: dict[str, str], tmp_path: Path) -> None:
    ended = command("release", "verify", "--rev", REVISION, **staging)

    assert ended.code == 0, ended.said
    assert sum("  ok in " in line for line in ended.out.splitlines()) == 10
    assert "(runbook: Post-release verification 3)" in ended.out
    assert CONTEXT_TOKEN not in ended.said
    records = list((tmp_path / ".uniassist/release/runs").glob("*-verify-*.json"))
    assert [json.loads(record.read_text())["result"] for record in records] == ["verified"]


def test_a_proxy_that_keeps_event_streams_back_is_found(command: Command, staging: dict[str, str]) -> None:
    """All else goes through it, so that nothing but a stream tells."""
    with front(staging["STAGING_GATEWAY_BASE_URL"], _as_it_is, keeps_streams_back=True) as url:
        ended = command(
            "release", "verify", "--rev", REVISION, "--json", **{**staging, "STAGING_GATEWAY_BASE_URL": url}
        )
    assert ended.code == 13, ended.said
    assert [name for name, result in steps_of(ended.out).items() if result == "failed"] == ["event stream"]
    assert "does a proxy between keep answers back" in flat(ended.err)


def test_a_slow_health_is_said(command: Command, staging: dict[str, str]) -> None:
    def slow(path: str, _headers: dict[str, str], answer: Answer) -> Answer:
        if path == "/health":
            time.sleep(1.5)  # what the test is about
        return answer

    with front(staging["STAGING_ADAPTER_WECHAT_BASE_URL"], slow) as url:
        ended = command(
            "release", "verify", "--rev", REVISION, **{**staging, "STAGING_ADAPTER_WECHAT_BASE_URL": url}
        )
    assert (ended.code, "SLOW: /health took 1." in flat(ended.out)) == (0, True), ended.said


def test_the_groups_of_the_workers_are_counted(
    command: Command, staging: dict[str, str], running: dict[str, ServiceProcess], redis_database: str
) -> None:
    """A second group in which a living worker's consumer reads: each event would be delivered twice."""
    env = {**staging, "REDIS_URL": redis_database, "UNIASSIST_STREAM_GROUP": "ua-delivery"}
    good = command("release", "verify", "--rev", REVISION, **env)
    assert (good.code, "1 worker in 1 group" in flat(good.out)) == (0, True), good.said

    with Redis.from_url(redis_database) as redis:
        key = "uniassist:timeline:all"
        (consumer,) = [each["name"] for each in redis.xinfo_consumers(key, "ua-delivery")]
        redis.xgroup_create(key, "second", id="0")
        try:
            redis.xreadgroup("second", consumer, {key: ">"}, count=1)
            twice = command("release", "verify", "--rev", REVISION, **env)
        finally:
            redis.xgroup_destroy(key, "second")
    assert twice.code == 13, twice.said
    assert "read in 2 groups (second, ua-delivery)" in flat(twice.out)


def test_at_the_urls_of_what_was_rolled_out_here_its_env_set_supplies_the_rest(
    command: Command,
    staging: dict[str, str],
    running: dict[str, ServiceProcess],
    redis_database: str,
    tmp_path: Path,
) -> None:
    """The runbook's literal command after a rollout: three URLs, and yet groups, worker and context are looked at.

    Where one of the three leads elsewhere, nothing is known of the servers behind them.
    """
    ports = {known(name).port_variable: service.url.rpartition(":")[2] for name, service in running.items()}
    env = {
        **ports,
        "DATABASE_URL": staging["DATABASE_URL"],
        "REDIS_URL": redis_database,
        "UNIASSIST_STREAM_GROUP": "ua-delivery",
    }
    home = Home(tmp_path / ".uniassist" / "release", "staging")
    wheel = tmp_path / "uniassist-1-py3-none-any.whl"
    wheel.touch()
    token = {"STAGING_CONTEXT_TOKEN": CONTEXT_TOKEN}
    release = home.kept.keep(Parts(REVISION, REVISION, wheel, wheel, env, token, "d" * 64))
    home.change(lambda known: known.aiming_at(release.id))
    home.runs.begin("rollout", REVISION, environment="staging", driver="local", target=release.id, who="me", why="")
    names = ("STAGING_GATEWAY_BASE_URL", "STAGING_PROVIDER_PLAN_BASE_URL", "STAGING_ADAPTER_WECHAT_BASE_URL")
    three = {name: staging[name] for name in names}

    ended = command("release", "verify", "--json", **three)
    with front(staging["STAGING_GATEWAY_BASE_URL"], _as_it_is) as url:
        elsewhere = command("release", "verify", "--json", **{**three, "STAGING_GATEWAY_BASE_URL": url})

    assert (ended.code, set(steps_of(ended.out).values())) == (0, {"ok"}), ended.said
    assert "1 worker in 1 group" in flat(ended.err)
    assert elsewhere.code == 0, elsewhere.said
    assert "consumed went up" in flat(elsewhere.err)


def _as_it_is(_path: str, _headers: dict[str, str], answer: Answer) -> Answer:
    return answer


def test_what_was_rolled_out_last_is_good_from_then_on_and_what_nobody_needs_goes(
    command: Command, staging: dict[str, str], tmp_path: Path
) -> None:
    home = Home(tmp_path / ".uniassist" / "release", "staging")
    wheel = tmp_path / "uniassist-1-py3-none-any.whl"
    wheel.touch()
    old, new = (home.kept.keep(Parts(tag, tag, wheel, wheel, {}, {}, "d" * 64)) for tag in ("v41", REVISION))
    home.change(lambda known: known.aiming_at(new.id))

    ended = command("release", "verify", "--rev", REVISION, **staging)

    assert (ended.code, f"{REVISION} is good" in ended.out) == (0, True), ended.said
    assert [known.release for known in home.deployed().verified] == [new.id]
    assert [kept.id for kept in home.kept.all()] == [new.id], f"nobody needs {old.id}"


def test_without_token_worker_url_and_database_it_says_what_it_skipped(
    command: Command, staging: dict[str, str]
) -> None:
    """The runbook's own variables alone; consumption is judged by the gateway's count."""
    three = {
        name: value
        for name, value in staging.items()
        if name.endswith(("GATEWAY_BASE_URL", "PLAN_BASE_URL", "WECHAT_BASE_URL"))
    }

    ended = command("release", "verify", "--json", **three)

    assert ended.code == 0, ended.said
    assert {name for name, result in steps_of(ended.out).items() if result == "skipped"} == {
        "worker health",
        "context path",
    }
    assert "consumed went up" in flat(ended.err)


def test_missing_variables_are_named_all_at_once(command: Command) -> None:
    ended = command("release", "verify", STAGING_GATEWAY_BASE_URL="http://127.0.0.1:1")
    assert ended.code == 2
    assert "STAGING_PROVIDER_PLAN_BASE_URL, STAGING_ADAPTER_WECHAT_BASE_URL: required" in ended.err


@pytest.mark.parametrize(
    ("change", "step", "named"),
    [
        ({"STAGING_ADAPTER_WECHAT_BASE_URL": "nobody"}, "adapter-wechat health", "adapter-wechat doesn't answer"),
        ({"STAGING_WORKER_BASE_URL": "nobody"}, "worker health", "worker doesn't answer"),
        ({"STAGING_PROVIDER_PLAN_BASE_URL": "gateway"}, "provider-plan health", "expected 'provider-plan'"),
        (
            {"STAGING_CONTEXT_TOKEN": "not-a-token-of-this-system"},
            "context path",
            "STAGING_CONTEXT_TOKEN was refused",
        ),
        ({"DATABASE_URL": "another"}, "worker consumes", "DATABASE_URL isn't the gateway's database"),
    ],
)
def test_a_wrong_place_or_token_is_named(
    command: Command,
    staging: dict[str, str],
    running: dict[str, ServiceProcess],
    database_url: str,
    change: dict[str, str],
    step: str,
    named: str,
) -> None:
    places = {
        "nobody": f"http://127.0.0.1:{free_port()}",
        "gateway": running["gateway"].url,
        "another": database_url,
    }
    wrong = {name: places.get(value, value) for name, value in change.items()}

    ended = command("release", "verify", "--json", **staging | wrong)

    assert ended.code == 13, ended.said
    assert [name for name, result in steps_of(ended.out).items() if result == "failed"] == [step]
    assert named in flat(ended.err)


def test_an_old_revision_still_on_the_port_is_named(command: Command, staging: dict[str, str]) -> None:
    with front(staging["STAGING_WORKER_BASE_URL"], changed_health(revision="v41")) as url:
        mixed = staging | {"STAGING_WORKER_BASE_URL": url}
        expected = command("release", "verify", "--rev", REVISION, **mixed)
        unexpected = command("release", "verify", **mixed)

    assert (expected.code, unexpected.code) == (13, 13)
    assert "worker is v41; expected v42" in flat(expected.out)
    assert "different revisions" in flat(unexpected.out)


def scopeless(path: str, headers: dict[str, str], answer: Answer) -> Answer:
    return (403, b"{}") if path.startswith("/v0/context") and "authorization" in headers else answer


def open_context(path: str, headers: dict[str, str], answer: Answer) -> Answer:
    return (200, b"{}") if path.startswith("/v0/context") else answer


def refuses_ingest(path: str, headers: dict[str, str], answer: Answer) -> Answer:
    return (500, b"oops") if path == "/v0/ingest" else answer


def no_json(path: str, headers: dict[str, str], answer: Answer) -> Answer:
    return (200, b"<html>maintenance</html>") if path == "/health" else answer


def changed_timeline(change: Callable[[list[Any]], list[Any]]) -> Fault:
    def fault(path: str, _headers: dict[str, str], answer: Answer) -> Answer:
        if not path.startswith("/v0/timeline"):
            return answer
        page = json.loads(answer[1])
        return answer[0], json.dumps(page | {"events": change(page["events"])}).encode()

    return fault


def without_interactions(events: list[Any]) -> list[Any]:
    return [event for event in events if event["kind"] != "interaction"]


def as_fallbacks(events: list[Any]) -> list[Any]:
    for event in events:
        if event["kind"] == "provider_run":
            event["payload"]["routing_mode"] = "fallback"
    return events


@pytest.mark.parametrize(
    ("fault", "step", "named"),
    [
        (scopeless, "context path", "no scope context:read (403)"),
        (open_context, "context path", "without a token it answered 200, expected 401"),
        (refuses_ingest, "ingest", "answered 500: oops"),
        (no_json, "gateway health", "expected JSON"),
        (
            changed_health(degraded=True, checks={"redis": "failing"}),
            "gateway health",
            "degraded, not green: redis",
        ),
        (changed_timeline(without_interactions), "timeline", "no interaction whose source is plan itself"),
        (changed_timeline(as_fallbacks), "timeline", "a fallback's (routing_mode)"),
    ],
)
def test_a_gateway_that_answers_wrongly_is_named(
    command: Command, staging: dict[str, str], fault: Fault, step: str, named: str
) -> None:
    with front(staging["STAGING_GATEWAY_BASE_URL"], fault) as url:
        env = staging | {"STAGING_GATEWAY_BASE_URL": url, "STAGING_VERIFY_TIMEOUT_MS": "6000"}
        ended = command("release", "verify", "--json", **env)

    assert ended.code == 13, ended.said
    assert step in [name for name, result in steps_of(ended.out).items() if result == "failed"]
    assert named in flat(ended.err)


def test_with_app_authentication_on_it_needs_a_good_app_token(
    command: Command,
    staging: dict[str, str],
    running: dict[str, ServiceProcess],
    service: Callable[..., ServiceProcess],
) -> None:
    key = "test-app-key-0123456789-0123456789"
    names = ("DATABASE_URL", "REDIS_URL", "UNIASSIST_REVISION", "UNIASSIST_PLAN_PROVIDER_BASE_URL")
    gateway = service(
        "gateway",
        **{name: running["gateway"].env[name] for name in names},
        UNIASSIST_APP_AUTH="jwt",
        UNIASSIST_APP_JWT_KEY=key,
    )
    token = jwt.encode({"sub": "verifier", "exp": int(time.time()) + 300}, key, algorithm="HS256")

    def verify(**more: str) -> Ended:
        return command("release", "verify", **staging | {"STAGING_GATEWAY_BASE_URL": gateway.url, **more})

    without, wrong, good = verify(), verify(STAGING_APP_TOKEN=token[:-3] + "abc"), verify(STAGING_APP_TOKEN=token)
    assert (without.code, "STAGING_APP_TOKEN is not set" in flat(without.out)) == (13, True), without.said
    assert (wrong.code, "STAGING_APP_TOKEN is set, but was refused" in flat(wrong.out)) == (13, True), wrong.said
    assert good.code == 0, good.said
    assert token not in good.said


def test_a_dead_provider_behind_a_green_health_is_named(
    command: Command,
    staging: dict[str, str],
    running: dict[str, ServiceProcess],
    service: Callable[..., ServiceProcess],
) -> None:
    gateway = service(
        "gateway",
        **{name: running["gateway"].env[name] for name in ("DATABASE_URL", "REDIS_URL", "UNIASSIST_REVISION")},
        UNIASSIST_PLAN_PROVIDER_BASE_URL=f"http://127.0.0.1:{free_port()}",
    )
    ended = command("release", "verify", "--json", **staging | {"STAGING_GATEWAY_BASE_URL": gateway.url})
    assert ended.code == 13, ended.said
    assert [name for name, result in steps_of(ended.out).items() if result == "failed"] == ["timeline"]
    assert "UNIASSIST_PLAN_PROVIDER_BASE_URL leads elsewhere" in flat(ended.err)


@pytest.mark.parametrize("by", ["database", "count"])
def test_a_worker_that_consumes_nothing_behind_a_green_port_is_named(
    command: Command,
    staging: dict[str, str],
    running: dict[str, ServiceProcess],
    database_url: str,
    redis_url: str,
    service: Callable[..., ServiceProcess],
    by: str,
) -> None:
    gateway = service(
        "gateway",
        DATABASE_URL=database_url,
        REDIS_URL=redis_url,
        UNIASSIST_REVISION=REVISION,
        UNIASSIST_PLAN_PROVIDER_BASE_URL=running["provider-plan"].url,
    )
    env = staging | {"STAGING_GATEWAY_BASE_URL": gateway.url, "STAGING_VERIFY_TIMEOUT_MS": "5000"}
    env["DATABASE_URL"] = database_url if by == "database" else ""
    ended = command("release", "verify", "--json", **env)
    assert ended.code == 13, ended.said
    assert [name for name, result in steps_of(ended.out).items() if result == "failed"] == ["worker consumes"]
    assert "the worker doesn't consume" in flat(ended.err)


def test_a_gateway_without_postgres_is_named_with_the_check_that_fails(
    command: Command, staging: dict[str, str], redis_url: str, service: Callable[..., ServiceProcess]
) -> None:
    nowhere = f"postgresql://nobody:secret-of-nobody@127.0.0.1:{free_port()}/nothing"
    gateway = service("gateway", DATABASE_URL=nowhere, REDIS_URL=redis_url, UNIASSIST_REVISION=REVISION)
    env = staging | {"STAGING_GATEWAY_BASE_URL": gateway.url, "STAGING_VERIFY_TIMEOUT_MS": "6000"}
    ended = command("release", "verify", **env)
    assert ended.code == 13, ended.said
    assert "gateway is not healthy (503): postgres" in flat(ended.out)


def test_a_service_that_hangs_ends_with_the_deadline_of_the_whole(
    command: Command, staging: dict[str, str]
) -> None:
    let_go = threading.Event()

    def hangs(path: str, headers: dict[str, str], answer: Answer) -> Answer:
        let_go.wait(30)
        return answer

    with front(staging["STAGING_GATEWAY_BASE_URL"], hangs) as url:
        env = staging | {"STAGING_GATEWAY_BASE_URL": url, "STAGING_VERIFY_TIMEOUT_MS": "2000"}
        ended = command("release", "verify", "--json", **env)
        let_go.set()
    assert ended.code == 13, ended.said
    document = json.loads(ended.out)
    assert steps_of(ended.out)["gateway health"] == "failed"
    # Far from the 30 s that the gateway hangs, however busy this machine is.
    assert sum(step["seconds"] for step in document["steps"]) < 15.0


def test_a_provider_beside_the_four_is_verified_as_they_are(
    command: Command, running: dict[str, ServiceProcess], staging: dict[str, str], tmp_path: Path
) -> None:
    five = staging | {"STAGING_PROVIDERS": "reminder"}
    where = "STAGING_PROVIDER_REMINDER_BASE_URL"
    ended = command("release", "verify", "--rev", REVISION, **five)
    assert (ended.code, f"{where}: required, but not set" in ended.err) == (2, True)
    servers = {name: running["worker"].env[name] for name in ("DATABASE_URL", "REDIS_URL", "UNIASSIST_REVISION")}
    fifth = ServiceProcess("provider-reminder", tmp_path / "reminder.log", servers)
    fifth.start()
    try:
        fifth.process.wait_ready(lambda: answers(f"{fifth.url}/health"))
        ended = command("release", "verify", "--rev", REVISION, **{**five, where: fifth.url})
        assert (ended.code, "[2/11] provider-reminder health" in ended.out) == (0, True), ended.said
        ended = command("release", "verify", "--rev", REVISION, **{**five, where: running["gateway"].url})
        assert (ended.code, "expected 'provider-reminder'" in flat(ended.out)) == (13, True), ended.said
    finally:
        fifth.stop()

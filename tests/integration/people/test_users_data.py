"""A person's data is exported and erased, by command and by an operator's call, and nobody else's with it."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis
from tests.processes import ServiceProcess

from uniassist.cli import main

TOKEN = "operator-token-0123456789"
SECRET = "我的秘密"
KINDS = ("inbound", "interaction", "user_interaction", "routing_decision")
_SESSION = (
    'INSERT INTO sessions (session_id, user_id, seq, state, subject) VALUES (%s, %s, 4, \'{"lead": "x"}\', %s)'
)
_EVENT = (
    "INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)"
    " VALUES (%s, 't', %s, %s, %s, 1, %s, %s)"
)
_RUN = (
    "INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,"
    " idempotency_key, status)"
    " VALUES (%(id)s, 't', %(session)s, %(user)s, 'plan', 'async', 'normal', 'k', 'running')"
)
_CALL = (
    "INSERT INTO provider_calls (call_id, run_id, session_id, provider_id, kind, request, lease_owner,"
    " lease_expires_at)"
    " VALUES (%(id)s, %(id)s, %(session)s, 'plan', 'invoke', '{}', 'x', now() + interval '1 hour')"
)


def live_with(connection: psycopg.Connection, user_id: str) -> None:
    """A session with words of every kind, a run under way, a context, a kept answer."""
    session = f"s-{user_id}"
    connection.execute(_SESSION, [session, user_id, f"sub-{user_id}"])
    said = {"input": {"userId": user_id, "text": SECRET, "source": "app"}}
    told = {"event": {"type": "assistant_message", "text": SECRET}, "source": "provider"}
    chosen = {"userId": user_id, "actionId": "submit", "payload": {"blank": SECRET}}
    passed = {"candidates": [], "handedOver": {"byRunId": "r-0", "runId": "r-1", "text": SECRET}}
    for seq, (kind, payload) in enumerate(zip(KINDS, (said, told, chosen, passed), strict=True), 1):
        connection.execute(_EVENT, [f"{session}-{seq}", session, user_id, seq, kind, json.dumps(payload)])
    for statement in (_RUN, _CALL):
        connection.execute(statement, {"id": f"r-{user_id}", "session": session, "user": user_id})
    connection.execute(
        "INSERT INTO user_context_cache (profile_ref, user_id, snapshot, ttl_expires_at)"
        " VALUES (%s, %s, %s, now() + interval '1 day')",
        [f"profile:{user_id}", user_id, json.dumps({"profile": {"name": SECRET}})],
    )
    for scope in (f"ingest:{user_id}", f"ingest:sub-{user_id}"):
        connection.execute("INSERT INTO idempotency_keys VALUES (%s, 'k', '', %s)", [scope, SECRET.encode()])
    if user_id.startswith("wx:"):
        openid = user_id.removeprefix("wx:")
        connection.execute("INSERT INTO wechat_people (openid, message_at) VALUES (%s, now())", [openid])
        connection.execute(
            "INSERT INTO wechat_replies (event_id, openid, position, session_id, trace_id, text)"
            " VALUES (%s, %s, 1, %s, 't', %s)",
            [f"{session}-2", openid, session, SECRET],
        )
        connection.execute(
            "INSERT INTO wechat_media (openid, media_id, name, state) VALUES (%s, 'm', %s, 'stored')",
            [openid, f"{openid}/m"],
        )


def rows_of(connection: psycopg.Connection, user_id: str) -> str:
    """Everything that the database says of them, as text."""
    session, openid = f"s-{user_id}", user_id.removeprefix("wx:") if user_id.startswith("wx:") else ""
    asked = {
        "SELECT * FROM sessions WHERE user_id = %s": user_id,
        "SELECT * FROM timeline_events WHERE session_id = %s": session,
        "SELECT * FROM provider_runs WHERE user_id = %s": user_id,
        "SELECT * FROM provider_calls WHERE session_id = %s": session,
        "SELECT * FROM user_context_cache WHERE user_id = %s": user_id,
        "SELECT scope, convert_from(answer, 'UTF8') FROM idempotency_keys WHERE scope = 'ingest:' || %s": user_id,
        "SELECT convert_from(answer, 'UTF8') FROM idempotency_keys WHERE scope = 'ingest:sub-' || %s": user_id,
        "SELECT * FROM wechat_replies WHERE openid = %s": openid,
        "SELECT * FROM wechat_media WHERE openid = %s": openid,
    }
    return "\n".join(str(row) for query, value in asked.items() for row in connection.execute(query, [value]))


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as opened:
        for user_id in ("kim", "wx:kim", "other"):
            live_with(opened, user_id)
        yield opened


@pytest.fixture
def run(
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("UNIASSIST_STREAM_PREFIX", "own:")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["uniassist", "user", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capfd.readouterr()
        assert not ended.value.code, err
        return out

    return run


def check_erased(connection: psycopg.Connection, user_id: str) -> None:
    assert SECRET not in rows_of(connection, user_id)
    events = connection.execute(
        "SELECT seq, kind, payload FROM timeline_events WHERE user_id = %s ORDER BY seq", [user_id]
    ).fetchall()
    assert [row[:2] for row in events] == list(enumerate(KINDS, 1))
    assert events[3][2]["handedOver"] == {"byRunId": "r-0", "runId": "r-1"}
    assert all(row[2]["erased"] is True for row in events)
    assert connection.execute("SELECT status FROM provider_runs WHERE user_id = %s", [user_id]).fetchall() == [
        ("cancelled",)
    ]
    assert connection.execute("SELECT FROM provider_calls WHERE session_id = %s", [f"s-{user_id}"]).fetchall() == []


@pytest.mark.parametrize("user_id", ["kim", "wx:kim"])
def test_the_commands_export_and_erase_one_person_and_nobody_else(
    user_id: str, connection: psycopg.Connection, redis_url: str, run: Callable[..., str]
) -> None:
    others = {other: rows_of(connection, other) for other in ("kim", "wx:kim", "other") if other != user_id}
    with Redis.from_url(redis_url) as redis:
        redis.xadd(f"own:s-{user_id}", {"data": SECRET})
        redis.xadd("own:s-other", {"data": SECRET})
        records = [json.loads(line) for line in run("export", user_id).splitlines()]
        kinds = {record["record"] for record in records}
        assert kinds == {"session", "event", "run", "context"} | (
            {"wechatPerson", "wechatReply", "wechatMedium"} if user_id.startswith("wx:") else set()
        )
        assert sum(record["record"] == "event" for record in records) == 4
        assert "other" not in json.dumps(records)
        assert "1 sessions emptied" in run("erase", user_id, "--yes")
        check_erased(connection, user_id)
        assert redis.exists(f"own:s-{user_id}") == 0
        assert redis.exists("own:s-other") == 1
    assert {other: rows_of(connection, other) for other in others} == others
    if user_id.startswith("wx:"):
        assert connection.execute("SELECT name FROM wechat_left_media").fetchall() == [("kim/m",)]
        assert connection.execute("SELECT seq FROM wechat_cursors").fetchall() == [(4,)]
    assert SECRET not in json.dumps(
        [json.loads(line) for line in run("export", user_id).splitlines()], ensure_ascii=False
    )


def test_an_exported_file_is_for_its_owner_and_never_overwrites(
    connection: psycopg.Connection, run: Callable[..., str], tmp_path: Path
) -> None:
    run("export", "kim", "--out", "kim.ndjson")
    path = tmp_path / "kim.ndjson"
    assert path.stat().st_mode & 0o077 == 0
    assert SECRET in path.read_text("utf-8")
    with pytest.raises(AssertionError, match="can't make"):
        run("export", "kim", "--out", "kim.ndjson")


def post(url: str, document: Any, token: str | None) -> tuple[int, str]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, json.dumps(document).encode(), headers), timeout=20
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_an_operator_exports_and_erases_by_call_and_nobody_else_does(
    connection: psycopg.Connection, database_url: str, redis_url: str, service: Callable[..., ServiceProcess]
) -> None:
    gateway = service(
        "gateway",
        DATABASE_URL=database_url,
        REDIS_URL=redis_url,
        UNIASSIST_STREAM_PREFIX="own:",
        UNIASSIST_OPERATOR_TOKEN=TOKEN,
    )
    whose = {"schemaVersion": "v0", "userId": "kim"}
    exports, erasures = (f"{gateway.url}/v0/operator/user-{what}" for what in ("exports", "erasures"))
    for token in (None, "wrong", TOKEN[:-1], gateway.env["UNIASSIST_PROVIDER_CONTEXT_TOKEN"]):
        for url in (exports, erasures):
            assert post(url, whose, token)[0] == 401
    assert SECRET in rows_of(connection, "kim")
    status, said = post(exports, whose, TOKEN)
    assert (status, {json.loads(line)["record"] for line in said.splitlines()}) == (
        200,
        {"session", "event", "run", "context"},
    )
    status, said = post(erasures, whose, TOKEN)
    assert (status, json.loads(said)["sessions"]) == (200, 1)
    check_erased(connection, "kim")
    assert SECRET in rows_of(connection, "other")

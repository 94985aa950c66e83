"""Providers that served a person are told of the erasure, whoever made it, until each has answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
from tests.processes import ServiceProcess
from tests.providers import fake_provider
from tests.waiting import eventually

from uniassist.store import people
from uniassist.store.server import pool

_RUN = (
    "INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,"
    " idempotency_key, status) VALUES (%s, 't', 's', %s, %s, 'async', 'normal', 'k', 'completed')"
)


def providers(work: str, plan: str) -> str:
    token = 'token_env = "UNIASSIST_PROVIDER_TOKEN_PLAN"'
    return "\n".join(
        f'[[provider]]\nid = "{name}"\nkeywords = ["{name}"]\nbase_url = "{url}"\n{more}'
        for name, url, more in (("plan", plan, token), ("work", work, ""))
    )


async def erase(url: str, user_id: str) -> None:
    async with await pool.connect(url) as connection:
        await people.erase(connection, user_id)


async def test_each_is_told_also_one_that_is_away_and_by_a_gateway_that_did_not_see_the_erasure(
    database_url: str, redis_url: str, service: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection, fake_provider() as provider:
        connection.execute("INSERT INTO sessions (session_id, user_id, subject) VALUES ('s', 'kim', 'sub-kim')")
        for number, name in enumerate(("plan", "plan", "work", "builtin_chat", "chat")):
            connection.execute(_RUN, [f"r-{number}", "kim", name])
        connection.execute(_RUN, ["r-other", "other", "work"])
        await erase(database_url, "kim")
        await erase(database_url, "nobody")
        file = tmp_path / "providers.toml"
        chat = '\n[[provider]]\nid = "chat"\nkind = "openai"\nmodel = "m"\nfallback = true\n'
        chat += f'base_url = "{provider.url}/picky"'
        file.write_text(providers(provider.base_url("broken"), provider.base_url("up")) + chat, "utf-8")
        service(
            "gateway",
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            UNIASSIST_PROVIDERS_FILE=str(file),
            UNIASSIST_PROVIDER_TOKEN_PLAN="token-of-plan-0123456789",
        )

        def waiting() -> dict[str, tuple[int, str]]:
            query = "SELECT provider_id, attempts, coalesce(last_error, '') FROM provider_erasures"
            return {name: (attempts, error) for name, attempts, error in connection.execute(query)}

        await eventually(
            lambda: waiting().keys() == {"work"} and waiting()["work"][0] > 1,
            "plan is told, work is asked again",
            30,
        )
        assert "500" in waiting()["work"][1]
        (told,) = provider.erasures("up")
        assert told.headers["authorization"] == "Bearer token-of-plan-0123456789"
        assert provider.erasures("picky") == [], "whoever sells models isn't told who our people are"
        assert {"userId": "kim", "subjects": ["sub-kim"]}.items() <= told.body.items()
        file.write_text(providers(provider.base_url("up"), provider.base_url("up")), "utf-8")
        await eventually(lambda: not waiting(), "work is told once it answers", 40)
        assert len(provider.erasures("up")) == 2


async def test_provider_plan_takes_it_and_one_without_the_call_is_asked_once(
    database_url: str, redis_url: str, service: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO sessions (session_id, user_id) VALUES ('s', 'kim')")
        for name in ("plan", "work"):
            connection.execute(_RUN, [f"r-{name}", "kim", name])
        plan = service("provider-plan")
        file = tmp_path / "providers.toml"
        file.write_text(providers(f"{plan.url}/health", plan.url), "utf-8")  # nothing is served below /health
        gateway = service(
            "gateway", DATABASE_URL=database_url, REDIS_URL=redis_url, UNIASSIST_PROVIDERS_FILE=str(file)
        )
        await erase(database_url, "kim")
        await eventually(
            lambda: not connection.execute("SELECT FROM provider_erasures").fetchall(), "nothing is owed", 30
        )
        assert 'call="erase",outcome="answered"} 1.0' in plan.scraped()
        log = gateway.process.log.read_text("utf-8")
        assert "it has no /v0/erase (404)" in log
        assert "kim" not in log

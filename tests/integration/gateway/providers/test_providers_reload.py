"""The providers file while the gateway runs: read again, refused when it is bad; the tokens of providers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.gateway.client import GatewayClient, decoded, message, now_ms, provider_headers, refused
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.providers import FakeProvider
from tests.waiting import eventually

WORK_TOKEN = "token-that-work-shows-us-0123456789"
SHOWN_TOKEN = "token-that-we-show-work-0123456789"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "providers.toml"
    path.write_text(entry("first", "alpha"), "utf-8")
    return path


@pytest.fixture
def process(
    service: Callable[..., ServiceProcess], file: Path, database_url: str, redis_url: str
) -> ServiceProcess:
    return service(
        "gateway",
        DATABASE_URL=database_url,
        REDIS_URL=redis_url,
        UNIASSIST_PROVIDERS_FILE=str(file),
        UNIASSIST_PROVIDER_TOKEN_WORK=WORK_TOKEN,
        UNIASSIST_PROVIDER_TOKEN_SHOWN=SHOWN_TOKEN,
    )


@pytest.fixture
def own(process: ServiceProcess, connect: Callable[[ServiceProcess], GatewayClient]) -> GatewayClient:
    return connect(process)


async def routed(gateway: GatewayClient, text: str) -> list[str]:
    ack = await gateway.ingest(message(text))
    return [run["providerId"] for run in ack["runs"]]


async def test_a_changed_file_is_read_without_a_restart(own: GatewayClient, file: Path) -> None:
    assert await routed(own, "beta") == ["builtin_chat"]
    file.write_text(entry("first", "alpha") + entry("second", "beta"), "utf-8")

    async def is_known() -> bool:
        return await routed(own, "beta") == ["second"]

    await eventually(is_known, "the second provider is routed to")
    assert await routed(own, "alpha") == ["first"]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("not toml at all [", "providers.toml"),
        (entry("second", "beta", more='"x"'), "more"),
        (entry("Second", "beta"), "id"),
        (entry("second", "beta", token_env='"HOME"'), "second.token_env"),
        (entry("second", "beta", token_env='"UNIASSIST_PROVIDER_TOKEN_NONE"'), "UNIASSIST_PROVIDER_TOKEN_NONE"),
        (entry("second", "beta", access_token_env='"UNIASSIST_PROVIDER_TOKEN_WORK"'), "second.scopes"),
    ],
)
async def test_a_bad_file_is_said_and_the_one_before_goes_on(
    own: GatewayClient, process: ServiceProcess, file: Path, bad: str, named: str
) -> None:
    file.write_text(bad, "utf-8")

    def said() -> str | None:
        lines = process.process.log.read_text("utf-8").splitlines()
        return next((line for line in lines if "providers file refused" in line), None)

    line = await eventually(said, "the refusal is logged")
    assert named in line
    assert WORK_TOKEN not in line
    assert await routed(own, "alpha") == ["first"]
    file.write_text(entry("second", "beta"), "utf-8")

    async def is_known() -> bool:
        return await routed(own, "beta") == ["second"]

    await eventually(is_known, "a good file is taken after it")


async def test_a_providers_own_token_lets_it_do_what_it_grants_and_as_itself_only(
    own: GatewayClient, file: Path
) -> None:
    file.write_text(
        entry("work", "alpha", access_token_env='"UNIASSIST_PROVIDER_TOKEN_WORK"', scopes='["events:write"]'),
        "utf-8",
    )
    body = {"schemaVersion": "v0", "providerId": "work", "events": [], "timestampMs": now_ms()}
    headers = provider_headers("*", WORK_TOKEN)

    async def is_let_in() -> bool:
        return (await own.post("/v0/events", body, headers)).status == 200

    await eventually(is_let_in, "the token is known")
    served, other_session = message("alpha"), message("nothing of anybody's")
    for sent in (served, other_session):
        await own.ingest(sent)
    for sent, accepted in ((served, 1), (other_session, 0)):
        channel = {"channel": "x", "eventIds": [], "outcome": "sent"}
        item = {"kind": "delivery_event", "event": channel, "timestampMs": now_ms()}
        item |= {name: sent[name] for name in ("sessionId", "userId")}
        answer = await own.post("/v0/events", {**body, "events": [item]}, headers)
        assert decoded(answer)["accepted"] == accepted, "its own token writes where it had a run"
    other = await own.post("/v0/events", {**body, "providerId": "plan"}, headers)
    refused(other, 403, "MISSING_SCOPE", "work")
    refused(await own.get("/v0/context/users/profile:user-1", headers), 403, "MISSING_SCOPE", "context:read")
    assert (await own.post("/v0/events", {**body, "providerId": "plan"}, provider_headers("*"))).status == 200


async def test_a_provider_is_shown_its_token_and_its_manifest_is_looked_at(
    own: GatewayClient, process: ServiceProcess, file: Path, provider: FakeProvider
) -> None:
    file.write_text(
        entry("plan", "alpha", provider.base_url("up"), token_env='"UNIASSIST_PROVIDER_TOKEN_SHOWN"')
        + entry("gone", "beta", "http://127.0.0.1:9"),
        "utf-8",
    )

    async def called() -> str | None:
        """The run that was called."""
        sent = message("alpha")
        run = (await own.ingest(sent))["runs"][0]
        if run["providerId"] != "plan":
            return None
        events = await own.when_over(sent["sessionId"], run["runId"])
        assert events[-1]["payload"]["status"] == "completed"
        return str(run["runId"])

    run_id = await eventually(called, "the provider is called")
    [call] = provider.calls(run_id)
    assert call.headers["authorization"] == f"Bearer {SHOWN_TOKEN}"

    async def is_seen() -> bool:
        text = (await own.get("/metrics")).body.decode()
        return 'uniassist_provider_up{provider="gone"} 0.0' in text

    await eventually(is_seen, "the missing manifest shows in the metrics")
    assert decoded(await own.get("/health"))["ok"] is True
    assert SHOWN_TOKEN not in process.process.log.read_text("utf-8")

"""Where apps show tokens, deltas of a session reach its subject and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.integration.gateway.client import GatewayClient, message, unique
from tests.integration.gateway.sse import read_stream
from tests.integration.gateway.streaming.conftest import when_looked_at
from tests.integration.gateway.tokens import KEY, bearer
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider

from uniassist.web.calling.client import JsonClient


async def test_deltas_are_for_the_sessions_subject(
    service: Callable[..., ServiceProcess],
    streaming_env: Mapping[str, str],
    streams: StreamingProvider,
    http: JsonClient,
) -> None:
    streams.let_go.clear()
    process = service("gateway", **streaming_env, UNIASSIST_APP_AUTH="jwt", UNIASSIST_APP_JWT_KEY=KEY)
    await when_looked_at(http, process.url)
    gateway, session_id = GatewayClient(http, process.url), unique("session")
    url = f"{process.url}/v0/stream?sessionId={session_id}"
    async with read_stream(url, bearer("alice")) as hers, read_stream(url, bearer("mallory")) as his:
        sent = message("calm d:m1:secret wait end", sessionId=session_id, userId="alice")
        ack = await gateway.ingest(sent, bearer("alice"))
        await hers.until(lambda f: f.shown == ["secret"], "she sees it")
        streams.let_go.set()
        run_id = ack["runs"][0]["runId"]
        await hers.until(lambda f: (run_id, "m1") in f.finished, "it is whole")
        assert his.deltas == his.events == []

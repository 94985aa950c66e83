"""The gateway's side of the v0 contract."""

from __future__ import annotations

import time

from uniassist.contracts import codec
from uniassist.contracts.inputs import IngestAck
from uniassist.contracts.provider import ProviderManifest
from uniassist.contracts.timeline import TimelineEvent
from uniassist.release.checks.conformance.targets import Check, Targets
from uniassist.release.checks.service_client import (
    ServiceClient,
    expect_problem,
    json_body,
    new_session,
    user_input,
)
from uniassist.release.report.checklist import CHECK_SECONDS, Skipped, equal, expect, until
from uniassist.web.auth.signing import Target, fresh_nonce, sign_request
from uniassist.web.calling.sse import follow

_TOO_LARGE = 2 * 1024 * 1024
_DEEP = 100


class GatewayChecks:
    """The gateway's calls. Each check writes to sessions of its own."""

    def __init__(self, gateway: ServiceClient, targets: Targets) -> None:
        self._gateway = gateway
        self._targets = targets

    def all(self) -> dict[str, Check]:
        return {
            "ingest acknowledges": self.ingest,
            "timeline in order, without gaps": self.timeline,
            "builtin chat answers what concerns no provider": self.builtin,
            "bad bodies are named": self.bad_bodies,
            "a body of 2 MB is refused": self.too_large,
            "unknown members and nulls": self.lenient,
            "unsigned sources are refused": self.unsigned,
            "signed sources are accepted once": self.signed,
            "interact": self.interact,
            "unknown sessions": self.unknown_sessions,
            "event stream": self.stream,
            "provider events need a token": self.events,
            "context needs token and scope": self.context,
            "manifest": self.manifest,
            "metrics as JSON": self.metrics,
        }

    async def _ingest(self, session_id: str, text: str, **members: object) -> IngestAck:
        answer = await self._gateway.post("/v0/ingest", user_input(session_id, text, **members))
        equal("POST /v0/ingest", answer.status, 200)
        return codec.decode(answer.body, IngestAck)

    async def ingest(self) -> str:
        session_id = new_session()
        ack = await self._ingest(session_id, "帮我安排一个计划")
        equal("sessionId", ack.session_id, session_id)
        equal("cursor", ack.stream.cursor, 0)
        expect(ack.runs, "runs: expected at least one")
        expect(ack.stream.href.startswith("/v0/stream?sessionId="), f"stream.href: {ack.stream.href}")
        return ", ".join(run.provider_id for run in ack.runs)

    async def timeline(self) -> str:
        session_id = new_session()
        await self._ingest(session_id, "帮我安排一个计划")
        events: list[TimelineEvent] = []

        async def is_answered() -> bool:
            nonlocal events
            events = await self._gateway.timeline(session_id)
            kinds = [event.kind for event in events]
            equal("seq", [event.seq for event in events], list(range(1, len(events) + 1)))
            equal("the first kinds", kinds[:3], ["inbound", "routing_decision", "provider_run"])
            return "interaction" in kinds

        await until("an interaction is on the timeline", is_answered, CHECK_SECONDS - 1.0)
        return f"{len(events)} events"

    async def builtin(self) -> None:
        ack = await self._ingest(new_session(), "hello")
        equal("fallback", ack.routing.fallback, "builtin_chat")
        expect(ack.ack_events, "ackEvents: expected the builtin chat's answer")

    async def bad_bodies(self) -> None:
        session_id = new_session()
        good = user_input(session_id, "x")
        for body, names in (
            (b"{", "body"),
            (b"[" * _DEEP + b"]" * _DEEP, "nesting"),
            (b'{"a":"\\u0000"}', "U+0000"),
            (b'{"a":"\\ud800"}', "surrogate"),
            (b'{"a":"\xff"}', "UTF-8"),
            (codec.encode({**good, "userId": 7}), "userId"),
            (codec.encode({**good, "userId": ""}), "userId"),
            (codec.encode({**good, "source": "fax"}), "source"),
            (codec.encode({**good, "schemaVersion": "v9"}), "schemaVersion"),
            (codec.encode({key: value for key, value in good.items() if key != "traceId"}), "traceId"),
        ):
            expect_problem(await self._gateway.post("/v0/ingest", body), 400, "INVALID_REQUEST", names)
        equal("events written by refused inputs", await self._gateway.timeline(session_id), [])

    async def too_large(self) -> None:
        body = codec.encode(user_input(new_session(), "x" * _TOO_LARGE))
        expect_problem(await self._gateway.post("/v0/ingest", body), 413, "PAYLOAD_TOO_LARGE")

    async def lenient(self) -> None:
        await self._ingest(new_session(), "hello", locale=None, attachments=None, unheardOf={"a": 1})

    async def unsigned(self) -> None:
        body = user_input(new_session(), "hello", source="wechat")
        expect_problem(await self._gateway.post("/v0/ingest", body), 401, "INVALID_SIGNATURE")

    async def signed(self) -> None:
        if self._targets.adapter_secret is None:
            raise Skipped("no UNIASSIST_ADAPTER_SECRET given")
        body = codec.encode(user_input(new_session(), "hello", source="api"))
        now_ms = int(time.time() * 1000)
        secret, target = self._targets.adapter_secret, Target("POST", b"/v0/ingest")
        headers = sign_request(secret, target, body, now_ms=now_ms, nonce=fresh_nonce())
        equal("first time", (await self._gateway.post("/v0/ingest", body, headers)).status, 200)
        expect_problem(await self._gateway.post("/v0/ingest", body, headers), 401, "INVALID_SIGNATURE", "nonce")
        stale = sign_request(secret, target, body, now_ms=now_ms - 3_600_000, nonce=fresh_nonce())
        expect_problem(await self._gateway.post("/v0/ingest", body, stale), 401, "INVALID_SIGNATURE", "timestamp")

    async def interact(self) -> None:
        session_id = new_session()
        ack = await self._ingest(session_id, "hello")
        interaction = {
            "schemaVersion": "v0",
            "traceId": "check",
            "sessionId": session_id,
            "userId": "user-check",
            "providerId": ack.runs[0].provider_id,
            "runId": ack.runs[0].run_id,
            "actionId": "new_session:auto",
            "timestampMs": int(time.time() * 1000),
        }
        answer = await self._gateway.post("/v0/interact", interaction)
        equal("status", answer.status, 200)
        body = json_body(answer)
        expect(body.get("accepted") is True and body.get("newSessionId"), f"expected newSessionId, got {body}")
        for change in ({"sessionId": new_session()}, {"userId": "somebody-else"}):
            refused = await self._gateway.post("/v0/interact", {**interaction, **change})
            expect_problem(refused, 404, "SESSION_NOT_FOUND")

    async def unknown_sessions(self) -> None:
        equal("events of an unknown session", await self._gateway.timeline(new_session()), [])
        expect_problem(await self._gateway.get("/v0/timeline"), 400, "INVALID_REQUEST", "sessionId")
        answer = await self._gateway.get("/v0/timeline?sessionId=x&cursor=minus")
        expect_problem(answer, 400, "INVALID_REQUEST", "cursor")

    async def stream(self) -> None:
        session_id = new_session()
        await self._ingest(session_id, "hello")
        seen = []
        async for event in follow(self._gateway.url, session_id, reconnect=False):
            seen.append(event.seq)
            if len(seen) == 4:
                break
        equal("seq on the stream", seen, [1, 2, 3, 4])

    async def events(self) -> None:
        body = {"schemaVersion": "v0", "providerId": "plan", "events": [], "timestampMs": 1}
        expect_problem(await self._gateway.post("/v0/events", body), 401, "INVALID_PROVIDER_TOKEN")
        token = self._token()
        narrowed = {"Authorization": f"Bearer {token}", "x-provider-scopes": "context:read"}
        answer = await self._gateway.post("/v0/events", body, narrowed)
        expect_problem(answer, 403, "MISSING_SCOPE")
        headers = {"Authorization": f"Bearer {token}", "x-provider-scopes": "events:write"}
        answer = await self._gateway.post("/v0/events", {**body, "events": [{"kind": "no such"}]}, headers)
        equal("status", answer.status, 200)
        found = json_body(answer)
        equal("accepted, rejected", (found.get("accepted"), found.get("rejected")), (0, 1))

    async def context(self) -> None:
        path = "/v0/context/users/profile:user-check"
        expect_problem(await self._gateway.get(path), 401, "INVALID_PROVIDER_TOKEN")
        token = self._token()
        expect_problem(await self._gateway.get(path, {"Authorization": f"Bearer {token}"}), 403, "MISSING_SCOPE")
        headers = {"Authorization": f"Bearer {token}", "x-provider-scopes": "other, context:read"}
        answer = await self._gateway.get(path, headers)
        equal("status", answer.status, 200)
        missing = {"profile", "preferences", "consents", "updatedAt"} - set(json_body(answer))
        expect(not missing, f"context lacks {sorted(missing)}")

    def _token(self) -> str:
        if self._targets.context_token is None:
            raise Skipped("no UNIASSIST_PROVIDER_CONTEXT_TOKEN given; only the refusal without a token was checked")
        return self._targets.context_token

    async def manifest(self) -> str:
        answer = await self._gateway.get("/.well-known/uniassist/manifest.json")
        return codec.decode(answer.body, ProviderManifest).provider_id

    async def metrics(self) -> None:
        body = json_body(await self._gateway.get("/v0/metrics"))
        wanted = {"ingest", "provider", "persistence", "outbox"}
        equal("metrics", set(body.get("metrics", {})) & wanted, wanted)
        shown = (await self._gateway.get("/metrics")).body.decode()
        names = {line.partition(" ")[0].partition("{")[0] for line in shown.splitlines()}
        missing = {"uniassist_gateway_ingest_total", "uniassist_outbox_backlog_total"} - names
        expect(not missing, f"/metrics lacks {', '.join(sorted(missing))}")

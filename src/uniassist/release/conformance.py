"""Whether a running service keeps the v0 contract; the same checks for ours and for anyone's provider."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from uniassist.contracts import codec
from uniassist.contracts.inputs import IngestAck
from uniassist.contracts.provider import InteractResponse, InvokeResponse, ProviderManifest
from uniassist.contracts.timeline import TimelineEvent
from uniassist.release.checklist import CHECK_SECONDS, Checklist, Skipped, equal, expect, until
from uniassist.release.talk import Service, document, expect_problem, new_session, user_input
from uniassist.web.client import JsonClient
from uniassist.web.signing import fresh_nonce, sign
from uniassist.web.sse import follow

_TOO_LARGE = 2 * 1024 * 1024
_DEEP = 100


@dataclass(frozen=True)
class Targets:
    """URLs of the services to check; None: not checked. Secrets only where a check needs them."""

    gateway: str | None = None
    provider: str | None = None
    adapter_wechat: str | None = None
    worker: str | None = None
    context_token: str | None = None
    adapter_secret: str | None = None
    wechat_token: str | None = None


Check = Callable[[], Awaitable[str | None]]


async def check_all(checklist: Checklist, targets: Targets) -> None:
    """Every check of every service that `targets` names, also after one has failed."""
    expect(any((targets.gateway, targets.provider, targets.adapter_wechat, targets.worker)), "no URL to check")
    async with JsonClient() as client:
        for name, url in (
            ("gateway", targets.gateway),
            ("provider", targets.provider),
            ("adapter-wechat", targets.adapter_wechat),
            ("worker", targets.worker),
        ):
            if url is None:
                continue
            service = Service(client, url.rstrip("/"))
            checks: dict[str, Check] = _every_service(service)
            if name == "gateway":
                checks |= GatewayChecks(service, targets).all()
            elif name == "provider":
                checks |= ProviderChecks(service).all()
            elif name == "adapter-wechat":
                checks |= WechatChecks(service, targets).all()
            for what, check in checks.items():
                await checklist.run(f"{name}: {what}", check)


def _every_service(service: Service) -> dict[str, Check]:
    async def health() -> str:
        answer = await service.get("/health")
        body = document(answer)
        for member in ("ok", "service", "version", "revision", "checks"):
            expect(member in body, f"health lacks {member}")
        equal("status", answer.status, 200 if body["ok"] else 503)
        expect(body["ok"], f"not healthy: {body['checks']}")
        return str(body["revision"])

    async def liveness() -> None:
        equal("status", (await service.get("/health/live")).status, 200)

    async def metrics() -> None:
        answer = await service.get("/metrics")
        equal("status", answer.status, 200)
        expect(answer.headers.get("content-type", "").startswith("text/plain"), "expected Prometheus text")

    async def openapi() -> None:
        body = document(await service.get("/openapi.json"))
        expect(str(body.get("openapi", "")).startswith("3.1"), "expected OpenAPI 3.1")

    return {"health": health, "liveness": liveness, "metrics": metrics, "OpenAPI 3.1": openapi}


class GatewayChecks:
    """The gateway's calls. Each check writes to sessions of its own."""

    def __init__(self, gateway: Service, targets: Targets) -> None:
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
        headers = sign(self._targets.adapter_secret, body, now_ms=now_ms, nonce=fresh_nonce())
        equal("first time", (await self._gateway.post("/v0/ingest", body, headers)).status, 200)
        expect_problem(await self._gateway.post("/v0/ingest", body, headers), 401, "INVALID_SIGNATURE", "nonce")
        stale = sign(self._targets.adapter_secret, body, now_ms=now_ms - 3_600_000, nonce=fresh_nonce())
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
        body = document(answer)
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
        found = document(answer)
        equal("accepted, rejected", (found.get("accepted"), found.get("rejected")), (0, 1))

    async def context(self) -> None:
        path = "/v0/context/users/profile:user-check"
        expect_problem(await self._gateway.get(path), 401, "INVALID_PROVIDER_TOKEN")
        token = self._token()
        expect_problem(await self._gateway.get(path, {"Authorization": f"Bearer {token}"}), 403, "MISSING_SCOPE")
        headers = {"Authorization": f"Bearer {token}", "x-provider-scopes": "other, context:read"}
        answer = await self._gateway.get(path, headers)
        equal("status", answer.status, 200)
        missing = {"profile", "preferences", "consents", "updatedAt"} - set(document(answer))
        expect(not missing, f"context lacks {sorted(missing)}")

    def _token(self) -> str:
        if self._targets.context_token is None:
            raise Skipped("no UNIASSIST_PROVIDER_CONTEXT_TOKEN given; only the refusal without a token was checked")
        return self._targets.context_token

    async def manifest(self) -> str:
        answer = await self._gateway.get("/.well-known/uniassist/manifest.json")
        return codec.decode(answer.body, ProviderManifest).provider_id

    async def metrics(self) -> None:
        body = document(await self._gateway.get("/v0/metrics"))
        wanted = {"ingest", "provider", "persistence", "outbox"}
        equal("metrics", set(body.get("metrics", {})) & wanted, wanted)


class ProviderChecks:
    """A specialist's side: what the gateway will ask of it."""

    def __init__(self, provider: Service) -> None:
        self._provider = provider

    def all(self) -> dict[str, Check]:
        return {
            "manifest": self.manifest,
            "invoke": self.invoke,
            "invoke is safe to repeat": self.repeat,
            "bad invokes are named": self.bad_invoke,
            "interact": self.interact,
            "bad interacts are named": self.bad_interact,
        }

    async def _id(self) -> str:
        answer = await self._provider.get("/.well-known/uniassist/manifest.json")
        equal("manifest", answer.status, 200)
        return codec.decode(answer.body, ProviderManifest).provider_id

    async def manifest(self) -> str:
        return await self._id()

    async def _run(self) -> dict[str, object]:
        provider_id, session_id = await self._id(), new_session()
        return {
            "context": {
                "schemaVersion": "v0",
                "user": {"userId": "user-check"},
                "session": {"sessionId": session_id},
                "permissions": [],
            },
            "run": {
                "runId": f"run-{session_id}",
                "providerId": provider_id,
                "attempt": 1,
                "idempotencyKey": "check",
            },
        }

    async def invoke(self) -> str:
        run = await self._run()
        return (await self._invoke(run)).ack.message or "no message"

    async def _invoke(self, run: dict[str, object]) -> InvokeResponse:
        body = {"schemaVersion": "v0", "input": user_input(new_session(), "帮我安排一个计划"), **run}
        answer = await self._provider.post("/v0/invoke", body)
        equal("POST /v0/invoke", answer.status, 200)
        shape = codec.decode(answer.body, InvokeResponse)
        asked = run["run"]
        assert isinstance(asked, dict)
        equal("runId", shape.run_id, asked["runId"])
        equal("providerId", shape.provider_id, asked["providerId"])
        return shape

    async def repeat(self) -> None:
        run = await self._run()
        await self._invoke(run)
        await self._invoke(run)

    async def bad_invoke(self) -> None:
        for body in (b"{", b"{}", b'{"schemaVersion":"v0","input":{}}'):
            expect_problem(await self._provider.post("/v0/invoke", body), 400, "INVALID_INVOKE_REQUEST")

    async def interact(self) -> str:
        run = await self._run()
        asked = run["run"]
        assert isinstance(asked, dict)
        interaction = {
            "schemaVersion": "v0",
            "traceId": "check",
            "sessionId": new_session(),
            "userId": "user-check",
            "providerId": asked["providerId"],
            "runId": asked["runId"],
            "actionId": "unheard_of",
            "timestampMs": int(time.time() * 1000),
        }
        body = {"schemaVersion": "v0", "interaction": interaction, **run}
        answer = await self._provider.post("/v0/interact", body)
        equal("POST /v0/interact", answer.status, 200)
        shape = codec.decode(answer.body, InteractResponse)
        equal("runId", shape.run_id, asked["runId"])
        return f"{len(shape.events)} events"

    async def bad_interact(self) -> None:
        for body in (b"{", b"{}"):
            expect_problem(await self._provider.post("/v0/interact", body), 400, "INVALID_INTERACT_REQUEST")


class WechatChecks:
    """The channel's webhook, in plain mode."""

    def __init__(self, adapter: Service, targets: Targets) -> None:
        self._adapter = adapter
        self._targets = targets

    def all(self) -> dict[str, Check]:
        return {
            "a handshake with a bad signature is refused": self.refuses,
            "handshake": self.handshake,
            "a text message gets its reply": self.text,
        }

    def _query(self, **more: str) -> str:
        if self._targets.wechat_token is None:
            raise Skipped("no WECHAT_TOKEN given")
        timestamp, nonce = str(int(time.time())), fresh_nonce()
        joined = "".join(sorted([self._targets.wechat_token, timestamp, nonce]))
        signature = hashlib.sha1(joined.encode()).hexdigest()  # noqa: S324 - the platform's protocol
        fields = {"signature": signature, "timestamp": timestamp, "nonce": nonce, **more}
        return "&".join(f"{name}={value}" for name, value in fields.items())

    async def refuses(self) -> None:
        query = f"signature={'0' * 40}&timestamp={int(time.time())}&nonce=1&echostr=hello"
        equal("status", (await self._adapter.get(f"/wechat/webhook?{query}")).status, 403)

    async def handshake(self) -> None:
        answer = await self._adapter.get(f"/wechat/webhook?{self._query(echostr='hello-check')}")
        equal("answer", (answer.status, answer.body), (200, b"hello-check"))

    async def text(self) -> str:
        openid, now = f"o-{new_session()}", int(time.time())
        body = (
            f"<xml><ToUserName>gh_check</ToUserName><FromUserName>{openid}</FromUserName>"
            f"<CreateTime>{now}</CreateTime><MsgType>text</MsgType><Content>你好</Content>"
            f"<MsgId>{time.time_ns()}</MsgId></xml>"
        ).encode()
        path = f"/wechat/webhook?{self._query()}"
        answer = await self._adapter.post(path, body, {"Content-Type": "text/xml"})
        equal("status", answer.status, 200)
        text = answer.body.decode("utf-8", "replace")
        expect(text == "success" or openid in text, f"expected a reply to {openid} or success, got {text[:120]!r}")
        return "reply" if openid in text else "success"

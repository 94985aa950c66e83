"""A good provider that streams, and by the first part of its path one with a single fault: `<url>/slow`, say."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

TOKEN = "token-of-the-guarded-one-0123456789"
LATE_TEXT = "take your time"
# What the tests let it take: enough for a machine that is busy.
DEADLINE_SECONDS, IDLE_SECONDS = 3.0, 2.0
_NOISE = itertools.count()
Json = dict[str, Any]


class Refused(Exception):
    def __init__(self, detail: str, status: int = 400, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail, self.status, self.code = detail, status, code


@dataclass
class BadProvider:
    """`events_url`: where late events go."""

    url: str = ""
    events_url: str = ""
    seen: set[str] = field(default_factory=set)
    pushing: set[asyncio.Task[None]] = field(default_factory=set)

    async def manifest(self, request: web.Request) -> web.Response:
        fault = request.match_info["fault"]
        if fault == "manifest-missing":
            return web.json_response({}, status=404)
        if fault == "manifest-not-json":
            return web.Response(text="<html>", content_type="application/json")
        auth = "bearer" if fault in ("guarded", "auth-claimed", "token-wrong-code") else "none"
        manifest: Json = {
            "schemaVersion": "v0",
            "providerId": "good",
            "name": "Good",
            "version": f"{next(_NOISE)}" if fault == "manifest-changes" else "1",
            "description": "",
            "capabilities": {
                "inputs": ["text"],
                "interactionEvents": ["card"] if fault == "events-undeclared" else ["assistant_message"],
                "streaming": fault != "streams-undeclared",
            },
            "sla": {"ackWithinMs": 1000, "maxSyncResponseMs": 300 if fault == "slower-than-said" else 5000},
            "security": {"auth": auth, "requiredScopes": []},
        }
        if fault == "foreign-extension":
            manifest["capabilities"]["interactionEvents"].append("provider_extension")
        if fault == "manifest-lacks-version":
            del manifest["version"]
        if fault == "manifest-mistyped":
            manifest["capabilities"]["streaming"] = "yes"
        return web.json_response(manifest)

    async def invoke(self, request: web.Request) -> web.StreamResponse:
        fault = request.match_info["fault"]
        try:
            asked = await self._read(request, "input")
        except Refused as refused:
            return _problem(fault, refused, "INVALID_INVOKE_REQUEST")
        run, text = asked["run"], asked["input"].get("text") or ""
        run_id, attempt = run["runId"], run["attempt"]
        if fault in ("slow", "slower-than-said") and self._first(fault):
            await asyncio.sleep(DEADLINE_SECONDS + 0.5 if fault == "slow" else 0.6)
        if fault == "hostile-500" and "<script>" in text:
            return web.json_response({}, status=500)
        if fault == "reply-refused" and "continues" in run:
            return web.json_response({}, status=500)
        streams = "text/event-stream" in request.headers.get("accept", "")
        if streams or (fault == "streams-always"):
            return await self._stream(request, fault, run_id, attempt)
        said = f"about {len(text)}"
        if fault == "repeat-differs":
            said += f" {next(_NOISE)}"
        if fault == "repeat-differs-at-once" and run_id.startswith("run-check-at-once"):
            said += f" {next(_NOISE)}"
        event: Json = {"type": "assistant_message", "text": said}
        if fault == "event-misshaped":
            event = {"type": "assistant_message"}
        if fault == "event-unknown":
            event = {"type": "confetti"}
        events = [event] * (101 if fault == "too-many-events" else 1)
        if fault == "foreign-extension":
            payload: Json = {"providerId": "plan", "dataSchema": {}, "uiSchema": {}, "status": "pending"}
            kind = "data_collection_request"
            events.append({"type": "provider_extension", "extensionKind": kind, "payload": payload})
        answer: Json = {
            "schemaVersion": "v0",
            "runId": "another" if fault == "run-id" else run_id,
            "providerId": "another" if fault == "provider-id" else "good",
            "ack": {"type": "ack"},
            "immediateEvents": events,
        }
        if fault == "odd-id-mangled":
            answer["runId"] = run_id.encode("ascii", "ignore").decode()
        if fault == "no-ack":
            del answer["ack"]
        if fault == "too-large":
            answer["ack"]["message"] = "x" * 2_000_000
        if text == LATE_TEXT:
            answer["staysOpen"] = {}
            task = asyncio.create_task(self._push(fault, asked["input"], run_id))
            self.pushing.add(task)
            task.add_done_callback(self.pushing.discard)
        kind = "text/html" if fault == "content-type" else "application/json"
        return web.Response(text=json.dumps(answer), content_type=kind)

    async def interact(self, request: web.Request) -> web.Response:
        fault = request.match_info["fault"]
        try:
            asked = await self._read(request, "interaction")
        except Refused as refused:
            return _problem(fault, refused, "INVALID_INTERACT_REQUEST")
        if fault == "unknown-action-404":
            return web.json_response({}, status=404)
        run_id = "another" if fault == "interact-run-id" else asked["run"]["runId"]
        return web.json_response({"schemaVersion": "v0", "runId": run_id, "events": []})

    async def health(self, request: web.Request) -> web.Response:
        if request.match_info["fault"] == "health-fails":
            return web.json_response({"ok": False}, status=503)
        return web.json_response({}, status=404)

    async def metrics(self, request: web.Request) -> web.Response:
        if request.match_info["fault"] == "metrics-json":
            return web.json_response({"calls": 1})
        return web.json_response({}, status=404)

    async def erase(self, request: web.Request) -> web.Response:
        fault = request.match_info["fault"]
        if fault == "erases-once":
            return web.json_response(
                {"schemaVersion": "v0", "accepted": True}, status=200 if self._first(fault) else 410
            )
        if fault == "erase-says-no":
            return web.json_response({"schemaVersion": "v0", "accepted": False})
        return web.json_response({}, status=404)

    def _first(self, what: str) -> bool:
        is_first = what not in self.seen
        self.seen.add(what)
        return is_first

    async def _read(self, request: web.Request, subject: str) -> Json:
        fault = request.match_info["fault"]
        raw = await request.read()
        most = 1024 * 1024 if fault == "large-refused" else 1024 * 1024 + 65536
        if len(raw) > most and fault != "oversize-taken":
            raise Refused("body: too large", 413, "PAYLOAD_TOO_LARGE")
        shown = request.headers.get("authorization")
        if fault in ("guarded", "auth-denied", "token-wrong-code") and shown != f"Bearer {TOKEN}":
            code = "NOT_YOU" if fault == "token-wrong-code" else "INVALID_PROVIDER_TOKEN"
            raise Refused("Authorization: expected the token", 401, code)
        try:
            asked = json.loads(raw.decode("utf-8", "replace" if fault == "utf8-taken" else "strict"))
            if fault != "surrogates-taken":
                json.dumps(asked, ensure_ascii=False).encode()
            if "\\u0000" in json.dumps(asked) and fault != "nul-taken":
                raise ValueError("U+0000")
        except ValueError as error:
            raise Refused(f"body: {error}") from None
        if fault == "bad-taken" and isinstance(asked, dict) and asked.get("schemaVersion") == "v1":
            return asked
        try:
            if asked["schemaVersion"] != "v0" or not isinstance(asked[subject], dict):
                raise Refused("schemaVersion: expected v0")
            for name, kind in (("runId", str), ("attempt", int), ("idempotencyKey", str)):
                if not isinstance(asked["run"][name], kind):
                    what = "something" if fault == "names-no-field" else f"run.{name}"
                    raise Refused(f"{what}: expected {kind.__name__}")
        except (KeyError, TypeError) as error:
            if fault == "bad-500":
                raise Refused("oops", 500) from None
            raise Refused(f"{error}: missing") from None
        if fault == "unknown-members-refused" and "unheardOf" in asked:
            raise Refused("unheardOf: unknown")
        if fault == "null-refused" and None in asked[subject].values():
            raise Refused("null")
        return dict(asked)

    async def _stream(self, request: web.Request, fault: str, run_id: str, attempt: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if fault == "stream-dies-after-cancel" and run_id.startswith("run-check-cancelled") and attempt > 1:
            return response
        last = f"end {next(_NOISE)}" if fault == "stream-repeat-differs" else "the end"
        message: Json = {"type": "assistant_message", "messageId": "m", "text": f"Well, {last}"}
        frames: list[Json] = [
            {"type": "delta", "messageId": "m", "text": "Well, "},
            {"type": "delta", "messageId": "m", "text": last},
            {"type": "event", "event": message},
            {"type": "end"},
        ]
        if fault == "stream-no-end":
            frames.pop()
        if fault == "stream-two-ends":
            frames.append({"type": "end"})
        if fault == "stream-goes-on":
            frames.append({"type": "event", "event": message | {"messageId": "n"}})
        if fault == "stream-late-delta":
            frames.insert(3, {"type": "delta", "messageId": "m", "text": "and"})
        if fault == "stream-many-messages":
            frames[2:2] = [{"type": "delta", "messageId": f"m{number}", "text": "x"} for number in range(9)]
        if fault == "stream-long-message":
            frames[2:2] = [{"type": "delta", "messageId": "m", "text": "x" * 50_000}] * 3
        if fault == "stream-unknown-frame":
            frames.insert(1, {"type": "confetti"})
        if fault == "stream-misshaped-event":
            frames[2] = {"type": "event", "event": {"type": "assistant_message"}}
        for number, frame in enumerate(frames):
            if fault == "stream-silent" and number == 1 and run_id.startswith("run-check-stream") and attempt == 1:
                await asyncio.sleep(IDLE_SECONDS + 0.5)
            await response.write(b"data: %b\n\n" % json.dumps(frame).encode())
        if fault == "stream-not-json":
            await response.write(b"data: {oops\n\n")
        if fault == "stream-no-frames":
            await response.write(b"<html>maintenance</html>\n\n")
        return response

    async def _push(self, fault: str, message: Json, run_id: str) -> None:
        ids = {"traceId": message["traceId"], "sessionId": message["sessionId"], "userId": message["userId"]}
        ids |= {"runId": "another" if fault == "late-run" else run_id, "timestampMs": 1}
        said: Json = {"kind": "interaction", "event": {"type": "assistant_message", "text": "done"}, **ids}
        if fault == "late-misshaped":
            del said["event"]
        items = [said, {"kind": "run", "status": "completed", **ids}]
        if fault == "late-no-end":
            items.pop()
        if fault == "late-never":
            return
        headers = {} if fault == "late-no-token" else {"Authorization": f"Bearer {TOKEN}"}
        url = self.events_url  # the next test's listener hears nothing of this run
        async with aiohttp.ClientSession(headers=headers) as session:
            for number, item in enumerate(items):
                for attempt in range(1 if fault == "late-once" and number == 0 else 5):
                    event_id = f"{run_id}-{number}"
                    if fault == "late-other-ids":
                        event_id += f"-{attempt}"
                    sender = "another" if fault == "late-provider" else "good"
                    body = {"schemaVersion": "v0", "providerId": sender, "timestampMs": 1}
                    body |= {"events": [item if fault == "late-no-ids" else item | {"eventId": event_id}]}
                    async with session.post(f"{url}/v0/events", json=body) as answer:
                        if answer.status == 200:
                            break


def _problem(fault: str, refused: Refused, code: str) -> web.Response:
    if fault == "bad-code" and refused.status == 400:
        code = "BAD"
    problem: Json = {
        "schemaVersion": "v0",
        "type": "about:blank",
        "title": "Refused",
        "status": refused.status,
        "code": refused.code or code,
        "detail": refused.detail,
    }
    kind = "application/json" if fault == "problem-type" else "application/problem+json"
    if fault == "problem-lacks-title":
        del problem["title"]
    return web.Response(text=json.dumps(problem), status=refused.status, content_type=kind)


@contextmanager
def bad_provider() -> Iterator[BadProvider]:
    """In a thread with a loop of its own: one for all faults."""
    provider = BadProvider()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(_serve(provider), loop).result(10)
    try:
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _serve(provider: BadProvider) -> web.AppRunner:
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_get("/{fault}/.well-known/uniassist/manifest.json", provider.manifest)
    app.router.add_get("/{fault}/health", provider.health)
    app.router.add_get("/{fault}/metrics", provider.metrics)
    for name, handler in (("invoke", provider.invoke), ("interact", provider.interact), ("erase", provider.erase)):
        app.router.add_post(f"/{{fault}}/v0/{name}", handler)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner

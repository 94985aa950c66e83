"""A provider that streams its answers over real HTTP; what it says is written into the person's text.

A text is words; each word is one act, in order:

    d:ID:TEXT   a delta          e:ID:TEXT   the message ID, whole       m:TEXT   one without deltas
    story:N     a message of its own, and one of N words a while apart, other ones in each attempt
    open[:MS]   the end, and the run stays open               json-open   the same, unstreamed
    end         the end          wait        until `let_go`              cut      the connection is closed
    card:ACTS   a card with a button, "Go": what is done when it is tapped, with _ for blanks
    raw:NAME    one of RAW       x:          nothing, for ever           json     the whole answer as JSON, at once
    kw…         nothing: a keyword for the router
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

FOREVER_SECONDS = 60.0
RAW: dict[str, bytes] = {
    "garbage": b"<html>maintenance</html>\n\n",
    "not-json": b"data: {oops\n\n",
    "not-utf8": b'data: {"type":"delta","messageId":"m","text":"\xff\xfe"}\n\n',
    "unknown": b'data: {"type":"surprise"}\n\n',
    "no-text": b'data: {"type":"delta","messageId":"m"}\n\n',
    "no-event": b'data: {"type":"event","event":{"type":"assistant_message"}}\n\n',
    "huge": b"data: " + b"x" * 300_000,
    "half": '{"type":"delta","messageId":"m","text":"好'.encode()[:-1],
    "as-json": b'{"schemaVersion":"v0","runId":"r","providerId":"p","ack":{"type":"ack"}}',
    "comment": b": still here\n\n",
    "slow-frame": b'data: {"type":"del',
}


@dataclass
class StreamingProvider:
    """`hung_up`: the runs whose connection was closed from the other side. `calls`: bodies in order of arrival.

    `always`: acts in the place of the text's.
    """

    url: str = ""
    streaming: bool = True
    calls: list[dict[str, Any]] = field(default_factory=list)
    accepts: list[str] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)
    under_way: int = 0
    let_go: threading.Event = field(default_factory=threading.Event)
    always: list[str] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)

    @property
    def texts(self) -> list[str]:
        """What persons wrote, of each call that has that; interactions don't."""
        return [call["input"]["text"] for call in self.calls if "input" in call]

    async def manifest(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "schemaVersion": "v0",
                "providerId": request.match_info["provider"],
                "name": "streams",
                "version": "1",
                "description": "",
                "capabilities": {"inputs": ["text"], "interactionEvents": [], "streaming": self.streaming},
                "security": {"auth": "none", "requiredScopes": []},
            }
        )

    async def call(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.calls.append(body)
        self.accepts.append(request.headers.get("accept", ""))
        run_id = body["run"]["runId"]
        self.attempts[run_id] += 1
        acts = self.always or _acts(body)
        if "json-open" in acts:
            return web.json_response(_whole(body) | {"staysOpen": {}})
        if "json" in acts or not self.streaming:
            return web.json_response(_whole(body))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if "zipped" in acts:
            response.headers["Content-Encoding"] = "gzip"
        if "lies" in acts:
            response.headers["Content-Type"] = "application/json"
        await response.prepare(request)
        self.under_way += 1
        try:
            await self._act_all(response, acts, body["run"]["attempt"])
        except (ConnectionResetError, asyncio.CancelledError):
            self.hung_up.append(run_id)
            raise
        finally:
            self.under_way -= 1
        return response

    async def _act_all(self, response: web.StreamResponse, acts: list[str], attempt: int) -> None:
        for act in acts:
            name, _, said = act.partition(":")
            message_id, _, text = said.partition(":")
            if name == "d":
                await _send(response, {"type": "delta", "messageId": message_id, "text": text.replace("_", " ")})
            elif name in ("e", "m"):
                event: dict[str, Any] = {"type": "assistant_message"}
                event |= {"messageId": message_id, "text": text} if name == "e" else {"text": said}
                await _send(response, {"type": "event", "event": event})
            elif name == "end":
                await _send(response, {"type": "end"})
            elif name == "expects":
                await _send(response, {"type": "end", "expectsReply": {"hint": "go on"}})
            elif name == "open":
                until = {"untilMs": int(said)} if said else {}
                await _send(response, {"type": "end", "staysOpen": until})
            elif name == "card":
                go = {"actionId": "go", "label": "Go", "payload": {"text": said.replace("_", " ")}}
                await _send(
                    response, {"type": "event", "event": {"type": "card", "title": "Well?", "actions": [go]}}
                )
            elif name == "raw":
                await response.write(RAW[said])
            elif name == "wait":
                await self._wait(response)
            elif name == "drip":  # a word after the other, for as long as anybody listens
                for number in range(10_000):
                    await _send(response, {"type": "delta", "messageId": message_id, "text": f"w{number} "})
                    await asyncio.sleep(0.01)
            elif name == "story":
                await _tell_story(response, int(said), attempt)
            elif name == "flood":
                for _ in range(10_000):
                    await _send(response, {"type": "delta", "messageId": message_id, "text": "x" * 1000})
            elif name == "long":  # so many thousands of characters, in a second or so
                for number in range(int(said)):
                    await _send(response, {"type": "delta", "messageId": "long", "text": f"{number:04} " * 200})
                    await asyncio.sleep(0.01)
            elif name == "beat":
                for _ in range(1000):
                    await response.write(RAW["comment"])
                    await asyncio.sleep(0.1)
            elif name == "x":
                await asyncio.sleep(FOREVER_SECONDS)
            elif name == "cut":
                return

    async def _wait(self, response: web.StreamResponse) -> None:
        """A comment now and then, so that a caller who is gone is noticed."""
        while not self.let_go.is_set():  # ends: let go, or hung up on
            await response.write(RAW["comment"])
            await asyncio.sleep(0.05)


async def _tell_story(response: web.StreamResponse, count: int, attempt: int) -> None:
    words = [f"{attempt}.{number} " for number in range(count)]
    for word in words[: count // 2]:
        await _send(response, {"type": "delta", "messageId": "story", "text": word})
        await asyncio.sleep(0.05)
    await _send(response, {"type": "event", "event": {"type": "assistant_message", "text": "half of it"}})
    for word in words[count // 2 :]:
        await _send(response, {"type": "delta", "messageId": "story", "text": word})
        await asyncio.sleep(0.05)
    whole = {"type": "assistant_message", "messageId": "story", "text": "".join(words)}
    await _send(response, {"type": "event", "event": whole})


async def _send(response: web.StreamResponse, frame: dict[str, Any]) -> None:
    await response.write(b"data: %b\n\n" % json.dumps(frame, ensure_ascii=False).encode())


def _acts(body: dict[str, Any]) -> list[str]:
    asked = body["input"]["text"] if "input" in body else body["interaction"]["payload"]["text"]
    return str(asked).split()


def _whole(body: dict[str, Any]) -> dict[str, Any]:
    event = {"type": "assistant_message", "text": "as json"}
    answer = {"schemaVersion": "v0", "runId": body["run"]["runId"]}
    if "interaction" in body:
        return answer | {"events": [event]}
    return answer | {"providerId": body["run"]["providerId"], "ack": {"type": "ack"}, "immediateEvents": [event]}


@contextmanager
def streaming_provider(*, streaming: bool = True) -> Iterator[StreamingProvider]:
    """In a thread with a loop of its own, so that it may outlive a test's."""
    provider = StreamingProvider(streaming=streaming)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(_serve(provider), loop).result(10)
    try:
        yield provider
    finally:
        provider.let_go.set()
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _serve(provider: StreamingProvider) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/{provider}/.well-known/uniassist/manifest.json", provider.manifest)
    app.router.add_post("/{provider}/v0/invoke", provider.call)
    app.router.add_post("/{provider}/v0/interact", provider.call)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner

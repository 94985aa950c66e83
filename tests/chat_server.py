"""A server that speaks OpenAI's chat completions over real HTTP, and misbehaves as the person's text says.

The last message's words are acts, in order:

    say:TEXT    a piece of the answer, its _ as blanks       tool:ID[:TEXT]   calls hand_over for that provider
    stop        the reason, the usage and [DONE]             leave            the reason alone, and the end
    busy:N:S    429 for the first N times, Retry-After S     status:N         that status
    raw:NAME    one of RAW                                   json             all that was said, unstreamed
    endless     words until the caller is gone               hang             nothing, for long
    late        no head of an answer for long             short:N   400 where there are more than N messages
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

LONG_SECONDS = 60.0
KEY = "a-key-of-the-chat-0123456789"
TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (5134 tokens) exceeds the available context size (2048 tokens), try increasing it",
        "type": "exceed_context_size_error",
    }
}
RAW: dict[str, bytes] = {
    "not-json": b"data: {oops\n\n",
    "half": b'data: {"choices":[{"delta":{"content":"\xe5\xa5',
    "error": b'data: {"error":{"message":"overloaded"}}\n\n',
    "wrong": b'data: {"choices":[{"delta":{"content":7}}]}\n\n',
    "html": b"<html>bad gateway</html>\n\n",
    "huge": b'data: {"choices":[{"delta":{"content":"' + b"x" * 300_000,
    "bad-tool": b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":'
    b'{"name":"hand_over","arguments":"{\\"provider\\": 7"}}]}}]}\n\n',
    "other-tool": b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":'
    b'{"name":"delete_everything","arguments":"{\\"provider\\":\\"plan\\"}"}}]}}]}\n\n',
}


@dataclass
class ChatServer:
    """`asked`: the bodies of requests, in order of arrival; `left`: how many callers went away.

    `acts`: what is done for a text that isn't acts itself.
    """

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    unauthorized: int = 0
    acts: Mapping[str, str] = field(default_factory=dict)
    _tried: Counter[str] = field(default_factory=Counter)

    def last_said(self, within: str) -> dict[str, Any]:
        """The last request whose message has that."""
        return next(each for each in reversed(self.asked) if within in each["messages"][-1]["content"])

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "test"}]})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            self.unauthorized += 1
            return web.json_response({"error": {"message": "no key"}}, status=401)
        body = await request.json()
        self.asked.append(body)
        text = re.sub(r"</?person>", "", body["messages"][-1]["content"])
        text = self.acts.get(text, text)
        acts = [act.split(":", 2) for act in text.split()]
        self._tried[text] += 1
        for name, *more in acts:
            if name == "busy" and self._tried[text] <= int(more[0]):
                return web.json_response({"error": {}}, status=429, headers={"Retry-After": more[1]})
            if name == "short" and len(body["messages"]) > int(more[0]):
                return web.json_response(TOO_LONG, status=400)
            if name == "status":
                return web.json_response({"error": {"message": "no"}}, status=int(more[0]))
        if ["late"] in acts:
            await asyncio.sleep(LONG_SECONDS)
        if ["json"] in acts:
            return web.json_response(_whole(acts))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        try:
            for name, *more in acts:
                await _act(response, name, more)
        except (ConnectionResetError, asyncio.CancelledError):
            self.left += 1
            raise
        return response


async def _act(response: web.StreamResponse, name: str, more: list[str]) -> None:
    if name == "say":
        await _send(response, {"delta": {"content": ":".join(more).replace("_", " ")}})
    elif name == "tool":
        said = json.dumps(_arguments(more))
        for number, piece in enumerate([said[:5], said[5:]]):  # in pieces, as models do
            function = {"arguments": piece} | ({"name": "hand_over"} if number == 0 else {})
            await _send(response, {"delta": {"tool_calls": [{"index": 0, "id": "c1", "function": function}]}})
    elif name in ("stop", "leave"):
        await _send(response, {"delta": {}, "finish_reason": "stop"})
        if name == "stop":
            usage = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}
            await response.write(b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(usage).encode())
    elif name == "raw":
        await response.write(RAW[more[0]])
    elif name == "endless":
        while True:
            await _send(response, {"delta": {"content": "word " * 100}})
            await asyncio.sleep(0.001)
    elif name == "hang":
        await asyncio.sleep(LONG_SECONDS)


async def _send(response: web.StreamResponse, choice: dict[str, Any]) -> None:
    chunk = {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
    await response.write(b"data: %b\n\n" % json.dumps(chunk, ensure_ascii=False).encode())


def _arguments(more: list[str]) -> dict[str, str]:
    return {"provider": more[0]} | ({"request": more[1].replace("_", " ")} if len(more) > 1 else {})


def _whole(acts: list[list[str]]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant"}
    message["content"] = "".join(":".join(more).replace("_", " ") for name, *more in acts if name == "say")
    calls = [
        {
            "id": "c",
            "type": "function",
            "function": {"name": "hand_over", "arguments": json.dumps(_arguments(more))},
        }
        for name, *more in acts
        if name == "tool"
    ]
    message |= {"tool_calls": calls} if calls else {}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """In a thread with a loop of its own, so that it may outlive a test's."""
    server = ChatServer()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(_serve(server), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _serve(server: ChatServer) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/v1/models", server.models)
    app.router.add_post("/v1/chat/completions", server.complete)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    return runner

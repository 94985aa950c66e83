"""An agent whose streams end after two events, that can't be subscribed to, and that pushes what comes later."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import BasePushNotificationSender, InMemoryPushNotificationConfigStore, InMemoryTaskStore
from a2a.types.a2a_pb2 import AgentCard
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVENTS = 2


def pushing(card: AgentCard, executor: AgentExecutor) -> DefaultRequestHandler:
    card.capabilities.push_notifications = True
    configs = InMemoryPushNotificationConfigStore()
    sender = BasePushNotificationSender(httpx.AsyncClient(trust_env=False), configs)
    return DefaultRequestHandler(
        agent_executor=executor,
        task_store=InMemoryTaskStore(),
        agent_card=card,
        push_config_store=configs,
        push_sender=sender,
    )


class Cuts:
    """FOLDER/calls gets a line for each JSON-RPC call: its method, and the token that pushes are to show."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        call = json.loads(body)
        push = call["params"].get("configuration", {}).get("taskPushNotificationConfig", {})
        with (self._folder / "calls").open("a", encoding="utf-8") as log:
            log.write(
                json.dumps({"method": call["method"], "url": push.get("url"), "token": push.get("token")}) + "\n"
            )
        if call["method"] == "SubscribeToTask":
            refused = {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32004, "message": "not here"}}
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps(refused).encode()})
            return
        events, is_cut = 0, False

        async def cuts(message: Message) -> None:
            nonlocal events, is_cut
            if is_cut:
                return
            events += message.get("body", b"").count(b"data:")
            if call["method"] == "SendStreamingMessage" and events >= EVENTS:
                is_cut, message = True, {**message, "more_body": False}
            await send(message)

        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def read() -> Message:
            return unread.pop() if unread else await receive()

        await self._app(scope, read, cuts)

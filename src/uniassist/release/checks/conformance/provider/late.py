"""Late events: the kit stands in for the gateway that they are told to, and refuses each once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

from aiohttp import web

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.provider import (
    LateDomainEvent,
    LateEvent,
    LateInteraction,
    LateRunEnd,
    ProviderEventsRequest,
    ProviderEventsResponse,
)
from uniassist.errors import UniAssistError
from uniassist.release.checks.conformance.provider.asking import Asking
from uniassist.release.checks.conformance.targets import Check
from uniassist.release.report.checklist import CheckFailed, Skipped, equal, expect

_LATE = cast("type[LateEvent]", LateEvent)
_HEARD = 100


@dataclass
class Listener:
    """A gateway's `/v0/events`, on loopback. The first push is answered with 503: it must come again.

    `port`: 0: any; then the one that it is.
    """

    port: int
    pushes: list[tuple[str | None, bytes]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Listener:
        app = web.Application()
        app.router.add_post("/v0/events", self._hear)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _hear(self, request: web.Request) -> web.Response:
        body = await request.read()
        if len(self.pushes) < _HEARD:
            self.pushes.append((request.headers.get("Authorization"), body))
        self.news.set()
        if len(self.pushes) == 1:
            return web.Response(status=503, headers={"Retry-After": "1"})
        accepted = ProviderEventsResponse(schema_version=SCHEMA_VERSION, accepted=1, rejected=0)
        return web.Response(body=codec.encode(accepted), content_type="application/json")


class LateChecks:
    """`listener`: None: nobody listens, and nothing can be said."""

    def __init__(self, asking: Asking, listener: Listener | None) -> None:
        self._asking = asking
        self._listener = listener
        self._run_id = ""

    def all(self) -> dict[str, Check]:
        return {
            "late events": self.events,
            "late events' token": self.token,
            "late events again": self.again,
            "an open run's end": self.end,
        }

    async def events(self) -> str:
        listener, subject = self._listener, self._asking.subject
        if listener is None:
            raise Skipped("nobody listens: give --events-port PORT, with GATEWAY_URL=http://127.0.0.1:PORT for it")
        call = self._asking.call(subject.late_text)
        answer = await self._asking.invoke(call)
        if answer.stays_open is None:
            raise Skipped("no run stayed open: give --late-text with a message whose run does")
        self._run_id = call["run"]["runId"]
        await self._until(lambda: bool(listener.pushes), "expected a late event of a run that stays open, got none")
        self._parsed(listener)
        return f"run {self._run_id}"

    async def token(self) -> None:
        for shown, body in self._heard.pushes:
            self._show(body)
            expect(
                shown is not None and shown.startswith("Bearer ") and len(shown) > len("Bearer "),
                "Authorization: expected Bearer and a token, got "
                + ("none" if shown is None else f"{shown.partition(' ')[0]}"),
            )

    async def again(self) -> None:
        listener = self._heard
        refused = _items(listener.pushes[0][1])
        await self._until(
            lambda: len(listener.pushes) > 1, "expected the push that was answered with 503 again, got none"
        )
        ids = [item.get("eventId") for item in refused]
        expect(all(ids), "eventId: expected one, for what comes again has to be known by it")
        later = {item.get("eventId") for _, body in listener.pushes[1:] for item in _items(body)}
        lost = [each for each in ids if each not in later]
        expect(not lost, f"expected eventId {lost} again, got {sorted(str(each) for each in later)}")

    async def end(self) -> str:
        listener = self._heard

        def ended() -> bool:
            return any(
                isinstance(item, LateRunEnd) and item.run_id == self._run_id for item in self._parsed(listener)
            )

        await self._until(ended, f"expected an item of kind run for {self._run_id}, got none")
        return f"{len(listener.pushes)} pushes"

    @property
    def _heard(self) -> Listener:
        if self._listener is None or not self._listener.pushes:
            raise Skipped("no late event was heard")
        return self._listener

    def _parsed(self, listener: Listener) -> list[Any]:
        parsed: list[Any] = []
        for _, body in listener.pushes:
            self._show(body)
            request = codec.decode(body, ProviderEventsRequest)
            equal("providerId", request.provider_id, self._asking.provider_id)
            for number, item in enumerate(request.events):
                try:
                    event = codec.convert(item, _LATE)
                except UniAssistError as error:
                    raise CheckFailed(f"events[{number}]: {error.detail}") from None
                if isinstance(event, LateInteraction | LateRunEnd):
                    equal(f"events[{number}].runId", event.run_id, self._run_id)
                if isinstance(event, LateDomainEvent):
                    equal(f"events[{number}].event.providerId", event.event.provider_id, self._asking.provider_id)
                parsed.append(event)
        return parsed

    def _show(self, body: bytes) -> None:
        self._asking.received = f"the push {body[:400].decode('utf-8', 'replace')!r}"

    async def _until(self, condition: Any, what: str) -> None:
        listener = self._listener
        assert listener is not None
        try:
            async with asyncio.timeout(self._asking.subject.deadline_seconds):
                while not condition():
                    listener.news.clear()
                    await listener.news.wait()
        except TimeoutError:
            raise CheckFailed(f"{what} within {self._asking.subject.deadline_seconds:g} s") from None


def _items(body: bytes) -> list[dict[str, Any]]:
    events = codec.decode(body, ProviderEventsRequest).events
    return [item for item in events if isinstance(item, dict)]

"""Manifest, invoke and interact: what is answered, and whether it is what the manifest says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from uniassist.contracts import codec
from uniassist.contracts.interaction import InteractionEvent, ProviderExtension
from uniassist.contracts.provider import InteractResponse, InvokeResponse, ProviderManifest
from uniassist.contracts.streaming import EVENT_STREAM
from uniassist.release.checks.conformance.provider.asking import AnsweredAsStream, Asking
from uniassist.release.checks.conformance.targets import Check
from uniassist.release.checks.service_client import expect_problem
from uniassist.release.report.checklist import CheckFailed, Skipped, equal, expect
from uniassist.web.calling.client import BadAnswer

MAX_EVENTS = 100
_MIB = 1024 * 1024
_ODD = "计划 ✓ \"'\\<b>%2F?#&é\u202e"
HOSTILE_TEXTS = (
    "",
    "   \n\t ",
    "<script>alert(1)</script>",
    "'; DROP TABLE plans; --",
    "{{7*7}} ${7*7} %s %n ../../etc/passwd",
    "\u202eevil\u202c \u200b\ufeff \x07\x1b[31m",
    "👩‍👩‍👧‍👦" * 50,
    "z̷͙̈" * 200,
    "一" * 20_000,
)


class AnswerChecks:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._manifest: ProviderManifest | None = None
        self._invoked: InvokeResponse | None = None
        self._interacted: InteractResponse | None = None
        self._received = ("", "")  # of these two, as findings show it

    def all(self) -> dict[str, Check]:
        return {
            "manifest": self.manifest,
            "manifest stays": self.manifest_stays,
            "manifest's auth is true": self.auth,
            "token": self.token,
            "invoke": self.invoke,
            "invoke's ids": self.invoke_ids,
            "interact": self.interact,
            "interact's id": self.interact_id,
            "manifest's events are true": self.events,
            "its own extensions": self.extensions,
            "as many events as are taken": self.count,
            "JSON where it is asked for": self.json,
            "a repeated run": self.repeated,
            "a run twice at once": self.at_once,
            "a reply": self.reply,
            "unknown members": self.unknown_members,
            "odd ids": self.odd_ids,
            "hostile text": self.hostile,
            "large calls": self.large,
            "deadlines": self.deadlines,
        }

    @property
    def manifest_read(self) -> ProviderManifest:
        assert self._manifest is not None, "the manifest is looked at first"
        return self._manifest

    def types_as_json(self) -> set[str]:
        """Of the events of the answer in one piece."""
        return types_of(_events(self._invoked)) if self._invoked is not None else set()

    async def manifest(self) -> str:
        self._manifest = await self._asking.manifest()
        self._asking.provider_id = self._manifest.provider_id
        return self._manifest.provider_id

    async def manifest_stays(self) -> None:
        again, first = [codec.encode(each).decode() for each in (await self._asking.manifest(), self.manifest_read)]
        equal("manifest", again, first)

    async def auth(self) -> str:
        auth = self.manifest_read.security.auth
        expect(auth in ("none", "bearer"), f"security.auth: expected none or bearer, got {auth!r}")
        try:
            status = (await self._asking.post("/v0/invoke", self._asking.call(), token="")).status
        except BadAnswer as error:  # another rule's finding
            raise Skipped(str(error)) from None
        if auth == "none":
            expect(status not in (401, 403), f"security.auth is none, but without a token the answer is {status}")
        else:
            equal("status of a call without a token, as security.auth is bearer", status, 401)
        return auth

    async def token(self) -> None:
        if self.manifest_read.security.auth == "none":
            raise Skipped("it asks for no token")
        for token in ("", "not-the-token-of-the-gateway"):
            for path, body in (
                ("/v0/invoke", self._asking.call()),
                ("/v0/interact", self._asking.interaction()),
            ):
                expect_problem(await self._asking.post(path, body, token=token), 401, "INVALID_PROVIDER_TOKEN")

    async def invoke(self) -> str:
        self._invoked = await self._asking.invoke(self._asking.call(run_id=self._asking.run_id("sample")))
        self._received = (self._asking.received, "")
        return self._invoked.ack.message or f"{len(_events(self._invoked))} events"

    async def invoke_ids(self) -> None:
        expect_ids(self._sample, self._asking.run_id("sample"), self._asking.provider_id)

    async def interact(self) -> str:
        self._interacted = await self._asking.interact(
            self._asking.interaction(run_id=self._asking.run_id("interact"))
        )
        self._received = (self._received[0], self._asking.received)
        return f"{len(self._interacted.events)} events"

    async def interact_id(self) -> None:
        assert self._interacted is not None
        self._asking.received = self._received[1]
        equal("runId", self._interacted.run_id, self._asking.run_id("interact"))

    async def events(self) -> None:
        assert self._interacted is not None
        named = set(self.manifest_read.capabilities.interaction_events)
        expect_named(types_of([*_events(self._sample), *self._interacted.events]), named)

    async def extensions(self) -> None:
        assert self._interacted is not None
        for event in [*_events(self._sample), *self._interacted.events]:
            if isinstance(event, ProviderExtension) and event.payload.provider_id is not None:
                equal("payload.providerId", event.payload.provider_id, self._asking.provider_id)

    async def count(self) -> None:
        count = len(_events(self._sample))
        expect(count <= MAX_EVENTS, f"expected at most {MAX_EVENTS} events, got {count}")

    async def json(self) -> str:
        try:
            await self._asking.invoke(self._asking.call())
        except AnsweredAsStream:
            raise
        except Exception as error:  # another rule's finding
            raise Skipped(f"no good answer to look at: {type(error).__name__}") from None
        if self.manifest_read.capabilities.streaming:
            return "its manifest says that it streams"
        async with self._asking.opened(self._asking.call()) as answer:
            expect(answer.media_type != EVENT_STREAM, "capabilities.streaming is false, but got text/event-stream")
        return "also where a stream is accepted"

    async def repeated(self) -> None:
        again = await self._asking.invoke(self._asking.call(run_id=self._asking.run_id("sample"), attempt=2))
        _expect_same(again, self._sample)

    async def at_once(self) -> None:
        run_id = self._asking.run_id("at-once")
        calls = [self._asking.call(run_id=run_id, attempt=attempt) for attempt in (1, 2)]
        first, second = await asyncio.gather(*(self._asking.invoke(call) for call in calls))
        _expect_same(second, first)

    async def reply(self) -> str:
        expects = self._sample.expects_reply
        hint = expects.hint if expects is not None else None
        noted: dict[str, Any] = {"hint": hint} if hint is not None else {}
        await self._asking.invoke(self._asking.call(continues=self._sample.run_id, **noted))
        return "with its hint" if noted else "it noted no hint"

    async def unknown_members(self) -> None:
        call = self._asking.call()
        call["unheardOf"] = {"deep": [1, None]}
        call["input"] |= {"alsoNew": True, "locale": None}
        call["context"]["user"]["moreOfThem"] = "x"
        call["run"] |= {"newMember": 1, "hint": None}
        await self._asking.invoke(call)

    async def odd_ids(self) -> None:
        odd = f"{self._asking.run_id('odd')} {_ODD}".ljust(256, "-")
        expect_ids(await self._asking.invoke(self._asking.call(run_id=odd)), odd, self._asking.provider_id)

    async def hostile(self) -> str:
        for text in HOSTILE_TEXTS:
            call = self._asking.call(text)
            try:
                answer = await self._asking.invoke(call)
            except AnsweredAsStream:
                raise
            except CheckFailed as failed:
                raise CheckFailed(f"to {text[:40]!r}: {failed}") from None
            expect_ids(answer, call["run"]["runId"], self._asking.provider_id)
        return f"{len(HOSTILE_TEXTS)} texts"

    async def large(self) -> None:
        call = self._asking.call()
        call["input"]["raw"] = {"page": ""}
        call["input"]["raw"]["page"] = "x" * (_MIB - len(codec.encode(call["input"])))
        await self._asking.invoke(call)

    async def deadlines(self) -> str:
        sla, most = self.manifest_read.sla, self._asking.subject.deadline_seconds
        if sla is not None:
            most = min(most, sla.max_sync_response_ms / 1000)
        seconds, call = self._asking.slowest
        expect(seconds <= most, f"{call}: expected an answer within {most:g} s, got it after {seconds:.1f} s")
        return f"at most {seconds:.2f} s"

    @property
    def _sample(self) -> InvokeResponse:
        if self._invoked is None:
            raise Skipped("needs an answer as JSON")
        self._asking.received = self._received[0]
        return self._invoked


def expect_ids(answer: InvokeResponse, run_id: str, provider_id: str) -> None:
    equal("runId", answer.run_id, run_id)
    equal("providerId", answer.provider_id, provider_id)


def types_of(events: Sequence[InteractionEvent]) -> set[str]:
    return {str(event.__struct_config__.tag) for event in events}


def expect_named(types: set[str], named: set[str]) -> None:
    unnamed = sorted(types - named - {"ack"})  # an answer in one piece has an ack in any case
    expect(not unnamed, f"capabilities.interactionEvents: expected {', '.join(unnamed)} in it, got {sorted(named)}")


def _events(answer: InvokeResponse) -> list[InteractionEvent]:
    return [answer.ack, *(answer.immediate_events or [])]


def _expect_same(found: InvokeResponse, wanted: InvokeResponse) -> None:
    if found != wanted:
        raise CheckFailed(
            f"expected the first answer again, {codec.encode(wanted)[:200].decode('utf-8', 'replace')!r}, got "
            f"{codec.encode(found)[:200].decode('utf-8', 'replace')!r}"
        )

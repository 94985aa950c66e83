"""Answers that are streamed."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from uniassist.contracts import codec
from uniassist.contracts.interaction import AssistantMessage, InteractionEvent
from uniassist.contracts.provider import InvokeResponse
from uniassist.contracts.streaming import EVENT_STREAM, StreamDelta, StreamEnd, StreamEvent, StreamFrame
from uniassist.release.checks.conformance.provider.answers import AnswerChecks, expect_named, types_of
from uniassist.release.checks.conformance.provider.asking import Asking
from uniassist.release.checks.conformance.targets import Check
from uniassist.release.report.checklist import CheckFailed, Skipped, equal, expect
from uniassist.web.calling.frames import SIGN_OF_LIFE, FrameReader

# A union is a shape to msgspec, and no type[…] to mypy.
_FRAME = cast("type[StreamFrame]", StreamFrame)
_NESTING = 65
_UNFINISHED = 8
_MESSAGE_LENGTH = 100_000
_MOST_BYTES = 16 * 1024 * 1024


@dataclass
class Streamed:
    """What a stream said. `silent_seconds`: the longest time without a frame or a comment."""

    frames: list[StreamFrame] = field(default_factory=list)
    silent_seconds: float = 0.0

    @property
    def events(self) -> list[InteractionEvent]:
        return [frame.event for frame in self.frames if isinstance(frame, StreamEvent)]


class StreamChecks:
    """`answers`: knows the manifest."""

    def __init__(self, asking: Asking, answers: AnswerChecks) -> None:
        self._asking = asking
        self._answers = answers
        self._sample: Streamed | None = None

    def all(self) -> dict[str, Check]:
        return {
            "a stream": self.stream,
            "a stream's end": self.end,
            "a stream's messages": self.messages,
            "a stream's silence": self.silence,
            "a repeated stream": self.repeated,
            "a cancelled stream": self.cancelled,
        }

    async def stream(self) -> str:
        if not self._answers.manifest_read.capabilities.streaming:
            raise Skipped("its manifest says that it doesn't stream")
        self._sample = await self._read(self._asking.run_id("stream"))
        if self._sample is None:
            raise Skipped("this one was answered as JSON")
        named = set(self._answers.manifest_read.capabilities.interaction_events)
        expect_named(types_of(self._sample.events) - self._answers.types_as_json(), named)
        return f"{len(self._sample.frames)} frames"

    async def end(self) -> None:
        _expect_end(self._known)

    async def messages(self) -> str:
        lengths: Counter[str] = Counter()
        finished: set[str] = set()
        for frame in self._known.frames:
            if isinstance(frame, StreamDelta):
                expect(frame.message_id not in finished, f"a delta of {frame.message_id!r} after its event")
                lengths[frame.message_id] += len(frame.text)
                unfinished = len(lengths.keys() - finished)
                expect(unfinished <= _UNFINISHED, f"{unfinished} messages are unfinished at a time")
            elif isinstance(frame, StreamEvent) and isinstance(frame.event, AssistantMessage):
                finished.add(frame.event.message_id or "")
                expect(len(frame.event.text) <= _MESSAGE_LENGTH, f"a message of {len(frame.event.text)} characters")
        for message_id, length in lengths.items():
            expect(length <= _MESSAGE_LENGTH, f"message {message_id!r} has {length} characters")
        return f"{len(lengths)} with deltas"

    async def silence(self) -> str:
        silent, most = self._known.silent_seconds, self._asking.subject.idle_seconds
        expect(silent <= most, f"expected a frame or a comment within {most:g} s, got none for {silent:.1f} s")
        return f"at most {silent:.2f} s"

    async def repeated(self) -> None:
        again = await self._read(self._asking.run_id("stream"), attempt=2)
        if again is None:
            raise Skipped("this time it was answered as JSON")
        found, wanted = [codec.encode(events).decode() for events in (again.events, self._final(self._known))]
        if self._final(again) != self._final(self._known):
            raise CheckFailed(f"expected the first events again, {wanted[:200]!r}, got {found[:200]!r}")

    async def cancelled(self) -> None:
        _ = self._known
        async with self._asking.opened(self._asking.call(run_id=self._asking.run_id("cancelled"))) as answer:
            await anext(answer.chunks(), None)
        try:
            again = await self._read(self._asking.run_id("cancelled"), attempt=2)
            if again is not None:
                _expect_end(again)
        except Exception as error:
            raise CheckFailed(f"after a cancelled stream, the run's next attempt: {error}") from None

    @property
    def _known(self) -> Streamed:
        if self._sample is None:
            raise Skipped("it streamed nothing")
        self._asking.received = "frames " + codec.encode(self._sample.frames[-5:]).decode()[:400]
        return self._sample

    @staticmethod
    def _final(streamed: Streamed) -> list[tuple[str, bytes]]:
        """Events, and the messages that only deltas were sent of, which the end finishes."""
        said = [("event", codec.encode(event)) for event in streamed.events]
        finished = {event.message_id for event in streamed.events if isinstance(event, AssistantMessage)}
        texts: dict[str, str] = {}
        for frame in streamed.frames:
            if isinstance(frame, StreamDelta) and frame.message_id not in finished:
                texts[frame.message_id] = texts.get(frame.message_id, "") + frame.text
        return said + [("message", text.encode()) for text in texts.values()]

    async def _read(self, run_id: str, attempt: int = 1) -> Streamed | None:
        """None: it was answered as JSON, which it may be."""
        streamed, reader, taken = Streamed(), FrameReader(), 0
        loop = asyncio.get_running_loop()
        async with self._asking.opened(self._asking.call(run_id=run_id, attempt=attempt)) as answer:
            equal("status", answer.status, 200)
            if answer.media_type != EVENT_STREAM:
                equal("content-type", answer.media_type, "application/json")
                codec.decode((await answer.whole()).body, InvokeResponse)
                return None
            heard_at = loop.time()
            async for chunk in answer.chunks():
                taken += len(chunk)
                expect(taken <= _MOST_BYTES, f"expected at most {_MOST_BYTES} bytes in a stream")
                found = reader.feed(chunk)
                if found:
                    streamed.silent_seconds = max(streamed.silent_seconds, loop.time() - heard_at)
                    heard_at = loop.time()
                for raw in found:
                    if raw != SIGN_OF_LIFE:
                        self._asking.received = f"the frame {raw[:300].decode('utf-8', 'replace')!r}"
                        streamed.frames.append(codec.decode(raw, _FRAME, nesting=_NESTING))
        return streamed


def _expect_end(streamed: Streamed) -> None:
    ends = [number for number, frame in enumerate(streamed.frames, 1) if isinstance(frame, StreamEnd)]
    equal("frames of type end, by their place", ends, [len(streamed.frames)])

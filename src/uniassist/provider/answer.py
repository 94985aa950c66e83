"""One call's answer while it is given and after: whoever asks the same gets the same, as a whole or as frames."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection

import structlog

from uniassist.contracts import codec
from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.streaming import StreamDelta, StreamEnd, StreamEvent
from uniassist.errors import UniAssistError

log = structlog.get_logger()

MAX_EVENTS = 100  # the gateway takes no more in an answer that is one piece
MAX_MESSAGE_LENGTH = 100_000
MAX_ANSWER_BYTES = 1024 * 1024
SIGN_OF_LIFE_SECONDS = 10.0
_SIGN_OF_LIFE = b": working\n\n"

Work = Callable[["Answer"], Awaitable[None]]


class TooMuch(Exception):
    """The handler says more than an answer may hold."""


class Undeclared(Exception):
    """The handler says something that the manifest doesn't name."""


class Answer:
    """What a handler says, in order. It is kept until the end, so that a second asker misses nothing.

    `types`: of the events that it may send; None: any.
    `events`: whole ones. `end`: what comes with the last frame.
    """

    def __init__(self, types: Collection[str] | None = None) -> None:
        self._types = types
        self.events: list[InteractionEvent] = []
        self.end = StreamEnd()
        self.size_bytes = 0
        self._frames: list[bytes] = []
        self._news = asyncio.Event()
        self._followers = 0
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Work, deadline_seconds: float) -> asyncio.Task[None]:
        self._task = asyncio.create_task(self._give(work, deadline_seconds))
        return self._task

    @property
    def is_good(self) -> bool:
        """Whether it came to its end."""
        task = self._task
        return task is not None and task.done() and not task.cancelled() and task.exception() is None

    @property
    def is_under_way(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def is_given_up(self) -> bool:
        return self._task is not None and self._task.cancelling() > 0

    def delta(self, message_id: str, text: str) -> None:
        self._add(StreamDelta(message_id=message_id, text=text))

    def event(self, event: InteractionEvent) -> None:
        if len(self.events) == MAX_EVENTS:
            raise TooMuch(f"an answer has at most {MAX_EVENTS} events")
        kind = str(event.__struct_config__.tag)
        if self._types is not None and kind not in self._types:
            raise Undeclared(f"events: the provider's has no {kind}, so its manifest promises that there is none")
        self.events.append(event)
        self._add(StreamEvent(event=event))

    async def whole(self, deadline_seconds: float) -> Answer:
        """Itself, once it is complete. TimeoutError; or what its handler raised."""
        assert self._task is not None
        self._followers += 1
        try:
            async with asyncio.timeout(deadline_seconds):
                await asyncio.shield(self._task)
        finally:
            self._leave()
        return self

    async def frames(self) -> AsyncGenerator[bytes]:
        """As server-sent events, with signs of life between them. Without an `end` where the handler failed."""
        assert self._task is not None
        self._followers += 1
        try:
            sent = 0
            while True:  # ends: with the handler, which has a deadline
                news = self._news
                for frame in self._frames[sent:]:
                    sent += 1
                    yield b"data: %b\n\n" % frame
                if self._task.done() and sent == len(self._frames):
                    return
                try:
                    async with asyncio.timeout(SIGN_OF_LIFE_SECONDS):
                        await news.wait()
                except TimeoutError:
                    yield _SIGN_OF_LIFE
        finally:
            self._leave()

    async def _give(self, work: Work, deadline_seconds: float) -> None:
        try:
            async with asyncio.timeout(deadline_seconds):
                await work(self)
            self._add(self.end)
        except UniAssistError:
            raise
        except Exception as error:
            log.error("a handler failed", error=repr(error), exc_info=error)
            raise
        finally:
            self._tell()

    def _add(self, frame: StreamDelta | StreamEvent | StreamEnd) -> None:
        raw = codec.encode(frame)
        if self.size_bytes + len(raw) > MAX_ANSWER_BYTES:
            raise TooMuch(f"an answer has at most {MAX_ANSWER_BYTES} bytes")
        self.size_bytes += len(raw)
        self._frames.append(raw)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _leave(self) -> None:
        """Nobody listens any more: the person cancelled, or the caller died and will ask again."""
        self._followers -= 1
        if self._followers == 0 and self._task is not None and not self._task.done():
            self._task.cancel()


class Answers:
    """Answers by what was asked. A call under way is joined; of those that are over the latest are kept.

    `limit_bytes`: of all that are kept, counted by what they say. `types`: as of an Answer.
    """

    def __init__(self, limit_bytes: int, types: Collection[str] | None = None) -> None:
        self._types = types
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._known: OrderedDict[bytes, Answer] = OrderedDict()

    def of(self, key: bytes, work: Work, deadline_seconds: float) -> Answer:
        """The answer to `key`: the one that there is, or else what `work` says. One that failed isn't kept."""
        known = self._known.get(key)
        if known is not None and not known.is_given_up:
            self._known.move_to_end(key)
            return known
        answer = self._known[key] = Answer(self._types)
        task = answer.start(work, deadline_seconds)
        task.add_done_callback(lambda ended: self._ended(key, answer, ended))
        return answer

    @property
    def under_way(self) -> int:
        return sum(answer.is_under_way for answer in self._known.values())

    async def stop(self) -> None:
        """Cancels what is under way."""
        under_way = [answer._task for answer in self._known.values() if answer._task and not answer._task.done()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _ended(self, key: bytes, answer: Answer, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            if self._known.get(key) is answer:
                del self._known[key]
            return
        self._held_bytes += answer.size_bytes
        if self._held_bytes <= self._limit_bytes:
            return
        for each in list(self._known):
            if self._known[each].is_good:
                self._held_bytes -= self._known.pop(each).size_bytes
            if self._held_bytes <= self._limit_bytes:
                break

"""What a call's answer says while it comes: deltas to the board, whole events to the timeline, each once.

The events of a call are counted. When a gateway dies, the call is made again by another, which passes over as many
as are on the timeline already, and shows nothing of what they were.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from uniassist.contracts.interaction import AssistantMessage, InteractionEvent
from uniassist.contracts.provider import InteractRequest, InvokeRequest
from uniassist.errors import InvalidRequest
from uniassist.gateway.live.board import MAX_MESSAGE_CHARACTERS, Board, Writing
from uniassist.gateway.provider_answer import ProviderSays
from uniassist.gateway.turns.turn import Idempotency, Turn
from uniassist.store.ledger import CallRow
from uniassist.web.calling.client import BadAnswer

MAX_EVENTS = 1000
MAX_UNFINISHED = 8


def events_scope(call_id: str) -> str:
    """Of the keys under which a call's events are written once."""
    return f"call:{call_id}"


@dataclass(eq=False, slots=True)
class _Message:
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    writing: Writing | None = None
    is_begun: bool = False  # on the board, as far as that had room

    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(eq=False)
class Hearing:
    """One attempt at one call. Is a `Hears`.

    `submit`: a turn's commit, however long it takes; what it raises ends the call.
    `written`: how many of the call's events earlier attempts have written.
    """

    call: CallRow
    request: InvokeRequest | InteractRequest
    attempt: int
    board: Board
    submit: Callable[[Turn], Awaitable[None]]
    written: int = 0
    _heard: int = 0
    _messages: dict[str, _Message] = field(default_factory=dict)
    _finished: set[str] = field(default_factory=set)

    def delta(self, message_id: str, text: str) -> None:
        if message_id in self._finished:
            raise BadAnswer(f"a delta of {message_id!r}, which its event had finished")
        message = self._messages.get(message_id)
        if message is None:
            if len(self._messages) >= MAX_UNFINISHED:
                raise BadAnswer(f"more than {MAX_UNFINISHED} messages at once")
            message = self._messages[message_id] = _Message()
        message.length += len(text)
        if message.length > MAX_MESSAGE_CHARACTERS:
            raise BadAnswer(f"a message of more than {MAX_MESSAGE_CHARACTERS} characters")
        message.pieces.append(text)
        if self._heard >= self.written:
            self._show(message_id, message, text)

    async def event(self, event: InteractionEvent) -> None:
        if self._heard >= MAX_EVENTS:
            raise BadAnswer(f"more than {MAX_EVENTS} events")
        number, self._heard = self._heard, self._heard + 1
        message_id = event.message_id if isinstance(event, AssistantMessage) else None
        if message_id is not None:
            if message_id in self._finished:
                raise BadAnswer(f"a second event of {message_id!r}")
            self._messages.pop(message_id, None)
            self._finished.add(message_id)
            # Before the commit: whoever reads the event gets no delta after it.
            self.board.end(self.call.session_id, (self.call.run_id, message_id), self.attempt)
        turn = Turn(
            session_id=self.call.session_id,
            decide=ProviderSays(self.call, self.request, event).decide,
            idempotency=Idempotency(events_scope(self.call.call_id), str(number)),
            run_id=self.call.run_id,
            call_id=self.call.call_id,
            ends_call=False,
            traceparent=self.call.traceparent,
            follows_successor=False,
        )
        try:
            await self.submit(turn)
        except InvalidRequest as error:
            raise BadAnswer(f"an event: {error.detail}") from None

    def unfinished(self) -> Sequence[AssistantMessage]:
        """The messages that only deltas were sent of, as they are at the answer's end."""
        found = [AssistantMessage(text=each.text(), message_id=name) for name, each in self._messages.items()]
        return [message for message in found if message.text]

    def close(self) -> None:
        """Nothing more of it is shown."""
        for message_id in self._messages:
            self.board.end(self.call.session_id, (self.call.run_id, message_id), self.attempt)
        self._messages.clear()

    def _show(self, message_id: str, message: _Message, text: str) -> None:
        if not message.is_begun:
            message.is_begun, text = True, message.text()
            message.writing = self.board.begin(
                self.call.session_id,
                (self.call.run_id, message_id),
                self.request.context.user.subject,
                self.attempt,
            )
        if message.writing is not None:
            self.board.add(message.writing, text)

"""What a handler gets: who asks what, and the ways to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from uniassist.contracts.interaction import Action, AssistantMessage, Card, Choice, InteractionEvent
from uniassist.contracts.language import Language, language
from uniassist.contracts.provider import (
    ContextUser,
    ExpectsReply,
    InteractRequest,
    InteractResponse,
    InvokeRequest,
    InvokeResponse,
    StaysOpen,
)
from uniassist.provider.answer import MAX_MESSAGE_LENGTH, Answer, TooMuch
from uniassist.provider.late import Gateway, Run

Said = None | str | InteractionEvent | Sequence[InteractionEvent] | InvokeResponse | InteractResponse
"""What a handler may return: nothing more, a message, events; or the whole answer in the contract's shape."""
Background = Callable[[Gateway, Run], Awaitable[None]]


class Call:
    """A person's message (`text`), or their answer to something of yours (`action`, `payload`).

    `request`: all of it, in the contract's shape.
    """

    def __init__(
        self,
        provider_id: str,
        request: InvokeRequest | InteractRequest,
        answer: Answer,
        gateway: Gateway | None = None,
    ) -> None:
        self.request = request
        self.background: list[Background] = []
        self._provider_id = provider_id
        self._gateway = gateway
        self._answer = answer
        self._written: list[str] = []
        self._written_length = 0
        self._messages = 0

    @property
    def text(self) -> str:
        """The message; empty in an interaction."""
        return self.request.input.text or "" if isinstance(self.request, InvokeRequest) else ""

    @property
    def action(self) -> str | None:
        """The `actionId` of what was tapped or submitted; None in a message."""
        return self.request.interaction.action_id if isinstance(self.request, InteractRequest) else None

    @property
    def payload(self) -> Any:
        """What came with the action: a form's `{"values": {…}}`, say."""
        return self.request.interaction.payload if isinstance(self.request, InteractRequest) else None

    @property
    def user(self) -> ContextUser:
        return self.request.context.user

    @property
    def language(self) -> Language:
        """The one to answer in."""
        return language(self.user.locale)

    @property
    def timezone(self) -> str | None:
        """As the IANA database names it."""
        own = self.request.input.timezone if isinstance(self.request, InvokeRequest) else None
        return own or self.user.timezone

    @property
    def continues(self) -> str | None:
        """The run whose answer expected this text; `hint` is what it noted."""
        return self.request.run.continues if isinstance(self.request, InvokeRequest) else None

    @property
    def hint(self) -> str | None:
        return self.request.run.hint if isinstance(self.request, InvokeRequest) else None

    @property
    def run(self) -> Run:
        """Names the run for what comes later; plain data, to be kept with it."""
        asked = self.request.input if isinstance(self.request, InvokeRequest) else self.request.interaction
        return Run(self._provider_id, self.request.run.run_id, asked.session_id, asked.user_id, asked.trace_id)

    @property
    def gateway(self) -> Gateway:
        """Takes what comes after the answer."""
        assert self._gateway is not None, "this provider was started without a gateway"
        return self._gateway

    async def write(self, text: str) -> None:
        """The next piece of the message that is being written; people see it at once. It ends with the next event,
        or with the answer.
        """
        if not text:
            return
        self._written_length += len(text)
        if self._written_length > MAX_MESSAGE_LENGTH:
            raise TooMuch(f"a message has at most {MAX_MESSAGE_LENGTH} characters")
        if not self._written:
            self._messages += 1
        self._written.append(text)
        self._answer.delta(f"m{self._messages}", text)
        await asyncio.sleep(0)  # so that it goes out, whatever the handler does next

    async def say(self, text: str, *, markdown: bool | None = None, choices: Sequence[Choice] = ()) -> None:
        """A whole message. `choices`: what may be tapped instead of writing; a key comes back as `action`."""
        await self.send(AssistantMessage(text=text, markdown=markdown, choices=list(choices) or None))

    async def card(self, title: str, body: str | None = None, actions: Sequence[Action] = ()) -> None:
        await self.send(Card(title=title, body=body, actions=list(actions) or None))

    async def send(self, event: InteractionEvent) -> None:
        """Any event of the contract."""
        self.finish_message()
        self._answer.event(event)

    def expect_reply(self, hint: str | None = None, until_ms: int | None = None) -> None:
        """The person's next text is for this provider. It comes with `continues` and this `hint`."""
        self._end(expects_reply=ExpectsReply(hint=hint, until_ms=until_ms))

    def stay_open(self, until_ms: int | None = None) -> None:
        """The run goes on after this answer, until its end is reported (`Gateway.ended`)."""
        self._end(stays_open=StaysOpen(until_ms=until_ms))

    def pass_on(self) -> None:
        """This reply isn't for this provider: a chat answers it, where there is one; else what is said here."""
        self._end(passes=True)

    def _end(self, **changed: Any) -> None:
        self._answer.end = msgspec.structs.replace(self._answer.end, **changed)

    def in_background(self, work: Background) -> None:
        """`work` goes on after the answer, which leaves the run open; the run ends with it.

        It lives in this process: with that it ends, and the run fails when its time is over. What must outlast a
        restart is kept by you, with `call.run`.
        """
        self.stay_open()
        self.background.append(work)

    def finish_message(self) -> None:
        if self._written:
            message = AssistantMessage(text="".join(self._written), message_id=f"m{self._messages}")
            self._written, self._written_length = [], 0
            self._answer.event(message)

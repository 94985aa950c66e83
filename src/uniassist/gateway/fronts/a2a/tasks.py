"""A request as an A2A task: its state, artifacts and history, told by the events of the timeline. Pure.

What is asked of the person is the status's message; all else that is said is an artifact each. A message that is
written has the same artifact while it is written and once it is whole.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from uniassist.contracts.inputs import UnifiedUserInput, UserInteraction
from uniassist.contracts.interaction import (
    Ack,
    AssistantMessage,
    InteractionEvent,
    ProviderExtension,
)
from uniassist.contracts.streaming import DeltaFrame
from uniassist.contracts.timeline import InboundPayload, TimelineEvent
from uniassist.gateway.fronts.a2a.shapes import (
    SEQ,
    Artifact,
    ArtifactUpdate,
    Message,
    Part,
    State,
    Status,
    StatusUpdate,
    StreamResponse,
    Task,
)
from uniassist.gateway.fronts.asking import text_of
from uniassist.gateway.fronts.following import payload_of
from uniassist.gateway.fronts.traced import Standing, Traced, asks

_STATES: Mapping[Standing, State] = {
    "working": "TASK_STATE_WORKING",
    "asks": "TASK_STATE_INPUT_REQUIRED",
    "completed": "TASK_STATE_COMPLETED",
    "failed": "TASK_STATE_FAILED",
    "cancelled": "TASK_STATE_CANCELED",
}


@dataclass
class Progress(Traced):
    """The task as far as its events were taken; its id is that of the first run."""

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    history: list[Message] = field(default_factory=list)

    def take(self, event: TimelineEvent) -> StreamResponse | None:
        """The next event; what a follower is told of it."""
        said = self.note(event)
        if event.kind == "inbound":
            self.history.append(_input(payload_of(event, InboundPayload).input))
        elif event.kind == "user_interaction":
            self.history.append(_interaction(payload_of(event, UserInteraction), event.event_id))
        return self._said(event, said) if said is not None else None

    def piece(self, delta: DeltaFrame) -> StreamResponse | None:
        """Of a message that is being written; not kept. None: that is whole, and this of a gateway that died."""
        artifact_id = f"{delta.run_id}:{delta.message_id}"
        if artifact_id in self.artifacts:
            return None
        artifact = Artifact(artifact_id=artifact_id, parts=[Part(text=delta.text)])
        return self._artifact_update(artifact, append=delta.offset > 0)

    def state(self, *, is_owed: bool) -> State:
        return _STATES[self.standing(is_owed=is_owed)]

    def task(self, state: State, *, history: int | None = None, with_artifacts: bool = True) -> Task:
        """`history`: so many of the newest messages; None: all."""
        kept = (
            self.history if history is None else self.history[len(self.history) - min(history, len(self.history)) :]
        )
        return Task(
            id=self.run_id,
            context_id=self.session_id,
            status=self._status(state),
            artifacts=list(self.artifacts.values()) if with_artifacts and self.artifacts else None,
            history=kept or None,
            metadata={SEQ: self.last_seq},
        )

    def ended(self, state: State) -> StreamResponse:
        return self._status_update(self._status(state))

    def _said(self, event: TimelineEvent, said: InteractionEvent) -> StreamResponse | None:
        text = text_of(said)
        if isinstance(said, Ack) or (isinstance(said, ProviderExtension) and said.payload.progress is not None):
            return (
                self._status_update(self._status("TASK_STATE_WORKING", _words(event.event_id, text)))
                if text
                else None
            )
        parts = _parts(said, text)
        if asks(said):
            return self._status_update(self._status("TASK_STATE_WORKING"))
        if not parts:
            return None
        message_id = said.message_id if isinstance(said, AssistantMessage) else None
        artifact_id = event.event_id if message_id is None else f"{event.run_id}:{message_id}"
        self.artifacts[artifact_id] = Artifact(artifact_id=artifact_id, parts=parts)
        return self._artifact_update(self.artifacts[artifact_id], last_chunk=True)

    def _status(self, state: State, message: Message | None = None) -> Status:
        if message is None and self.asked:
            parts = [part for _, said in self.asked for part in _parts(said, text_of(said))]
            message = Message(message_id=self.asked[-1][0].event_id, role="ROLE_AGENT", parts=parts)
        at = dt.datetime.fromtimestamp(self.at_ms / 1000, dt.UTC)
        return Status(
            state=state, timestamp=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), message=message
        )

    def _status_update(self, status: Status) -> StreamResponse:
        return StreamResponse(
            status_update=StatusUpdate(
                task_id=self.run_id,
                context_id=self.session_id,
                status=status,
                metadata={SEQ: self.last_seq},
            )
        )

    def _artifact_update(
        self, artifact: Artifact, *, append: bool = False, last_chunk: bool = False
    ) -> StreamResponse:
        return StreamResponse(
            artifact_update=ArtifactUpdate(
                task_id=self.run_id,
                context_id=self.session_id,
                artifact=artifact,
                append=append,
                last_chunk=last_chunk,
                metadata={SEQ: self.last_seq} if last_chunk else None,
            )
        )


def _parts(said: InteractionEvent, text: str) -> list[Part]:
    """The text, and where there is more to it than that, our own event as data."""
    parts = [Part(text=text)] if text else []
    if isinstance(said, AssistantMessage) and not said.choices:
        return parts
    return [*parts, Part(data=msgspec.to_builtins(said))]


def _words(message_id: str, text: str) -> Message:
    return Message(message_id=message_id, role="ROLE_AGENT", parts=[Part(text=text)])


def _input(said: UnifiedUserInput) -> Message:
    message_id = said.channel.message_id if said.channel is not None else None
    files = [
        Part(url=each.url, media_type=each.mime, filename=each.name)
        for each in said.attachments or []
        if each.url is not None
    ]
    parts = [*([Part(text=said.text)] if said.text else []), *files]
    return Message(message_id=message_id or said.trace_id, role="ROLE_USER", parts=parts)


def _interaction(said: UserInteraction, event_id: str) -> Message:
    chosen = {"actionId": said.action_id, "payload": said.payload}
    return Message(message_id=event_id, role="ROLE_USER", parts=[Part(data=chosen)])

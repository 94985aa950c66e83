"""A request as an A2A task: its state, artifacts and history, told by the events of the timeline. Pure.

What is asked of the person is the status's message; all else that is said is an artifact each. A message that is
written has the same artifact while it is written and once it is whole.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import msgspec

from uniassist.contracts.inputs import UnifiedUserInput, UserInteraction
from uniassist.contracts.interaction import (
    Ack,
    AssistantMessage,
    Form,
    InteractionEvent,
    ProviderExtension,
    RequestClarification,
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
from uniassist.gateway.fronts.following import Requested, payload_of, run_status, said_in

_UNDER_WAY = ("pending", "running")


@dataclass
class Progress:
    """The task as far as its events were taken. `last_seq`: of the last one."""

    session_id: str
    trace_id: str
    task_id: str = ""
    last_seq: int = 0
    at_ms: int = 0
    runs: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    history: list[Message] = field(default_factory=list)
    interacts_with: str | None = None  # the run whose call answers the person's last word
    _since: set[str] = field(default_factory=set)  # runs since that
    _asked: list[Part] = field(default_factory=list)
    _asked_by: str = ""

    def take(self, event: TimelineEvent) -> StreamResponse | None:
        """The next event; what a follower is told of it."""
        self.last_seq, self.at_ms = event.seq, event.timestamp_ms
        if event.kind == "inbound":
            self._word(_input(payload_of(event, InboundPayload).input), None)
        elif event.kind == "user_interaction":
            self._word(_interaction(payload_of(event, UserInteraction), event.event_id), event.run_id)
        elif event.kind == "provider_run" and event.run_id is not None:
            self.task_id = self.task_id or event.run_id
            self.runs[event.run_id] = run_status(event)
            self._since.add(event.run_id)
        elif (said := said_in(event)) is not None:
            return self._said(event, said)
        return None

    def piece(self, delta: DeltaFrame) -> StreamResponse:
        """Of a message that is being written; not kept."""
        artifact = Artifact(artifact_id=f"{delta.run_id}:{delta.message_id}", parts=[Part(text=delta.text)])
        return self._artifact_update(artifact, append=delta.offset > 0)

    def state(self, *, is_owed: bool) -> State:
        """`is_owed`: the call of `interacts_with` is still to be answered."""
        statuses = {self.runs[run_id] for run_id in self._since}
        if is_owed or any(status in _UNDER_WAY for status in self.runs.values()):
            return "TASK_STATE_WORKING"
        if statuses == {"cancelled"}:
            return "TASK_STATE_CANCELED"
        if statuses and statuses <= {"failed", "cancelled"}:
            return "TASK_STATE_FAILED"
        return "TASK_STATE_INPUT_REQUIRED" if self._asked else "TASK_STATE_COMPLETED"

    def task(self, state: State, *, history: int | None = None, with_artifacts: bool = True) -> Task:
        """`history`: so many of the newest messages; None: all."""
        kept = (
            self.history if history is None else self.history[len(self.history) - min(history, len(self.history)) :]
        )
        return Task(
            id=self.task_id,
            context_id=self.session_id,
            status=self._status(state),
            artifacts=list(self.artifacts.values()) if with_artifacts and self.artifacts else None,
            history=kept or None,
            metadata={SEQ: self.last_seq},
        )

    def ended(self, state: State) -> StreamResponse:
        return self._status_update(self._status(state))

    def following(self) -> Requested:
        """What is read from here on."""
        runs = {run_id: status not in _UNDER_WAY for run_id, status in self.runs.items()}
        return Requested(
            self.session_id,
            self.last_seq,
            self.trace_id,
            self.at_ms,
            is_input=self.interacts_with is None,
            run_id=self.interacts_with,
            runs=runs,
            is_whole=True,
        )

    def _word(self, message: Message, run_id: str | None) -> None:
        """Of the person: what was asked before is answered by it, or passed over."""
        self.history.append(message)
        self.interacts_with, self._since, self._asked = run_id, set(), []

    def _said(self, event: TimelineEvent, said: InteractionEvent) -> StreamResponse | None:
        text = text_of(said)
        if isinstance(said, Ack) or (isinstance(said, ProviderExtension) and said.payload.progress is not None):
            return (
                self._status_update(self._status("TASK_STATE_WORKING", _words(event.event_id, text)))
                if text
                else None
            )
        parts = _parts(said, text)
        if _asks(said):
            self._asked, self._asked_by = [*self._asked, *parts], event.event_id
            return self._status_update(self._status("TASK_STATE_WORKING"))
        if not parts:
            return None
        message_id = said.message_id if isinstance(said, AssistantMessage) else None
        artifact_id = event.event_id if message_id is None else f"{event.run_id}:{message_id}"
        self.artifacts[artifact_id] = Artifact(artifact_id=artifact_id, parts=parts)
        return self._artifact_update(self.artifacts[artifact_id], last_chunk=True)

    def _status(self, state: State, message: Message | None = None) -> Status:
        if message is None and self._asked:
            message = Message(message_id=self._asked_by, role="ROLE_AGENT", parts=self._asked)
        at = dt.datetime.fromtimestamp(self.at_ms / 1000, dt.UTC)
        return Status(
            state=state, timestamp=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), message=message
        )

    def _status_update(self, status: Status) -> StreamResponse:
        return StreamResponse(
            status_update=StatusUpdate(
                task_id=self.task_id,
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
                task_id=self.task_id,
                context_id=self.session_id,
                artifact=artifact,
                append=append,
                last_chunk=last_chunk,
                metadata={SEQ: self.last_seq} if last_chunk else None,
            )
        )


def _asks(said: InteractionEvent) -> bool:
    is_form = isinstance(said, ProviderExtension) and said.extension_kind == "data_collection_request"
    return is_form or isinstance(said, Form | RequestClarification)


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

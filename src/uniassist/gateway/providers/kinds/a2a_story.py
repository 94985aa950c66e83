"""What an A2A task says to a person, told once and in one order, whoever follows it and however often.

Artifacts are told in the order in which they first appeared, each when it is complete, and the status's own words
at the end. So a gateway that takes the call over and reads the task anew tells the same events in the same order,
and those that are on the timeline already are passed over (`gateway/hearing.py`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from a2a.types.a2a_pb2 import Artifact, Message, Part, Role, StreamResponse, Task, TaskState, TaskStatus
from google.protobuf import json_format

from uniassist.contracts.interaction import AssistantMessage, Card, InteractionEvent
from uniassist.gateway.providers.kinds.a2a_forms import whole
from uniassist.gateway.providers.kinds.kind import Hears
from uniassist.web.calling.client import BadAnswer

MAX_ARTIFACTS = 200
MAX_RAW_BYTES = 64 * 1024  # of a file within an answer; a larger one is named, and expected as a URL
MAX_DATA_CHARACTERS = 20_000
_OVER = (
    TaskState.TASK_STATE_COMPLETED,
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_CANCELED,
    TaskState.TASK_STATE_REJECTED,
)
WAITS = (TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED)


@dataclass(eq=False)
class _Artifact:
    """`text`: of its text parts; `shown`: as far as it was shown while it came.

    `is_read`: as the task had it. `is_doubtful`: a piece came behind that, which it may have had already: a
    subscription that begins with the task may tell its last piece again.
    """

    number: int
    name: str
    text: str = ""
    is_markdown: bool = False
    others: list[Part] = field(default_factory=list)
    is_complete: bool = False
    shown: str = ""
    is_read: bool = False
    is_doubtful: bool = False

    @property
    def message_id(self) -> str:
        return f"artifact-{self.number}"

    def set(self, parts: Iterable[Part], *, append: bool, between: str) -> None:
        kept = list(parts)
        said = [part for part in kept if part.HasField("text")]
        text = between.join(part.text for part in said)
        self.text = self.text + text if append else text
        self.others = [*(self.others if append else []), *(part for part in kept if not part.HasField("text"))]
        self.is_markdown = self.is_markdown or any("markdown" in part.media_type for part in said)

    def events(self) -> list[InteractionEvent]:
        found: list[InteractionEvent] = []
        if self.text.strip():
            markdown = True if self.is_markdown else None
            found.append(AssistantMessage(text=self.text, markdown=markdown, message_id=self.message_id))
        return [*found, *(card(part, self.name) for part in self.others)]


class Story:
    """Takes what comes of a task, from a stream or read anew, and tells it.

    `told`: its artifacts that an earlier run told.
    `asked`: the id of the question that is being answered, which the task may still show.
    """

    def __init__(self, hears: Hears, told: Collection[str] = (), asked: str = "") -> None:
        self.hears = hears
        self._known = frozenset(told)
        self._answered = asked
        self._artifacts: dict[str, _Artifact] = {}
        self._told = 0
        self._words: list[Part] = []  # of the newest status
        self._before: list[Part] = []  # the newest of the agent's earlier ones
        self.asked = ""  # the id of the status's words
        self.reply: Message | None = None
        self.state: TaskState = TaskState.TASK_STATE_UNSPECIFIED
        self.task_id = ""
        self.context_id = ""

    def is_over(self) -> bool:
        """Nothing more comes before the person says something."""
        return self.reply is not None or self.state in _OVER or self.state in WAITS

    @property
    def has_said(self) -> bool:
        return self._told > 0

    @property
    def artifacts(self) -> list[str]:
        """The ids of all that were told, by earlier runs too."""
        return [*self._known, *self._artifacts]

    def take(self, response: StreamResponse) -> None:
        """BadAnswer, for what is too much."""
        if response.HasField("message"):
            self.reply = response.message
            self.context_id = response.message.context_id or self.context_id
        elif response.HasField("task"):
            self.read(response.task)
        elif response.HasField("status_update"):
            self._at(response.status_update.task_id, response.status_update.context_id)
            self._set_status(response.status_update.status)
        elif response.HasField("artifact_update"):
            update = response.artifact_update
            self._at(update.task_id, update.context_id)
            artifact = self._artifact(update.artifact)
            if artifact is not None:
                artifact.set(update.artifact.parts, append=update.append, between="\n")
                artifact.is_read = artifact.is_read and update.append
                artifact.is_doubtful = artifact.is_read
                artifact.is_complete = artifact.is_complete or update.last_chunk
        self._show()

    def read(self, task: Task) -> None:
        """The task as it is now."""
        self._at(task.id, task.context_id)
        said = [each for each in task.history if each.role == Role.ROLE_AGENT]
        if said:
            self._before = list(said[-1].parts)
        self._set_status(task.status)
        for each in task.artifacts:
            if (artifact := self._artifact(each)) is not None:
                artifact.set(each.parts, append=False, between="")
                artifact.is_read, artifact.is_doubtful = True, False
        self._show()

    def is_doubtful(self) -> bool:
        """Whether the task has to be read before what is to be told is known."""
        untold = list(self._artifacts.values())[self._told :]
        return any(each.is_doubtful and (each.is_complete or self.is_over()) for each in untold)

    async def tell(self) -> None:
        """What is complete; all of it where the task is over."""
        for artifact in list(self._artifacts.values())[self._told :]:
            if not (artifact.is_complete or self.is_over()):
                return
            for event in artifact.events():
                await self.hears.event(event)
            self._told += 1
        self._show()

    def words(self) -> list[InteractionEvent]:
        """Of the reply, or of the status."""
        return events_of(self.reply.parts if self.reply is not None else self._words)

    def earlier_words(self) -> list[InteractionEvent]:
        return events_of(self._before)

    @property
    def status_parts(self) -> list[Part]:
        return list(self._words)

    def text(self) -> str:
        """The status's words without what isn't text."""
        return _text(self._words)

    def _at(self, task_id: str, context_id: str) -> None:
        self.task_id, self.context_id = task_id or self.task_id, context_id or self.context_id

    def _set_status(self, status: TaskStatus) -> None:
        if self._words:
            self._before = self._words
        self.state, self.asked = status.state, status.message.message_id
        if self.state in WAITS and self._answered and self.asked == self._answered:
            self.state = TaskState.TASK_STATE_WORKING  # as it was before our answer to that
        self._words = list(status.message.parts) if status.HasField("message") else []

    def _artifact(self, artifact: Artifact) -> _Artifact | None:
        """None: it was told before."""
        if artifact.artifact_id in self._known:
            return None
        found = self._artifacts.get(artifact.artifact_id)
        if found is None:
            if len(self._artifacts) >= MAX_ARTIFACTS:
                raise BadAnswer(f"more than {MAX_ARTIFACTS} artifacts")
            found = _Artifact(len(self._known) + len(self._artifacts), artifact.name)
            self._artifacts[artifact.artifact_id] = found
        return found

    def _show(self) -> None:
        """What came of the artifact that is told next."""
        following = list(self._artifacts.values())[self._told : self._told + 1]
        for artifact in following:
            if artifact.text.startswith(artifact.shown) and len(artifact.text) > len(artifact.shown):
                self.hears.delta(artifact.message_id, artifact.text[len(artifact.shown) :])
                artifact.shown = artifact.text


def events_of(parts: Sequence[Part]) -> list[InteractionEvent]:
    """A message's parts: its text, then a card for each piece of data and each file."""
    said, text = list[InteractionEvent](), _text(parts)
    if text.strip():
        said.append(AssistantMessage(text=text))
    return [*said, *(card(part, "") for part in parts if not part.HasField("text"))]


def card(part: Part, name: str) -> Card:
    """Data as lines, or as JSON where it isn't flat, by name: the protocol keeps no order. A file as a link."""
    if part.HasField("data"):
        data = whole(json_format.MessageToDict(part.data))
        return Card(title=name or part.filename or "Data", body=_data(data))
    mime = part.media_type or "application/octet-stream"
    title = part.filename or name or "File"
    if part.HasField("url"):
        url = part.url
    elif len(part.raw) <= MAX_RAW_BYTES:
        url = f"data:{mime};base64,{base64.b64encode(part.raw).decode()}"
    else:
        return Card(title=title, body=f"{mime}, {len(part.raw)} bytes: too large to be kept here")
    kind = "image" if mime.startswith("image/") else "audio" if mime.startswith("audio/") else "file"
    return Card(title=title, media=[{"type": kind, "url": url, "mime": mime, "name": title}])


def _data(data: object) -> str:
    if isinstance(data, dict) and data and not any(isinstance(each, dict | list) for each in data.values()):
        text = "\n".join(f"{name}: {value}" for name, value in sorted(data.items()))
    else:
        text = f"```json\n{json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True)}\n```"
    return text if len(text) <= MAX_DATA_CHARACTERS else f"{text[:MAX_DATA_CHARACTERS]}…"


def _text(parts: Sequence[Part]) -> str:
    return "\n\n".join(part.text for part in parts if part.HasField("text"))

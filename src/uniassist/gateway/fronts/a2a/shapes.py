"""A2A 1.0's types as its JSON has them, as far as we speak it. Unknown members are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from uniassist.contracts.base import MAX_ID_LENGTH, Id, JsonObject, Wire

VERSION = "1.0"
SEQ = "uniassist/seq"
"""In the metadata of a task and of its updates: the seq of the last event that they tell, to subscribe from."""

MAX_HISTORY = 2**31 - 1
"""The protocol's int32."""
Word = Annotated[str, msgspec.Meta(max_length=MAX_ID_LENGTH)]

State = Literal[
    "TASK_STATE_SUBMITTED",
    "TASK_STATE_WORKING",
    "TASK_STATE_COMPLETED",
    "TASK_STATE_FAILED",
    "TASK_STATE_CANCELED",
    "TASK_STATE_INPUT_REQUIRED",
]


class Part(Wire, frozen=True):
    """One of the first four."""

    text: str | None = None
    data: Any = None
    url: str | None = None
    raw: str | None = None
    media_type: str | None = None
    filename: str | None = None
    metadata: JsonObject | None = None


class Message(Wire, frozen=True):
    message_id: Id
    role: Literal["ROLE_USER", "ROLE_AGENT"]
    parts: list[Part]
    context_id: str | None = None
    task_id: str | None = None
    metadata: JsonObject | None = None


class Status(Wire, frozen=True):
    """`timestamp`: as RFC 3339 has it."""

    state: State
    timestamp: str
    message: Message | None = None


class Artifact(Wire, frozen=True):
    artifact_id: str
    parts: list[Part]
    name: str | None = None


class Task(Wire, frozen=True):
    id: str
    context_id: str
    status: Status
    artifacts: list[Artifact] | None = None
    history: list[Message] | None = None
    metadata: JsonObject | None = None


class StatusUpdate(Wire, frozen=True):
    task_id: str
    context_id: str
    status: Status
    metadata: JsonObject | None = None


class ArtifactUpdate(Wire, frozen=True):
    task_id: str
    context_id: str
    artifact: Artifact
    append: bool = False
    last_chunk: bool = False
    metadata: JsonObject | None = None


class StreamResponse(Wire, frozen=True):
    """One of them. Also what SendMessage answers: a task."""

    task: Task | None = None
    status_update: StatusUpdate | None = None
    artifact_update: ArtifactUpdate | None = None


class Configuration(Wire, frozen=True):
    return_immediately: bool = False
    history_length: int | None = None
    task_push_notification_config: Any = None


class SendParams(Wire, frozen=True):
    message: Message
    configuration: Configuration | None = None
    metadata: JsonObject | None = None


class TaskParams(Wire, frozen=True):
    """Of GetTask, CancelTask and SubscribeToTask."""

    id: Id
    history_length: Annotated[int, msgspec.Meta(ge=0, le=MAX_HISTORY)] | None = None


class ListParams(Wire, frozen=True):
    """`page_token`: of the page before. `status`: of those that a page looks at."""

    context_id: Word | None = None
    status: Word | None = None
    page_size: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    page_token: Word | None = None
    history_length: Annotated[int, msgspec.Meta(ge=0, le=MAX_HISTORY)] | None = None
    include_artifacts: bool = False


class TaskList(msgspec.Struct, rename="camel", frozen=True):
    tasks: list[Task]
    next_page_token: str
    page_size: int
    total_size: int


class RpcRequest(msgspec.Struct, frozen=True):
    """JSON-RPC 2.0. An `id` is needed: notifications would say nothing of what went wrong."""

    jsonrpc: Literal["2.0"]
    id: str | int
    method: str
    params: dict[str, Any] = {}


class RpcFault(msgspec.Struct, frozen=True):
    code: int
    message: str


class RpcRefused(msgspec.Struct, frozen=True):
    jsonrpc: Literal["2.0"]
    id: str | int | None
    error: RpcFault


class RpcAnswer(msgspec.Struct, frozen=True):
    jsonrpc: Literal["2.0"]
    id: str | int
    result: Any


class ErrorInfo(msgspec.Struct, frozen=True):
    reason: str
    type: str = msgspec.field(name="@type", default="type.googleapis.com/google.rpc.ErrorInfo")
    domain: str = "a2a-protocol.org"


class RestFault(msgspec.Struct, frozen=True):
    """`status`: gRPC's name of what `code`, HTTP's, says."""

    code: int
    status: str
    message: str
    details: list[ErrorInfo]


class RestRefused(msgspec.Struct, frozen=True):
    error: RestFault


class Interface(Wire, frozen=True):
    url: str
    protocol_binding: str
    protocol_version: str


class Capabilities(Wire, frozen=True):
    """Each is said, whatever it is."""

    streaming: bool | None = None
    push_notifications: bool | None = None


class Skill(Wire, frozen=True):
    id: str
    name: str
    description: str
    tags: list[str]
    examples: list[str] | None = None


class AgentCard(Wire, frozen=True):
    name: str
    description: str
    version: str
    supported_interfaces: list[Interface]
    capabilities: Capabilities
    default_input_modes: list[str]
    default_output_modes: list[str]
    skills: list[Skill]
    security_schemes: JsonObject | None = None
    security_requirements: list[JsonObject] | None = None


EXAMPLE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "SendMessage",
    "params": {"message": {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "who are you?"}]}},
}

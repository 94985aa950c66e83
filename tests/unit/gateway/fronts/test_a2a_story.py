"""What an A2A task says: once, and in the same order, wherever another gateway takes it over."""

from __future__ import annotations

import pytest
from a2a.types.a2a_pb2 import (
    Artifact,
    Message,
    Part,
    Role,
    StreamResponse,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from hypothesis import given
from hypothesis import strategies as st

from uniassist.contracts.interaction import AssistantMessage, InteractionEvent
from uniassist.gateway.providers.kinds.a2a_story import MAX_ARTIFACTS, Story
from uniassist.web.calling.client import BadAnswer


class Ear:
    """Passes over what an earlier attempt has written, as `Hearing` does."""

    def __init__(self, written: list[InteractionEvent]) -> None:
        self.written = written
        self._pass_over = len(written)
        self.shown: dict[str, str] = {}

    def delta(self, message_id: str, text: str) -> None:
        self.shown[message_id] = self.shown.get(message_id, "") + text

    async def event(self, event: InteractionEvent) -> None:
        if isinstance(event, AssistantMessage) and event.message_id in self.shown:
            assert event.text.startswith(self.shown[event.message_id])
        if self._pass_over:
            self._pass_over -= 1
        else:
            self.written.append(event)


def update(artifact_id: str, text: str, *, append: bool, last: bool) -> StreamResponse:
    artifact = Artifact(artifact_id=artifact_id, parts=[Part(text=text)])
    return StreamResponse(
        artifact_update=TaskArtifactUpdateEvent(
            task_id="t", context_id="c", artifact=artifact, append=append, last_chunk=last
        )
    )


async def test_a_piece_that_a_subscription_tells_again_is_said_once() -> None:
    """The task that it begins with may hold the piece already; so the whole is read before it is told."""
    written = list[InteractionEvent]()
    ear = Ear(written)
    story = Story(ear)
    working = TaskStatus(state=TaskState.TASK_STATE_WORKING)

    def task(text: str) -> Task:
        artifact = Artifact(artifact_id="x", parts=[Part(text=text)])
        return Task(id="t", context_id="c", status=working, artifacts=[artifact])

    story.read(task("one two "))
    story.take(update("x", "two ", append=True, last=False))
    assert not story.is_doubtful(), "it is only shown yet"
    story.take(update("x", "three", append=True, last=True))
    assert story.is_doubtful()
    story.read(task("one two three"))
    assert not story.is_doubtful()
    ear.shown.clear()  # what was shown meanwhile has it twice, until the message replaces that
    await story.tell()
    assert [each.text for each in written if isinstance(each, AssistantMessage)] == ["one two three"]


def status(state: TaskState, text: str = "", message_id: str = "s") -> StreamResponse:
    message = Message(message_id=message_id, role=Role.ROLE_AGENT, parts=[Part(text=text)]) if text else None
    return StreamResponse(
        status_update=TaskStatusUpdateEvent(
            task_id="t", context_id="c", status=TaskStatus(state=state, message=message)
        )
    )


def snapshot(updates: list[StreamResponse]) -> StreamResponse:
    """The task as an agent's store has it after these."""
    artifacts: dict[str, Artifact] = {}
    for each in updates:
        artifact = each.artifact_update.artifact
        kept = artifacts.setdefault(artifact.artifact_id, Artifact(artifact_id=artifact.artifact_id))
        kept.parts.extend(artifact.parts)
    working = TaskStatus(state=TaskState.TASK_STATE_WORKING)
    return StreamResponse(task=Task(id="t", context_id="c", status=working, artifacts=list(artifacts.values())))


@st.composite
def streams(draw: st.DrawFn) -> list[StreamResponse]:
    """Pieces of some artifacts, in any order, some without a last one."""
    left = {name: draw(st.lists(st.sampled_from(["a ", "b", "。"]), min_size=1, max_size=3)) for name in "xyz"}
    ends = {name: draw(st.booleans()) for name in left}
    found, begun = list[StreamResponse](), set[str]()
    while left:
        name = draw(st.sampled_from(sorted(left)))
        text = left[name].pop(0)
        found.append(update(name, text, append=name in begun, last=ends[name] and not left[name]))
        begun.add(name)
        if not left[name]:
            del left[name]
    return found


async def follow(written: list[InteractionEvent], responses: list[StreamResponse]) -> None:
    story = Story(Ear(written))
    for response in responses:
        story.take(response)
        await story.tell()


@given(streams(), st.data())
async def test_a_takeover_anywhere_tells_each_thing_once(
    updates: list[StreamResponse], data: st.DataObject
) -> None:
    done = status(TaskState.TASK_STATE_COMPLETED)
    expected: list[InteractionEvent] = []
    await follow(expected, [*updates, done])
    cut = data.draw(st.integers(0, len(updates)))
    written: list[InteractionEvent] = []
    await follow(written, updates[:cut])
    read = data.draw(st.integers(cut, len(updates)))  # some came while nobody followed
    await follow(written, [snapshot(updates[:read]), *updates[read:], done])
    assert written == expected
    texts = {each.message_id: each.text for each in written if isinstance(each, AssistantMessage)}
    assert len(texts) == len(written) == 3


async def test_a_task_that_goes_on_says_nothing_again_and_is_no_question_any_more() -> None:
    written: list[InteractionEvent] = []
    first = Story(Ear(written))
    first.take(update("x", "found", append=False, last=True))
    first.take(status(TaskState.TASK_STATE_INPUT_REQUIRED, "Which?", "q1"))
    await first.tell()
    assert first.is_over()
    more: list[InteractionEvent] = []
    second = Story(Ear(more), first.artifacts, first.asked)
    waiting = TaskStatus(
        state=TaskState.TASK_STATE_INPUT_REQUIRED, message=Message(message_id="q1", parts=[Part(text="Which?")])
    )
    old = Artifact(artifact_id="x", parts=[Part(text="found")])
    second.take(StreamResponse(task=Task(id="t", context_id="c", status=waiting, artifacts=[old])))
    await second.tell()
    assert not second.is_over(), "it shows the question that is being answered"
    second.take(update("y", "more", append=False, last=False))
    second.take(status(TaskState.TASK_STATE_COMPLETED, "Done."))
    await second.tell()
    assert [each.text for each in (*written, *more) if isinstance(each, AssistantMessage)] == ["found", "more"]
    assert [each.text for each in second.words() if isinstance(each, AssistantMessage)] == ["Done."]


def test_artifacts_without_end_are_refused() -> None:
    story = Story(Ear([]))
    for number in range(MAX_ARTIFACTS):
        story.take(update(f"a{number}", "x", append=False, last=True))
    with pytest.raises(BadAnswer, match="artifacts"):
        story.take(update("one more", "x", append=False, last=True))

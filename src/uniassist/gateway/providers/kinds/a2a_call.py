"""One call of an A2A agent: a message of ours, sent once, and its task followed to where the person comes in again.

The run's id is the message's. Where another gateway had the call before, the task is looked for first: by what was
kept of it, or among the tasks of our context, by the message in its history.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress

import msgspec
from a2a.client import ClientCallContext
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import A2AError, TaskNotFoundError

from uniassist.contracts.base import Wire
from uniassist.contracts.interaction import AssistantMessage, ErrorNotice, InteractionEvent, RequestClarification
from uniassist.contracts.language import Language, language
from uniassist.contracts.provider import MAX_HINT_LENGTH, ExpectsReply, InvokeRequest
from uniassist.gateway.providers.kinds.a2a_cards import UNREADABLE, Agent, called
from uniassist.gateway.providers.kinds.a2a_forms import form_in, parts_of
from uniassist.gateway.providers.kinds.a2a_http import Broken
from uniassist.gateway.providers.kinds.a2a_pushes import Pushes
from uniassist.gateway.providers.kinds.a2a_story import WAITS, Story, events_of
from uniassist.gateway.providers.kinds.kind import Asked, Hears, Said
from uniassist.lifecycle import Pauses
from uniassist.store.remotes import Question, Remote, Remotes
from uniassist.web.calling.client import BadAnswer, BadStatus, CallFailed, TimedOut

HISTORY = 50  # messages of a task, to find our own among them
LOOK_SECONDS = 10.0  # for a task, or to cancel one
# Where an agent pushes it is looked all the same, ever less often: it may not reach us, or a gateway not the other.
FIRST_QUIET_SECONDS, LONGEST_QUIET_SECONDS = 20.0, 300.0
PUSH_PAUSE_SECONDS = 0.2  # however often it does
MAX_NOTED = 50  # artifacts of a task that asks
TRIES = 10  # to find an agent again that went away in the middle, over half a minute
_PLAIN: dict[str, dict[Language, str]] = {
    "input": {"zh": "“{name}”还需要你补充信息。", "en": "{name} needs to know more from you."},
    "auth": {
        "zh": "“{name}”需要你先登录或授权，完成后请告诉我。",
        "en": "{name} needs you to sign in or to authorize it first. Tell me when it is done.",
    },
    "rejected": {"zh": "“{name}”没有接受这个请求。", "en": "{name} did not take this on."},
    "canceled": {"zh": "“{name}”取消了这件事。", "en": "{name} cancelled this."},
}


class Lost(BadAnswer):
    """The agent knows nothing of a task of its own."""


class _Hint(Wire, frozen=True):
    """What is noted with a reply that is expected: the task that it goes to, and the rest as `Question` has it."""

    task_id: str
    context_id: str
    asked: str = ""
    told: tuple[str, ...] = ()


class Call:
    """`pushed`: set when the agent says that the task has moved; None: it doesn't."""

    def __init__(
        self, agent: Agent, asked: Asked, remotes: Remotes, hears: Hears, pushes: Pushes | None = None
    ) -> None:
        self._pushes = pushes
        self.pushed: asyncio.Event | None = None
        self._agent = agent
        self._asked = asked
        self._remotes = remotes
        self._kept: Remote | None = None
        self._questions: tuple[Question, ...] = ()
        request = asked.request
        is_reply = isinstance(request, InvokeRequest) and request.run.continues is not None
        self._hint = _hint(request.run.hint) if is_reply and isinstance(request, InvokeRequest) else None
        self._hears = hears
        self.story = self._answering(self._hint)
        self.run_id = request.run.run_id
        self.provider_id = asked.provider.provider_id
        is_invoke = isinstance(request, InvokeRequest)
        self._message_id = self.run_id if is_invoke else request.run.idempotency_key
        headers = {**agent.headers, **asked.headers}
        self._context = ClientCallContext(service_parameters=headers)

    async def follow(self) -> None:
        """Until the task is over, or waits for the person."""
        context_id, task_id = await self._place()
        story, pauses, failures, quiet_seconds = self.story, Pauses(0.2, 5.0), 0, FIRST_QUIET_SECONDS
        may_have_it = self._asked.request.run.attempt > 1
        while not story.is_over():  # ends: with the task, after TRIES, or with the deadline of `ask`
            sends, is_read = False, False
            try:
                if story.task_id:
                    responses = await self._again()
                    is_read = True
                elif may_have_it and await self._found(context_id, task_id):
                    continue
                else:
                    sends, responses = True, self._sent(context_id, task_id)
                async with aclosing(self._in_time(responses)) as following:
                    async for response in following:
                        story.take(response)
                        if story.is_doubtful():
                            story.read(await self._task(story.task_id))
                        await self._note()
                        await story.tell()
                        failures = 0
                        if story.is_over():
                            break
            except CallFailed as error:
                # A task that can be read and not subscribed to is read again; that is no failure.
                failures = 0 if is_read and isinstance(error, BadAnswer | BadStatus) else failures + 1
                if sends and not story.task_id and isinstance(error, BadAnswer) and self.pushed is not None:
                    self.pushed = None  # perhaps it won't push to us; it hasn't taken the message
                    continue
                may_have_it = may_have_it or isinstance(error, Broken)
                if failures >= TRIES or isinstance(error, Lost) or not self._goes_on(error, sends=sends):
                    raise
            else:
                if not story.task_id and not story.is_over():
                    raise BadAnswer("its answer stopped before its end")
            if story.is_over():
                break
            if self.pushed is not None and not failures:
                try:
                    await asyncio.wait_for(self.pushed.wait(), quiet_seconds)
                except TimeoutError:
                    quiet_seconds = min(quiet_seconds * 1.5, LONGEST_QUIET_SECONDS)
                await asyncio.sleep(PUSH_PAUSE_SECONDS)
            else:
                await pauses.wait()
        await story.tell()

    def _goes_on(self, error: CallFailed, *, sends: bool) -> bool:
        """Whether to look for the task after that. `sends`: the message was being sent."""
        if not sends:
            return True
        if self.story.task_id:
            return not isinstance(error, BadAnswer)
        return isinstance(error, Broken)  # it may have the message

    async def said(self) -> Said:
        """What is left to say once the task is over, or waits. BadAnswer where it failed, or said nothing."""
        story, state = self.story, self.story.state
        if story.reply is not None or state == TaskState.TASK_STATE_COMPLETED:
            words = story.words() or ([] if story.has_said else story.earlier_words())
            if not words and not story.has_said:
                raise BadAnswer("it said nothing")
            return Said(words)
        if state == TaskState.TASK_STATE_INPUT_REQUIRED:
            form, rest = form_in(story.status_parts, self.provider_id, story.task_id)
            if form is not None:
                return Said([*events_of(rest), form], await self._expects())
            question = RequestClarification(question=story.text() or self._say("input"), choices=[])
            others = [each for each in story.words() if not isinstance(each, AssistantMessage)]
            return Said([*others, question], await self._expects())
        if state == TaskState.TASK_STATE_AUTH_REQUIRED:
            plain: list[InteractionEvent] = [AssistantMessage(text=self._say("auth"))]
            return Said([*plain, *story.words()], await self._expects())
        if state == TaskState.TASK_STATE_REJECTED:
            return Said(story.words() or [AssistantMessage(text=self._say("rejected"))])
        if state == TaskState.TASK_STATE_CANCELED:
            return Said(story.words() or [AssistantMessage(text=self._say("canceled"))])
        if story.text():
            await story.hears.event(ErrorNotice(user_message=story.text()[:2000]))
        raise BadAnswer("its task failed")

    async def cancel(self) -> None:
        await self._agent.client.cancel_task(CancelTaskRequest(id=self.story.task_id), context=self._context)

    async def _place(self) -> tuple[str, str | None]:
        """The context that the message goes to, and the task, where it answers what one asked."""
        request = self._asked.request
        if self._hint is not None:
            return self._hint.context_id, self._hint.task_id
        if not isinstance(request, InvokeRequest) and (own := await self._remotes.of_run(self.run_id)) is not None:
            return own.context_id, await self._waiting(own)
        session = request.context.session
        session_id = session.session_id if session is not None else self.run_id
        before = await self._remotes.of_session(session_id, self.provider_id)
        if before is not None:
            return before.context_id, None
        # Ours, so that a message is found again whose answer nobody got; an agent may make another of it.
        return hashlib.sha256(f"{self.provider_id}\n{session_id}".encode()).hexdigest()[:32], None

    async def _waiting(self, own: Remote) -> str | None:
        """The run's task, where an interaction answers what it asked; None: it asks nothing, or is over."""
        asked = [each for each in own.questions if each.message_id != self._message_id]
        if own.task_id is None or not asked:
            return None
        task = await self._task(own.task_id)
        waits = task.status.state in WAITS and task.status.message.message_id == asked[-1].asked
        if not waits and not self._is_in(task):
            return None
        self._questions = own.questions
        self.story = self._answering(asked[-1])
        return own.task_id

    def _answering(self, question: Question | _Hint | None) -> Story:
        return Story(self._hears, question.told, question.asked) if question is not None else Story(self._hears)

    async def _found(self, context_id: str, task_id: str | None) -> bool:
        """Whether the message is there already, with its task, which is read then. CallFailed: not known."""
        kept = await self._remotes.of_run(self.run_id)
        is_kept = kept is not None and kept.message_id == self._message_id
        task_id = kept.task_id if kept is not None and kept.task_id is not None else task_id
        if task_id is not None:
            task: Task | None = await self._task(task_id)
        else:
            is_kept, task = (
                False,
                next((each for each in await self._listed(context_id) if self._is_in(each)), None),
            )
        if task is None or not (is_kept or self._is_in(task)):
            return False
        self.story.read(task)
        await self._note()
        return True

    async def _listed(self, context_id: str) -> Sequence[Task]:
        request = ListTasksRequest(context_id=context_id, history_length=HISTORY, include_artifacts=True)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return (await self._agent.client.list_tasks(request, context=self._context)).tasks
        except TimeoutError:
            raise TimedOut(f"tasks: no answer within {LOOK_SECONDS:g} seconds") from None
        except (NotImplementedError, *UNREADABLE):  # 0.3 has no such call
            return []
        except A2AError as error:
            failure = called(error, "tasks")
            if isinstance(failure, BadAnswer) or (isinstance(failure, BadStatus) and failure.status < 500):
                return []  # not every agent lists; to send again is what is left then
            raise failure from None

    def _is_in(self, task: Task) -> bool:
        """Whether it has the message."""
        return any(each.message_id == self._message_id for each in task.history)

    async def _sent(self, context_id: str, task_id: str | None) -> AsyncIterator[StreamResponse]:
        message = Message(
            message_id=self._message_id,
            context_id=context_id,
            task_id=task_id,
            role=Role.ROLE_USER,
            parts=parts_of(self._asked.request),
        )
        push = None
        if self._pushes is not None and self.pushed is not None:
            url, token = self._pushes.url(self.run_id), self._pushes.token(self.run_id)
            push = TaskPushNotificationConfig(id=self.run_id, url=url, token=token)
        configuration = SendMessageConfiguration(
            return_immediately=not self._agent.streams, task_push_notification_config=push
        )
        request = SendMessageRequest(message=message, configuration=configuration)
        async for response in self._agent.client.send_message(request, context=self._context):
            yield response

    async def _again(self) -> AsyncIterator[StreamResponse]:
        """The task as it is, and what comes of it where the agent streams."""
        if self.pushed is not None:
            self.pushed.clear()
        self.story.read(await self._task(self.story.task_id))
        await self._note()
        await self.story.tell()
        if self.story.is_over() or not self._agent.streams:
            return _nothing()
        subscription = SubscribeToTaskRequest(id=self.story.task_id)
        return self._agent.client.subscribe(subscription, context=self._context)

    async def _task(self, task_id: str) -> Task:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._agent.client.get_task(
                    GetTaskRequest(id=task_id, history_length=HISTORY), context=self._context
                )
        except TaskNotFoundError:
            raise Lost("its task is lost") from None
        except A2AError as error:
            raise called(error, "task") from None
        except UNREADABLE as error:
            raise BadAnswer(f"task: {type(error).__name__}") from None
        except TimeoutError:
            raise TimedOut(f"task: no answer within {LOOK_SECONDS:g} seconds") from None

    async def _in_time(self, responses: AsyncIterator[StreamResponse]) -> AsyncGenerator[StreamResponse]:
        """Within the deadline of a call until the first, and of silence from then on."""
        seconds = self._asked.provider.timeout_seconds
        while True:  # ends: with the answer, or by its silence; and the caller has a deadline for all of it
            try:
                async with asyncio.timeout(seconds) as silence:
                    response = await anext(responses, None)
            except TimeoutError:
                if not silence.expired():
                    raise
                raise TimedOut(f"silent for {seconds:g} seconds") from None
            except A2AError as error:
                raise called(error, "message") from None
            except UNREADABLE as error:
                raise BadAnswer(f"message: {type(error).__name__}") from None
            if response is None:
                return
            yield response
            seconds = self._asked.provider.idle_timeout_seconds

    async def _note(self) -> None:
        """Keep where the run is, as soon as that is known."""
        story = self.story
        if not story.context_id:
            return
        task_id = story.task_id[:256] or None
        remote = Remote(story.context_id[:256], task_id, self._message_id, questions=self._questions)
        if remote != self._kept:
            await self._remotes.keep(self.run_id, remote)
            self._kept = remote

    async def _expects(self) -> ExpectsReply:
        """The person's next text, or what they fill in, goes into the task: noted with either."""
        story = self.story
        told = tuple(story.artifacts[-MAX_NOTED:])
        hint = _Hint(story.task_id, story.context_id, story.asked, told)
        raw = msgspec.json.encode(hint).decode()
        if len(raw) > MAX_HINT_LENGTH:
            raise BadAnswer("the ids of its task are too long to be noted")
        # The one before stays: whoever makes this call again begins with that.
        before = [each for each in self._questions if each.message_id != self._message_id]
        self._questions = (*before[-1:], Question(self._message_id, story.asked, told))
        await self._note()
        return ExpectsReply(hint=raw)

    def _say(self, key: str) -> str:
        locale = self._asked.request.context.user.locale
        return _PLAIN[key][language(locale)].format(name=self._asked.provider.name(locale))


async def _nothing() -> AsyncIterator[StreamResponse]:
    nothing: tuple[StreamResponse, ...] = ()
    for response in nothing:
        yield response


def _hint(raw: str | None) -> _Hint | None:
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(raw or "", type=_Hint)
    return None

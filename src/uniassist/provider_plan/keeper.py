"""People's shelves in Postgres: a call has its person's for itself, and changes it once, however often it comes."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import structlog

from uniassist.contracts import codec
from uniassist.contracts.language import language
from uniassist.contracts.provider import (
    ContextUser,
    InteractRequest,
    InteractResponse,
    InvokeRequest,
    InvokeResponse,
)
from uniassist.provider_plan import answers
from uniassist.provider_plan.planner.ideas import Ideas
from uniassist.provider_plan.planner.keeping import restored
from uniassist.provider_plan.shelf import Kept, Shelf
from uniassist.provider_plan.together import Together, Waiting
from uniassist.provider_plan.writing import KeepingRules, Writing
from uniassist.store import plans as store
from uniassist.store.plans import Person, PersonsPlans, PlanRow
from uniassist.store.server.pool import Pool

log = structlog.get_logger()

CALENDARS = "/calendars/"
_ACQUIRE_SECONDS = 2.0
_PATIENCE = dt.timedelta(milliseconds=300)

Answered = InvokeResponse | InteractResponse
Answer = TypeVar("Answer", InvokeResponse, InteractResponse)


@dataclass(eq=False)
class _Call(Waiting):
    look: store.Look
    timezone: str | None
    tongue: str
    decide: Callable[[Shelf], Answered]
    shape: type[Answered]


class Keeper:
    """Answers calls with the person's plans at hand. Two calls of a person come one after the other.

    Those of several people share a transaction where they come together.
    """

    def __init__(self, pool: Pool, rules: KeepingRules) -> None:
        self._pool = pool
        self._rules = rules
        self._together = Together(self._carry_out)

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        """A ServerFault where Postgres doesn't answer: then nothing was changed."""
        user, message = request.context.user, request.input
        return await self._answer(
            user,
            f"invoke {request.run.run_id}",
            message.timezone or user.timezone,
            lambda shelf: answers.invoke(request, shelf),
            InvokeResponse,
        )

    async def interact(self, request: InteractRequest, ideas: Ideas | None = None) -> InteractResponse:
        """As `invoke`. `ideas`: a model's for the plan that is made."""
        return await self._answer(
            request.context.user,
            _key_of(request),
            request.context.user.timezone,
            lambda shelf: answers.interact(request, shelf, ideas),
            InteractResponse,
            task_id=answers.task_of(request),
        )

    async def draft(self, request: InteractRequest) -> dict[str, str]:
        """What was known of the plan whose form this submits."""
        async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
            mine = PersonsPlans(connection, _person(request.context.user))
            return await mine.draft(answers.task_of(request))

    async def _answer(
        self,
        user: ContextUser,
        call_key: str,
        timezone: str | None,
        decide: Callable[[Shelf], Answer],
        shape: type[Answer],
        *,
        task_id: str | None = None,
    ) -> Answer:
        answer: Answer = await self._together.submit(
            _Call(
                user.user_id,
                asyncio.get_running_loop().create_future(),
                store.Look(_person(user), call_key, task_id),
                timezone,
                language(user.locale),
                decide,
                shape,
            )
        )
        return answer

    async def _carry_out(self, calls: Sequence[_Call], waits: bool) -> Sequence[_Call]:
        """See Together."""
        decided: list[tuple[_Call, Answered | Exception]] = []
        async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection, connection.transaction():
            if waits:
                await PersonsPlans(connection, calls[0].look.person).lock()
                mine = calls
            else:
                free = await store.try_lock(connection, [each.user_id for each in calls], patience=_PATIENCE)
                mine = [each for each in calls if each.user_id in free]
            writing = Writing(connection, self._rules)
            if mine:
                found = await store.look(connection, [each.look for each in mine])
                for call, its in zip(mine, found, strict=True):
                    decided.append((call, await self._decided(call, its, writing)))
                await writing.flush()
        for call, answer in decided:
            if call.answer.done():
                continue
            if isinstance(answer, Exception):
                call.answer.set_exception(answer)
            else:
                call.answer.set_result(answer)
        return [each for each in calls if each not in mine] if len(mine) < len(calls) else ()

    async def _decided(self, call: _Call, found: store.Found, writing: Writing) -> Answered | Exception:
        if found.answer is not None:
            return codec.decode(found.answer, call.shape)
        link = self._new_link if self._rules.public_url is not None else None
        draft = found.draft if call.look.task_id is not None else None
        shelf = Shelf(_read(found.rows), is_kept=True, draft=draft, new_link=link)
        try:
            answer = call.decide(shelf)
        except Exception as error:  # nothing of it is written, and the others don't suffer for it
            return error
        await writing.take(call.look.person, shelf, found.rows, call.timezone, call.tongue)
        if shelf.writes:
            writing.note_answer(call.look, codec.encode(answer))
        return answer

    def _new_link(self) -> tuple[str, str]:
        token = secrets.token_urlsafe(32)
        return token, f"{self._rules.public_url}{CALENDARS}{token}.ics"


def _person(user: ContextUser) -> Person:
    return Person(user.user_id, user.subject or "")


def _read(rows: Sequence[PlanRow]) -> list[Kept]:
    """Those that can be read; one of a later release is left as it is."""
    found = []
    for row in rows:
        plan = restored(row.body)
        if plan is None:
            log.error("a kept plan can't be read, and is left as it is", plan=row.plan_id)
            continue
        found.append(Kept(row.plan_id, plan, row.used_at, row.deleted_at))
    return found


def _key_of(request: InteractRequest) -> str:
    """The same for each attempt. A run has any number of interactions, told apart by what they say."""
    first = msgspec.structs.replace(request.run, attempt=0)
    said = codec.encode([first, request.interaction])
    return f"interact {hashlib.sha256(said).hexdigest()}"

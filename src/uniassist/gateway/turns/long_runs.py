"""Runs that stay open after their provider's answer: until when, and what becomes of them in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from uniassist.contracts.interaction import AssistantMessage
from uniassist.contracts.timeline import RunStatus
from uniassist.errors import SessionNotFound
from uniassist.gateway.turns import context
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.ids import new_id
from uniassist.gateway.turns.phrases import say
from uniassist.gateway.turns.turn import Turn
from uniassist.store.ledger import RunFacts

Names = Callable[[str, str | None], str]
"""A provider's id and a locale → its name, as people read it."""


def open_until(draft: Draft, run: RunFacts, until_ms: int | None, longest_ms: int) -> None:
    """The run is open from now on. `until_ms` None: for as long as it may be."""
    latest = draft.now_ms + longest_ms
    draft.rows.run_deadlines[run.run_id] = latest if until_ms is None else min(until_ms, latest)


def end(draft: Draft, run: RunFacts, status: RunStatus, *, trace_id: str, told: str | None, names: Names) -> None:
    """The run is over. `told`: the phrase that its person is told so with; None: its provider said enough."""
    if told is not None:
        locale = draft.memory.locale
        message = AssistantMessage(text=say(told, locale, provider=names(run.provider_id, locale)))
        draft.interaction(message, "system", trace_id=trace_id, provider_id=run.provider_id, run_id=run.run_id)
    draft.rows.run_status.append((run.run_id, status))
    draft.show_run(run, status, context.package(draft.session, locale=draft.memory.locale), trace_id=trace_id)


@dataclass(frozen=True)
class _Overdue:
    names: Names

    def decide(self, draft: Draft, run: RunFacts | None) -> bytes:
        if run is None or draft.session.user_id != run.user_id:
            raise SessionNotFound("sessionId: no such session of this user")
        if run.status == "running":  # else another gateway, or its provider, was sooner
            end(draft, run, "failed", trace_id=new_id(), told="overdue", names=self.names)
        return b""


def overdue(run_id: str, session_id: str, names: Names) -> Turn:
    """Ends a run whose time is over."""
    return Turn(session_id=session_id, decide=_Overdue(names).decide, run_id=run_id, follows_successor=False)

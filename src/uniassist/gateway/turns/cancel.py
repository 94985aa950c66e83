"""A person cancels a run: from then on what its provider says of it is refused, and a call under way is in vain.

Of a run that has ended, and whose provider is answering an interaction, only that answer ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from uniassist.contracts import codec
from uniassist.contracts.inputs import RunCancellation, RunCancelled
from uniassist.errors import InvalidRequest, NotFound
from uniassist.gateway.providers import routing
from uniassist.gateway.turns import access, context
from uniassist.gateway.turns.access import Caller
from uniassist.gateway.turns.draft import Draft
from uniassist.store.ledger import RunFacts


@dataclass(frozen=True)
class Cancel:
    """One cancellation. A cancelled run may be cancelled again; one that ended can't, unless it is asked anew."""

    asked: RunCancellation
    run_id: str
    caller: Caller

    def decide(self, draft: Draft, run: RunFacts | None) -> bytes:
        access.check(draft.session, user_id=self.asked.user_id, caller=self.caller)
        if run is None or run.session_id != draft.session.session_id:
            raise NotFound("runId: no such run in this session")
        has_ended = run.status in ("completed", "failed")
        if has_ended and not run.calls:
            raise InvalidRequest(f"runId: the run is {run.status}; expected one that is under way")
        if run.status != "cancelled":
            if has_ended:
                draft.rows.answered_calls += run.calls
                draft.rows.stopped_calls += run.calls
            else:
                draft.rows.run_status.append((run.run_id, "cancelled"))
            if draft.memory.floor is not None and draft.memory.floor.run_id == run.run_id:
                draft.memory = routing.left(draft.memory)
            status = run.status if has_ended else "cancelled"
            draft.show_run(run, status, context.package(draft.session), trace_id=self.asked.trace_id)
        return codec.encode(RunCancelled(accepted=True, run_id=run.run_id, status="cancelled"))

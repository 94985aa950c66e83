"""A run cancelled by its user: what the provider still says of it is refused, and a call under way is in vain."""

from __future__ import annotations

from dataclasses import dataclass

from uniassist.contracts import codec
from uniassist.contracts.inputs import RunCancellation, RunCancelled
from uniassist.contracts.timeline import ProviderRunPayload
from uniassist.errors import InvalidRequest, NotFound
from uniassist.gateway import access, context
from uniassist.gateway.access import Caller
from uniassist.gateway.draft import Draft
from uniassist.store.ledger import RunFacts


@dataclass(frozen=True)
class Cancel:
    """Cancelling what is cancelled is accepted again; what has ended can't be cancelled any more."""

    asked: RunCancellation
    run_id: str
    caller: Caller

    def __call__(self, draft: Draft, run: RunFacts | None) -> bytes:
        access.check(draft.session, user_id=self.asked.user_id, caller=self.caller)
        if run is None or run.session_id != draft.session.session_id:
            raise NotFound("runId: no such run in this session")
        if run.status in ("completed", "failed"):
            raise InvalidRequest(f"runId: the run is {run.status}; expected one that is under way")
        if run.status != "cancelled":
            draft.rows.run_status.append((run.run_id, "cancelled"))
            draft.append(
                "provider_run",
                ProviderRunPayload(
                    providerId=run.provider_id,
                    mode=run.mode,
                    status="cancelled",
                    routing_mode=run.routing_mode,
                    idempotency_key=run.idempotency_key,
                    context=context.package(
                        user_id=draft.session.user_id,
                        session_id=draft.session.session_id,
                        seq=draft.session.seq,
                        locale=None,
                        timezone=None,
                    ),
                ),
                trace_id=self.asked.trace_id,
                provider_id=run.provider_id,
                run_id=run.run_id,
            )
        return codec.encode(RunCancelled(accepted=True, run_id=run.run_id, status="cancelled"))

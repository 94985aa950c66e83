"""What is written in a person's name, whichever protocol it came by: bounded, and committed as a turn."""

from __future__ import annotations

import hashlib

from starlette.requests import Request

from uniassist.contracts.inputs import RunCancellation, UnifiedUserInput, UserInteraction
from uniassist.errors import InvalidRequest
from uniassist.gateway.bounds.bounds import Asker, Bounds
from uniassist.gateway.callers import Writer
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.turns import access
from uniassist.gateway.turns.access import Caller
from uniassist.gateway.turns.cancel import Cancel
from uniassist.gateway.turns.group_commit import GroupCommit
from uniassist.gateway.turns.idle import activity_ms
from uniassist.gateway.turns.ids import now_ms
from uniassist.gateway.turns.ingest import Ingest
from uniassist.gateway.turns.interact import NEW_SESSION, SWITCH, Interact
from uniassist.gateway.turns.turn import Idempotency, Turn
from uniassist.store.ledger import Opening
from uniassist.web import requests
from uniassist.web.operations import Parameter
from uniassist.web.traced import traceparent

MAX_KEY_LENGTH = 255

KEY = Parameter(
    "Idempotency-Key",
    "header",
    "The same key with the same body gets the same answer, once written.",
    schema={"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
)


class Intake:
    """Every method answers once it is durable: RateLimited, Unavailable, and what the turn refuses."""

    def __init__(self, *, group_commit: GroupCommit, registry: ProviderRegistry, bounds: Bounds) -> None:
        self._group_commit = group_commit
        self._registry = registry
        self._bounds = bounds

    async def ingest(
        self,
        request: Request,
        writer: Writer,
        message: UnifiedUserInput,
        *,
        idempotency: Idempotency | None,
        size_bytes: int,
        addressed: str | None = None,
    ) -> bytes:
        """An IngestAck. `addressed`: whom the client asks by name; None: the router decides."""
        caller = writer.caller
        access.check_names(message.session_id, message.user_id, caller)
        asker = self._asker(request, caller, message.user_id)
        at_ms = activity_ms(message.timestamp_ms, now_ms())
        turn = Turn(
            session_id=message.session_id,
            decide=Ingest(message, self._registry.catalogue, caller, addressed).decide,
            opening=Opening(message.session_id, message.user_id, caller.signed, at_ms, caller.subject),
            nonce=writer.nonce,
            idempotency=idempotency,
            traceparent=traceparent(request),
            size_bytes=size_bytes,
            allowance=await self._bounds.allow(asker, size_bytes),
        )
        return await self._committed(turn, asker)

    async def interact(
        self,
        request: Request,
        writer: Writer,
        interaction: UserInteraction,
        *,
        idempotency: Idempotency | None,
        size_bytes: int,
    ) -> bytes:
        """An InteractAck."""
        caller = writer.caller
        asker = self._asker(request, caller, interaction.user_id)
        of_session = interaction.action_id.startswith((SWITCH, NEW_SESSION))
        turn = Turn(
            session_id=interaction.session_id,
            decide=Interact(interaction, self._registry.catalogue, caller).decide,
            nonce=writer.nonce,
            idempotency=idempotency,
            run_id=None if of_session else interaction.run_id,
            traceparent=traceparent(request),
            follows_successor=of_session,
            size_bytes=size_bytes,
            allowance=await self._bounds.allow(asker, size_bytes),
        )
        return await self._committed(turn, asker)

    async def cancel(self, request: Request, writer: Writer, asked: RunCancellation, run_id: str) -> bytes:
        """A RunCancelled."""
        caller = writer.caller
        self._asker(request, caller, asked.user_id)
        turn = Turn(
            session_id=asked.session_id,
            decide=Cancel(asked, run_id, caller).decide,
            nonce=writer.nonce,
            run_id=run_id,
            cancels=True,
            traceparent=traceparent(request),
            follows_successor=False,
        )
        return await self._group_commit.submit(turn)

    def _asker(self, request: Request, caller: Caller, user_id: str) -> Asker:
        """Who writes. RateLimited when it is too often."""
        asker = self._bounds.asker(request, user_id=caller.subject or user_id, signed=caller.signed)
        if caller.subject is None:  # of a subject all requests were counted when its token was read
            self._bounds.check_rate(asker)
        return asker

    async def _committed(self, turn: Turn, asker: Asker) -> bytes:
        answer = await self._group_commit.submit(turn)
        if turn.allowance is not None:
            await self._bounds.count_sessions(asker, turn.allowance.opened)
        return answer


def keyed(request: Request, scope: str, body: bytes) -> Idempotency | None:
    """By the client's key. None: it gave none."""
    key = requests.header(request, KEY.name, max_length=MAX_KEY_LENGTH)
    if key is None:
        return None
    if not key.strip():
        raise InvalidRequest(f"{KEY.name}: expected 1 to {MAX_KEY_LENGTH} characters")
    return Idempotency(scope, f"key:{key}", hashlib.sha256(body).digest())

"""A turn: one thing that happens to a session, with what must be looked up before it can decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from uniassist.errors import RateLimited
from uniassist.gateway.turns.draft import Draft
from uniassist.store.ledger import Opening, RunFacts


@dataclass(frozen=True)
class Idempotency:
    """What makes a repeated request the same one: the first answer is kept and given again.

    `scope`: whose key it is, and of which call.
    `key`: the client's, or made of what the request is about.
    `body_hash`: another one under the same key is refused. Empty: any body will do, since a channel writes the same
    message differently when it pushes it again.
    """

    scope: str
    key: str
    body_hash: bytes = b""


@dataclass
class Allowance:
    """Whether a turn may open a session. `wait_seconds`: how long not; 0: it may. `opened`: how many it did."""

    wait_seconds: int = 0
    opened: int = 0

    def note(self, opened: int) -> None:
        """RateLimited. A turn may be decided again, so the last one counts."""
        if opened and self.wait_seconds:
            raise RateLimited(
                "sessionId: too many sessions were opened in this hour; an open one is taken",
                retry_after_seconds=self.wait_seconds,
            )
        self.opened = opened


@dataclass(frozen=True)
class Turn:
    """One thing that happens to a session.

    `session_id`: the session that the request names.
    `decide`: returns the answer as bytes. When it raises, nothing of the turn is written, not even its nonce.
    `opening`: how the session begins, should there be none; None: there must be one, or SessionNotFound.
    `nonce`: used up by this turn.
    `idempotency`: None: a repeated request is another one.
    `run_id`: the run whose facts `decide` gets.
    `call_id`: the provider call that this turn answers, whose lease must still be ours.
    `cancels`: `decide` also gets the calls that the run's provider owes an answer to.
    `ends_call`: the answer is complete with this turn; False: there is more to come.
    `traceparent`: of the rows that the turn adds.
    `follows_successor`: the turn goes to the newest session of the line; False: to the one that it names.
    `size_bytes`: of the request's body, for the bound on what waits.
    `allowance`: None: it may open what it likes.
    """

    session_id: str
    decide: Callable[[Draft, RunFacts | None], bytes]
    opening: Opening | None = None
    nonce: str | None = None
    idempotency: Idempotency | None = None
    run_id: str | None = None
    call_id: str | None = None
    cancels: bool = False
    ends_call: bool = True
    traceparent: str | None = None
    follows_successor: bool = True
    size_bytes: int = 0
    allowance: Allowance | None = None

    @property
    def scoped_key(self) -> tuple[str, str] | None:
        return None if self.idempotency is None else (self.idempotency.scope, self.idempotency.key)

    @property
    def may_go_alone(self) -> bool:
        """It begins or goes on with a session. What others ask for (a run, a call's lease) needs a lock."""
        return self.opening is not None and self.run_id is None and self.call_id is None

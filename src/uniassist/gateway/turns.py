"""What the ledger commits: a turn names its session and decides, without any I/O, what happens in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from uniassist.gateway.draft import Draft
from uniassist.store.ledger import Opening, RunFacts


@dataclass(frozen=True)
class Idempotency:
    """A kept answer is given again for the same (scope, key); with another body hash it is refused.

    An empty `body_hash` compares equal to any: a channel pushes the same message in new clothes.
    """

    scope: str
    key: str
    body_hash: bytes = b""


@dataclass(frozen=True)
class Turn:
    """`decide` returns the answer as bytes, or raises: then nothing of the turn is written, nor of its nonce.

    `opening` None: the session must exist (`unknown` is called otherwise and raises). `run_id` asks for the
    facts of a run, `call_id` for the fence: the lease of that provider call must still be ours. `size_bytes`: of
    the body, for the bounds on what waits.
    """

    session_id: str
    decide: Callable[[Draft, RunFacts | None], bytes]
    opening: Opening | None = None
    nonce: str | None = None
    idempotency: Idempotency | None = None
    run_id: str | None = None
    call_id: str | None = None
    traceparent: str | None = None
    follows_successor: bool = True
    size_bytes: int = 0

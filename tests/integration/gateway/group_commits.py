"""A gateway's group commit without the rest of it."""

from __future__ import annotations

from collections.abc import Callable

from uniassist.gateway.turns.group_commit import GroupCommit
from uniassist.store.ledger import Rows
from uniassist.store.server.pool import Pool

OWNER = "gateway-under-test"


def group_commit_of(
    pool: Pool,
    after_commit: Callable[[Rows], None] = lambda _rows: None,
    *,
    owner: str = OWNER,
    lease_seconds: float = 60.0,
    queue_size: int = 100,
) -> GroupCommit:
    """Not started yet: what is submitted waits."""
    return GroupCommit(
        pool,
        owner=owner,
        queue_size=queue_size,
        lease_seconds=lease_seconds,
        max_attempts=12,
        after_commit=after_commit,
    )

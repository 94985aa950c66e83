"""Streams of one are counted while they are open, and few of them are of sessions that nobody knows."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from uniassist.errors import Away, RateLimited
from uniassist.gateway.bounds.open_streams import OpenStreams


class Sessions:
    """Those that exist. `asked`: how often somebody looked."""

    def __init__(self, *known: str) -> None:
        self.names = set(known)
        self.asked = 0

    async def known(self, session_ids: Collection[str]) -> Collection[str]:
        self.asked += 1
        return self.names & set(session_ids)


async def test_so_many_at_a_time_of_each() -> None:
    streams, sessions = OpenStreams(2, 0), Sessions()
    places = [await streams.take("anna", "s", sessions.known) for _ in range(2)]
    with pytest.raises(RateLimited, match="at most 2 streams"):
        await streams.take("anna", "s", sessions.known)
    await streams.take("bert", "s", sessions.known)
    places[0].give_back()
    places[0].give_back()
    await streams.take("anna", "s", sessions.known)
    with pytest.raises(RateLimited):
        await streams.take("anna", "s", sessions.known)
    assert sessions.asked == 0


async def test_few_of_sessions_that_nobody_knows_and_any_number_of_others() -> None:
    streams, sessions = OpenStreams(0, 2), Sessions(*(f"known-{number}" for number in range(50)))
    for number in range(50):
        await streams.take("anna", f"known-{number}", sessions.known)
    unknown = [await streams.take("anna", f"unknown-{number}", sessions.known) for number in range(2)]
    with pytest.raises(RateLimited, match="don't exist yet"):
        await streams.take("anna", "unknown-2", sessions.known)
    sessions.names.add("unknown-0")
    await streams.take("anna", "unknown-3", sessions.known)
    unknown[1].give_back()
    await streams.take("anna", "unknown-4", sessions.known)


async def test_a_look_that_fails_leaves_no_place_taken() -> None:
    async def away(_: Collection[str]) -> Collection[str]:
        raise Away("postgres")

    streams, sessions = OpenStreams(3, 1), Sessions("a")
    first = await streams.take("anna", "a", sessions.known)
    for _ in range(5):
        with pytest.raises(Away):
            await streams.take("anna", "b", away)
    first.give_back()
    assert not streams._open, "nothing is kept of who has no stream"

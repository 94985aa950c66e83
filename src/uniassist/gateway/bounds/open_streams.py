"""How many event streams somebody holds open here, and how many of them are of sessions that nobody knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import TypeAlias

from uniassist.errors import RateLimited

RETRY_SECONDS = 5
# Those of the sessions that exist, and that the asker may see.
Known: TypeAlias = Callable[[Collection[str]], Awaitable[Collection[str]]]


class Place:
    """A stream's, until it is given back; twice does no harm. `known`: its session exists."""

    def __init__(self, session_id: str, places: set[Place], given_back: Callable[[], None]) -> None:
        self.session_id = session_id
        self.known = False
        self._places = places
        self._given_back = given_back
        places.add(self)

    def give_back(self) -> None:
        self._places.discard(self)
        self._given_back()


class OpenStreams:
    """The streams of each. `limit` of one; `unknown`: of sessions that don't exist yet; 0: no limit.

    Clients follow a session before their first input makes it, so some such there must be. Who has no more than
    `unknown` streams costs no look at the database.
    """

    def __init__(self, limit: int, unknown: int) -> None:
        self._limit = limit
        self._unknown = unknown
        self._open: defaultdict[str, set[Place]] = defaultdict(set)

    async def take(self, who: str, session_id: str, known: Known) -> Place:
        """RateLimited."""
        places = self._open[who]
        if self._limit and len(places) >= self._limit:
            raise _too_many(f"at most {self._limit} streams at a time")
        place = Place(session_id, places, partial(self._forget_if_empty, who))
        try:
            if self._unknown and self._doubtful(places) > self._unknown:
                await self._check_known(places, known)
        except BaseException:
            place.give_back()
            raise
        return place

    def _doubtful(self, places: set[Place]) -> int:
        return sum(not place.known for place in places)

    async def _check_known(self, places: set[Place], known: Known) -> None:
        asked = {place.session_id for place in places if not place.known}
        found = set(await known(asked))
        for place in places:
            place.known = place.known or place.session_id in found
        if self._doubtful(places) > self._unknown:
            raise _too_many(
                f"at most {self._unknown} streams of sessions that don't exist yet; send an input first"
            )

    def _forget_if_empty(self, who: str) -> None:
        if not self._open.get(who, True):
            del self._open[who]


def _too_many(words: str) -> RateLimited:
    return RateLimited(f"sessionId: {words}", retry_after_seconds=RETRY_SECONDS)

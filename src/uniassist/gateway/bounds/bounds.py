"""The bounds of a gateway, asked in the order in which a request goes by: its address, its user, what it stores."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request

from uniassist.errors import RateLimited
from uniassist.gateway.bounds.open_streams import OpenStreams, Place
from uniassist.gateway.bounds.rate_limit import RateLimit
from uniassist.gateway.bounds.usage import Usage
from uniassist.gateway.turns.turn import Allowance
from uniassist.store import timeline, usage
from uniassist.store.server.pool import Pool
from uniassist.web.client_address import ClientAddresses

DAY_SECONDS, HOUR_SECONDS = 86_400, 3_600


@dataclass(frozen=True)
class Limits:
    """Of one user or one address; each 0: no limit. `rate`: requests a second; of a user, inputs.

    `streams`: open at a time, in this gateway. `day_bytes`: of bodies that are stored. `hour_sessions`: opened.
    """

    rate: int
    streams: int
    day_bytes: int
    hour_sessions: int


@dataclass(frozen=True)
class Asker:
    """Whose a request is: a user and an address, as keys. `address` None: none that is limited."""

    user: str
    address: str | None


class Bounds:
    """What users and addresses may take.

    `unknown_streams`: of one user, of sessions that don't exist yet; of an address where there is no user.
    Channels, which are known by their signature, have users but no address: all their people come from one.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        user: Limits,
        address: Limits,
        unknown_streams: int,
        addresses: ClientAddresses,
    ) -> None:
        self._pool = pool
        self._addresses = addresses
        self._user_rate, self._address_rate = RateLimit(user.rate), RateLimit(address.rate)
        self._user_streams = OpenStreams(user.streams, unknown_streams)
        self._address_streams = OpenStreams(address.streams, 0)
        self._nobodys_streams = OpenStreams(address.streams, unknown_streams)
        told_bytes, told_sessions = partial(self._tell, "bytes"), partial(self._tell, "sessions")
        self._user_bytes = Usage(user.day_bytes, DAY_SECONDS, told_bytes)
        self._address_bytes = Usage(address.day_bytes, DAY_SECONDS, told_bytes)
        self._user_sessions = Usage(user.hour_sessions, HOUR_SECONDS, told_sessions)
        self._address_sessions = Usage(address.hour_sessions, HOUR_SECONDS, told_sessions)

    def check_address(self, request: Request) -> None:
        """RateLimited for an address that asks too often, before anything else is looked at."""
        address = self._addresses.of(request)
        if address is not None and (wait := self._address_rate.take(address, time.monotonic())):
            raise RateLimited("address: too many requests from it; try again", retry_after_seconds=wait)

    def asker(self, request: Request, *, user_id: str, signed: bool) -> Asker:
        # of a kind each: what an unsigned caller says of a channel's user costs that user nothing
        address = None if signed else self._addresses.of(request)
        return Asker(
            f"{'signed' if signed else 'app'}:{user_id}", None if address is None else f"address:{address}"
        )

    def check_subject(self, subject: str) -> None:
        """RateLimited for a token's subject that asks too often, whatever it asks; before its body is read."""
        if wait := self._user_rate.take(f"app:{subject}", time.monotonic()):
            raise RateLimited("Authorization: too many requests of this user; try again", retry_after_seconds=wait)

    def check_rate(self, asker: Asker) -> None:
        """RateLimited for a user without a token who writes too often."""
        if wait := self._user_rate.take(asker.user, time.monotonic()):
            raise RateLimited("userId: too many inputs of this user; try again", retry_after_seconds=wait)

    async def allow(self, asker: Asker, size_bytes: int) -> Allowance:
        """Counts what is to be stored, and says whether a session may be opened for it. RateLimited."""
        now = time.time()
        if wait := await self._user_bytes.add(asker.user, size_bytes, now):
            raise RateLimited("userId: no more may be stored for this user today", retry_after_seconds=wait)
        if asker.address is not None and (wait := await self._address_bytes.add(asker.address, size_bytes, now)):
            raise RateLimited("address: no more may be stored from it today", retry_after_seconds=wait)
        wait = self._user_sessions.wait_seconds(asker.user, now)
        if not wait and asker.address is not None:
            wait = self._address_sessions.wait_seconds(asker.address, now)
        return Allowance(wait_seconds=wait)

    async def count_sessions(self, asker: Asker, opened: int) -> None:
        """After the commit, with what it opened."""
        if opened:
            now = time.time()
            await self._user_sessions.add(asker.user, opened, now)
            if asker.address is not None:
                await self._address_sessions.add(asker.address, opened, now)

    async def stream_place(self, request: Request, session_id: str, *, subject: str | None) -> list[Place]:
        """A place for a stream, with its user and its address; all of them have to be given back. RateLimited.

        `subject`: whose it is; None where apps need no token.
        """
        address, places = self._addresses.of(request), list[Place]()
        known = partial(self._known, subject)
        try:
            if subject is not None:
                places.append(await self._user_streams.take(subject, session_id, known))
            if address is not None:
                of_address = self._address_streams if subject is not None else self._nobodys_streams
                places.append(await of_address.take(address, session_id, known))
        except BaseException:
            give_back(places)
            raise
        return places

    async def _known(self, subject: str | None, session_ids: Collection[str]) -> Collection[str]:
        return await timeline.known(self._pool, session_ids, subject=subject)

    async def _tell(self, what: str, who: str, window: dt.datetime, amount: int) -> int:
        return await usage.add(self._pool, who, what, window, amount)


def give_back(places: Collection[Place]) -> None:
    for place in places:
        place.give_back()

"""A client of Redis for each lane: on a Cluster one each, connected to the node of its slot; else one for all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from uniassist.errors import ServerFault, SettingsError
from uniassist.settings.redis_url import parsed
from uniassist.streams.client import Redis, connect, create_client
from uniassist.streams.lanes import Lane, Layout
from uniassist.streams.proof import prove_writing

T = TypeVar("T")


class LaneClients:
    """`options`: those of `create_client`; `is_command`: a wrong URL is one fault of many (`connect`)."""

    def __init__(self, url: str, layout: Layout, *, is_command: bool = False, **options: Any) -> None:
        make = partial(connect if is_command else create_client, url, **options)
        self.layout = layout
        first, *others = layout.lanes
        self._clients = {first: make(lane=first)}  # raises what the URL lacks
        is_cluster = bool(others) and parsed(url).is_cluster
        self._clients |= {lane: make(lane=lane) if is_cluster else self.first for lane in others}

    @classmethod
    def to_look(cls, url: str, **options: Any) -> LaneClients:
        """For a look at all that the URL leads to, whatever the streams are called. AccessRefused: a wrong URL."""
        try:
            layout = Layout("", "", parsed(url).lanes)
        except SettingsError:
            layout = Layout("", "")  # what is wrong comes out as for one server
        return cls(url, layout, is_command=True, **options)

    @property
    def first(self) -> Redis:
        """For channels, which are the same on all nodes."""
        return self._clients[self.layout.lanes[0]]

    def __iter__(self) -> Iterator[tuple[Lane, Redis]]:
        return iter(self._clients.items())

    async def each(self, look: Callable[[Redis, Lane], Awaitable[T]]) -> list[T]:
        """What `look` finds in each lane, in their order. A ServerFault says of which lane nothing can be found.

        It is raised once all have ended: a look that is left alone loses its client, and what it wrote stays.
        """
        looks = (_looked(look, redis, lane) for lane, redis in self)
        found = await asyncio.gather(*looks, return_exceptions=True)
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return [each for each in found if not isinstance(each, BaseException)]

    def of(self, lane: Lane) -> Redis:
        return self._clients[lane]

    def of_session(self, session_id: str) -> tuple[Lane, Redis]:
        lane = self.layout.lane_of(session_id)
        return lane, self._clients[lane]

    async def prove_writing(self) -> None:
        """A ServerFault says of which lane nothing can be written, and why."""
        await self.each(_prove)

    async def aclose(self) -> None:
        for client in dict.fromkeys(self._clients.values()):
            await client.aclose()

    async def __aenter__(self) -> LaneClients:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def prove_lane(redis: Redis, lane: Lane) -> None:
    await _looked(_prove, redis, lane)


async def _prove(redis: Redis, lane: Lane) -> None:
    await prove_writing(redis, lane.proof_key)


async def _looked(look: Callable[[Redis, Lane], Awaitable[T]], redis: Redis, lane: Lane) -> T:
    try:
        return await look(redis, lane)
    except ServerFault as fault:
        if not lane.name:
            raise
        raise _in_lane(fault, lane) from fault


def _in_lane(fault: ServerFault, lane: Lane) -> ServerFault:
    reason = f"{lane.name}, {fault.reason}" if fault.reason else lane.name
    return type(fault)(fault.server, reason, said=fault.said)

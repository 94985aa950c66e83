"""The nodes of a Cluster: connections of a lane go to whichever node has its slot at each connecting.

No redirection of a single key is followed: a node that hasn't the slot, or is giving it away, refuses the command,
which nobody has run then, and who asked tries again. So a lane is never half on one node and half on another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from redis import asyncio as driver
from redis.asyncio.connection import Connection, SSLConnection

from uniassist.errors import AccessRefused, Away, ServerFault
from uniassist.streams.outage import CommandRejected, RedisEdge

ASK_SECONDS = 1.0
_execute: Callable[..., Awaitable[Any]] = driver.Redis.execute_command
_close: Callable[..., Awaitable[None]] = driver.Redis.aclose
_Address = tuple[str, int]


class Nodes:
    """Those of one Cluster, asked in turn who has `slot`: the next one each time, for one may be wrong or away.

    `options`: of a connection to any of them.
    """

    def __init__(self, given: Sequence[_Address], slot: int, *, is_tls: bool, options: Mapping[str, Any]) -> None:
        self._given = list(given)
        self._known = list(given)
        self._slot = slot
        self._kind = SSLConnection if is_tls else Connection
        self._options = options

    async def owner(self) -> _Address:
        """Outage: no node can be asked, or none has the slot."""
        faults: list[ServerFault] = []
        for _ in range(len(self._known)):
            asked = self._known.pop(0)
            self._known.append(asked)  # before the answer, which nobody may wait for
            try:
                slots = await self._ask(asked)
            except ServerFault as fault:
                faults.append(fault)
                continue
            nodes = {_address(node, asked) for each in slots for node in each[2:]}
            fresh = [node for node in self._known if node in nodes] + sorted(nodes - {*self._known})
            self._known = fresh + [node for node in self._given if node not in nodes]
            for first, last, primary, *_ in slots:
                if first <= self._slot <= last:
                    return _address(primary, asked)
            faults.append(Away("redis", "a Cluster without a node for the slot", said=f"slot {self._slot}"))
        raise faults[0] if len({str(fault) for fault in faults}) == 1 else _of_all(faults)

    async def _ask(self, node: _Address) -> list[Any]:
        host, port = node
        pool = driver.ConnectionPool(connection_class=self._kind, host=host, port=port, **self._options)
        client = driver.Redis.from_pool(pool)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                with RedisEdge(("CLUSTER", "SLOTS")):
                    return cast("list[Any]", await _execute(client, "CLUSTER", "SLOTS"))
        except TimeoutError:
            raise Away("redis", "no answer in time") from None
        except CommandRejected as error:
            raise AccessRefused("redis", "no Cluster, though REDIS_URL says one", said=error.said) from None
        finally:
            await _close(client)


def _of_all(faults: Sequence[ServerFault]) -> ServerFault:
    """A refusal before an absence: somebody has to do something about it."""
    refused = [fault for fault in faults if not isinstance(fault, Away)]
    return refused[0] if refused else Away("redis", faults[-1].reason, said="; ".join(map(str, faults)))


def _address(node: Sequence[Any], asked: _Address) -> _Address:
    """A node that doesn't know its own address is where it was asked."""
    host = node[0].decode() if isinstance(node[0], bytes) else node[0]
    return (asked[0] if host in (None, "", "?") else host), int(node[1])


class SlotConnection(Connection):
    """To the node that has the slot when it connects."""

    def __init__(self, *, nodes: Nodes, **options: Any) -> None:
        self._nodes = nodes
        super().__init__(**options)

    async def _connect(self) -> None:
        self.host, self.port = await self._nodes.owner()
        connect: Callable[[], Awaitable[None]] = super()._connect
        await connect()


class SlotSslConnection(SlotConnection, SSLConnection):
    pass

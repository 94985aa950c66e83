"""The Sentinels of a service, asked for its primary: each one's answer, or why there is none, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from redis.asyncio.sentinel import MasterNotFoundError, Sentinel

from uniassist.errors import AccessRefused, NoPermission, Outage, ServerFault
from uniassist.streams.outage import RedisEdge

_EDGE = RedisEdge()


class Sentinels(Sentinel):
    """As the driver's, but for one that refuses us: the driver takes it for one that is away, and says no more."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the primary. Outage: none of them knows it, or lets us ask."""
        faults: list[ServerFault] = []
        for number, asked in enumerate(self.sentinels):
            try:
                with _EDGE:
                    known = cast(Mapping[str, dict[str, Any]], await asked.sentinel_masters())
            except ServerFault as fault:
                faults.append(fault)
                continue
            state = known.get(service_name)
            if state and self.check_master_state(state, service_name):
                self.sentinels[0], self.sentinels[number] = asked, self.sentinels[0]  # asked first the next time
                return str(state["ip"]), int(state["port"])
        for met in faults:
            if isinstance(met, AccessRefused | NoPermission):
                raise _of_sentinel(met)
        raise MasterNotFoundError("; ".join(map(str, faults)) or f"none of them knows {service_name}")


def _of_sentinel(fault: Outage) -> Outage:
    return type(fault)("redis", f"a Sentinel: {fault.reason}" if fault.reason else "a Sentinel", said=fault.said)

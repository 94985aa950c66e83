"""Text that is being written, between gateways that are connected to different nodes of a Cluster."""

from __future__ import annotations

import pytest
from tests.integration.cluster.conftest import LANES
from tests.integration.delivery.outbox_rows import PREFIX
from tests.integration.gateway.streaming.test_live_exchange import KEY, gateway
from tests.redis_cluster import Cluster
from tests.waiting import eventually

from uniassist.gateway.live import exchange
from uniassist.streams.lanes import FIRST_TAG, slot_of


async def test_it_crosses_though_no_node_counts_the_others_listeners(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway stays with the node that it found; one that starts after the slot moved finds another."""
    monkeypatch.setattr(exchange, "UNHEARD_SECONDS", 3600.0)
    slot, url = slot_of(FIRST_TAG), cluster.url(lanes=LANES)
    before = cluster.owner(slot)
    async with gateway(url, "a", follows=None, prefix=PREFIX) as a:
        await eventually(lambda: not a.exchange._tells_all, "text is told by session")
        a.write("0 ")
        await eventually(a.is_told, "it was told to nobody")
        await cluster.move_at_once(slot, next(node for node in cluster.nodes if node is not before))
        async with gateway(url, "b", prefix=PREFIX) as b:
            await eventually(lambda: not b.exchange._tells_all, "it has looked as well")
            for number in range(1, 10):
                a.write(f"{number} ")
                await eventually(lambda: b.text() == a.text(), "it crossed")
            assert cluster.ask(before, "PUBSUB", "CHANNELS", f"{PREFIX}moved:s") == []
            a.board.end("s", KEY, 1)
            await eventually(lambda: b.text() is None, "its end crossed")

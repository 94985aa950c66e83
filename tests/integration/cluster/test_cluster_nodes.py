"""Who of a Cluster's nodes is asked where a slot is, and what is said when nobody knows."""

from __future__ import annotations

import pytest
from tests.ports import free_port
from tests.redis_cluster import Cluster

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.errors import AccessRefused, Away, NoPermission, SettingsError
from uniassist.settings import WorkerSettings
from uniassist.streams.client import connect
from uniassist.streams.lane_clients import LaneClients


async def test_one_server_that_is_called_a_cluster_says_that_it_is_none(redis_server: EmbeddedRedis) -> None:
    async with connect(redis_server.url.replace("redis://", "redis+cluster://")) as redis:
        with pytest.raises(AccessRefused) as caught:
            await redis.get("uniassist-any")
    assert caught.value.words == "redis: refused (no Cluster, though REDIS_URL says one)"


async def test_lanes_of_one_server_are_on_it(redis_url: str) -> None:
    async with LaneClients.to_look(f"{redis_url}?lanes=3") as clients:
        await clients.prove_writing()
        assert await clients.first.exists(*(lane.proof_key for lane, _ in clients)) == 3


async def test_nodes_that_are_away_are_passed_over_and_all_of_them_are_away_together(cluster: Cluster) -> None:
    gone = f"127.0.0.1:{free_port()}"
    async with connect(cluster.url(lanes=1).replace("@", f"@{gone},")) as redis:
        await redis.set("uniassist{0}", "1")
    async with connect(f"redis+cluster://{gone},127.0.0.1:{free_port()}") as redis:
        with pytest.raises(Away) as caught:
            await redis.get("uniassist-any")
    assert caught.value.words == "redis: away (connection refused)"


async def test_a_node_that_lets_us_not_ask_is_named_with_the_right_that_lacks(cluster: Cluster) -> None:
    for node in cluster.nodes:
        cluster.ask(node, "ACL", "SETUSER", "low", "on", ">low-0123456789", "+@all", "-cluster", "~*")
    async with connect(cluster.url(lanes=1).replace("uniassist:server", "low:low")) as redis:
        with pytest.raises(NoPermission) as caught:
            await redis.get("uniassist-any")
    assert "needed: CLUSTER SLOTS" in str(caught.value)


@pytest.mark.parametrize("name", ["UNIASSIST_STREAM_PREFIX", "UNIASSIST_STREAM_GLOBAL_KEY"])
def test_names_of_streams_have_no_braces_beside_lanes(name: str, database_url: str) -> None:
    env = {"UNIASSIST_ENV": "test", "DATABASE_URL": database_url, name: "mine{1}:"}
    WorkerSettings.from_env({**env, "REDIS_URL": "redis://localhost"})
    for url in ("redis://localhost?lanes=2", "redis+cluster://localhost"):
        with pytest.raises(SettingsError, match=f"^{name}: expected no brace"):
            WorkerSettings.from_env({**env, "REDIS_URL": url})

"""Who else reads the lanes or works on them: the WeChat adapter's group, and a drill of the worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.integration.cluster.conftest import LANES, streams_of
from tests.integration.delivery.outbox_rows import GROUP, opened
from tests.integration.release.commands import Command
from tests.processes import ServiceProcess
from tests.redis_cluster import Cluster
from tests.waiting import eventually

from uniassist.streams.client import Redis
from uniassist.streams.group import WECHAT_GROUP
from uniassist.streams.lanes import Lane
from uniassist.streams.stream_groups import look


async def has_read(redis: Redis, lane: Lane) -> bool:
    found = (await look(redis, lane.global_key)).position_of(WECHAT_GROUP)
    return found is not None and found.pending == 0 and found.held_entry is None and found.needed_from > (0, 1)


async def test_wechats_group_reads_every_lane_and_a_drill_is_of_the_lane_of_its_session(
    cluster: Cluster, start_on: Callable[..., ServiceProcess], database_url: str, tmp_path: Path
) -> None:
    start_on("worker", cluster)
    start_on("adapter-wechat", cluster, GATEWAY_URL="http://127.0.0.1:1", WECHAT_MEDIA_DIR=str(tmp_path / "media"))
    async with opened(database_url, cluster.nodes[0].url) as outbox, streams_of(cluster) as streams:
        for number in range(8):
            await outbox.write_turn(f"session-{number}", 2)
        await outbox.all_consumed()

        async def all_read() -> bool:
            return all(await streams.clients.each(has_read))

        await eventually(all_read, "WeChat's group has read every lane")
        env = {
            "UNIASSIST_ENV": "staging",
            "DATABASE_URL": database_url,
            "REDIS_URL": cluster.url(lanes=LANES),
            "UNIASSIST_STREAM_GROUP": GROUP,
            "WORKER_DRILL_MODE": "live",
            "WORKER_DRILL_OUTPUT_PATH": str(tmp_path / "drill.md"),
        }
        ended = Command(tmp_path)("drill", "worker", **env)
        assert ended.code == 0, ended.said
        assert "left: nothing" in (tmp_path / "drill.md").read_text()
        assert [cluster.ask(node, "KEYS", "*drill*") for node in cluster.nodes] == [[], [], []]

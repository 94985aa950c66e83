"""Each service and command with no more rights on Redis than docs/servers.md grants it; what lacks is named."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.integration.delivery.asking import health, uniassist
from tests.integration.delivery.outbox_rows import opened
from tests.integration.gateway.client import GatewayClient, message
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack import doctor
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.errors import NoPermission
from uniassist.release.checks.servers import check_redis
from uniassist.streams import epoch as epochs
from uniassist.streams import wake
from uniassist.streams.client import connect
from uniassist.streams.group import Group
from uniassist.web.calling.client import JsonClient

Start = Callable[..., ServiceProcess]
PASSWORD = "server-0123456789"
DOCUMENT = Path(__file__).parents[3] / "docs" / "servers.md"
RIGHTS = dict(re.findall(r"^ACL SETUSER (\S+) on >PASSWORD (.+)$", DOCUMENT.read_text("utf-8"), re.MULTILINE))
NO_PERMISSION = "no permission"


@dataclass(frozen=True)
class Guarded:
    """A server with the users of the document, and no other way in than theirs and the operator's."""

    server: EmbeddedRedis

    def url(self, user: str) -> str:
        return self.server.url.replace("redis://", f"redis://{user}:{PASSWORD}@")

    def ask(self, *command: str) -> Any:
        with Redis.from_url(self.server.url, decode_responses=True) as admin:
            return admin.execute_command(*command)

    def refused(self) -> list[str]:
        """What users were refused since the start, but for the drivers' introducing themselves, which may fail."""
        found = [(each["username"], each["object"]) for each in self.ask("ACL LOG")]
        return [f"{user}: {what}" for user, what in found if what != "client"]


@pytest.fixture
def redis(own_redis: EmbeddedRedis) -> Guarded:
    found = Guarded(own_redis)
    for user, rights in RIGHTS.items():
        found.ask("ACL", "SETUSER", user, "on", f">{PASSWORD}", *rights.split())
    return found


async def test_each_service_is_content_with_its_own(service: Start, redis: Guarded, database_url: str) -> None:
    gateway = service("gateway", DATABASE_URL=database_url, REDIS_URL=redis.url("uniassist-gateway"))
    worker = service("worker", DATABASE_URL=database_url, REDIS_URL=redis.url("uniassist-worker"))
    env = {"GATEWAY_URL": gateway.url, "WECHAT_APP_ID": "wx0", "WECHAT_APP_SECRET": "secret"}
    wechat = service("adapter-wechat", DATABASE_URL=database_url, REDIS_URL=redis.url("uniassist-wechat"), **env)
    async with JsonClient() as client, opened(database_url, redis.server.url) as outbox:
        await asyncio.gather(*(GatewayClient(client, gateway.url).ingest(message("你好")) for _ in range(10)))
        await outbox.all_consumed()
        for each in (gateway, worker, wechat):
            await eventually(partial(tells, each, 200, "ok"), f"{each.name} is well", 10)
        redis.ask("FLUSHALL")  # a new epoch, all published again
        await asyncio.gather(*(GatewayClient(client, gateway.url).ingest(message("你好")) for _ in range(10)))
        await outbox.all_consumed()

        async def read_by_wechat() -> bool:
            groups = await outbox.redis.xinfo_groups("uniassist:timeline:all")
            return len(groups) == 2 and all(group["pending"] == 0 for group in groups)

        await eventually(read_by_wechat, "both groups have read all")
    assert redis.refused() == []


async def test_commands_are_content_with_the_first(redis: Guarded, database_url: str) -> None:
    url = redis.url("uniassist")
    async with connect(url) as own:
        await epochs.read(own, "uniassist:timeline:all")
        await own.xadd("uniassist:timeline:all", {"a": "b"})
        await Group(own, key="uniassist:timeline:all", name="g", consumer="c").ensure()
    assert (await asyncio.to_thread(doctor.streams, url)).level == "ok"
    await check_redis(url)
    stats = await uniassist("outbox", "stats", "--json", database_url=database_url, REDIS_URL=url)
    assert (stats.code, stats.json["stream"].get("problem")) == (0, None)
    assert redis.refused() == []


async def tells(service: ServiceProcess, status: int, said: str) -> bool:
    found, checks = await health(service)
    return (found, checks["redis"]) == (status, said)


@pytest.mark.parametrize(
    ("taken", "ask", "needed"),
    [
        ("-set", lambda redis: redis.set("uniassist-proof", b""), "SET uniassist-proof"),
        ("-xadd", lambda redis: redis.xadd("uniassist:timeline:s:1", {"a": "b"}), "XADD uniassist:timeline:*"),
        ("-get", lambda redis: epochs.read(redis, "uniassist:timeline:all"), "GET uniassist-epoch:uniassist:*"),
        ("-info", lambda redis: epochs.read(redis, "uniassist:timeline:all"), "INFO"),
        ("-publish", lambda redis: wake.publish(redis, "uniassist:timeline:", {}), "PUBLISH uniassist:timeline:*"),
        (
            "-xgroup",
            lambda redis: Group(redis, key="uniassist:timeline:all", name="g", consumer="c").ensure(),
            "XGROUP CREATE uniassist:timeline:*",
        ),
        (
            "-xreadgroup",
            lambda redis: Group(redis, key="uniassist:timeline:all", name="g", consumer="c").read_new(
                count=1, block_ms=1
            ),
            "XREADGROUP uniassist:timeline:*",
        ),
        (
            "-evalsha",
            lambda redis: redis.register_script("return 1")(keys=["uniassist:a:b"]),
            "EVALSHA uniassist:a:*",
        ),
        (
            "-exists",
            lambda redis: Group(redis, key="uniassist:timeline:all", name="g", consumer="c").ensure(),
            "EXISTS uniassist:timeline:*",
        ),
        ("resetkeys", lambda redis: redis.set("uniassist-proof", b""), "SET uniassist-proof"),
        ("resetchannels", lambda redis: wake.publish(redis, "uniassist:x:", {}), "PUBLISH uniassist:x:*"),
    ],
)
async def test_what_lacks_is_named(redis: Guarded, taken: str, ask: Callable[[Any], Any], needed: str) -> None:
    redis.ask("ACL", "SETUSER", "uniassist", *taken.split())
    async with connect(redis.url("uniassist")) as own:
        with pytest.raises(NoPermission) as caught:
            await ask(own)
    assert caught.value.words == "redis: no permission"
    assert caught.value.said.endswith(f"; needed: {needed}")


async def test_a_service_says_so_at_its_start_and_later(service: Start, redis: Guarded, database_url: str) -> None:
    redis.ask("ACL", "SETUSER", "uniassist", "-set")
    worker = service("worker", DATABASE_URL=database_url, REDIS_URL=redis.url("uniassist"))
    await eventually(partial(tells, worker, 503, NO_PERMISSION), "it says so", 20)

    def logged(*needed: str) -> bool:
        log = worker.process.log.read_text("utf-8")
        return any(each in log for each in needed)

    await eventually(partial(logged, "needed: SET uniassist-proof"), "its log names what it needs", 10)
    redis.ask("ACL", "SETUSER", "uniassist", "+set")
    await eventually(partial(tells, worker, 200, "ok"), "it is well", 20)
    async with opened(database_url, redis.server.url) as outbox:
        # The second within a script, where the error has no code of its own, and older servers name nothing.
        in_script = ("run the 'xadd' command", "The user executing the script can't run")
        for name, needed in (("xreadgroup", ("needed: XREADGROUP uniassist:timeline:*",)), ("xadd", in_script)):
            redis.ask("ACL", "SETUSER", "uniassist", f"-{name}")
            (event,) = await outbox.write_turn(name, 1)
            await eventually(partial(logged, *needed), "its log names what it needs", 10)
            assert (await outbox.row(event))["attempts"] == 0, "it isn't the event's fault"
            redis.ask("ACL", "SETUSER", "uniassist", f"+{name}")
            await outbox.all_consumed(deadline_seconds=20)


def test_the_document_grants_no_user_what_is_dangerous() -> None:
    assert set(RIGHTS) >= {"uniassist", "uniassist-gateway", "uniassist-worker", "uniassist-wechat"}
    for rights in RIGHTS.values():
        assert "-@dangerous +info ~uniassist* resetchannels &uniassist*" in rights

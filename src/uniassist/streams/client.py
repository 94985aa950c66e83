"""The client of Redis: the edge where the driver's errors become ours, for all who use Redis at all."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import hiredis
from redis import asyncio as driver
from redis import exceptions
from redis.asyncio import client as parts
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.typing import EncodableT

from uniassist.errors import AccessRefused, Cut, Moved, Outage, ReadOnly, SettingsError
from uniassist.settings.redis_url import RedisUrl
from uniassist.streams import url as urls
from uniassist.streams.cluster import Nodes, SlotConnection, SlotSslConnection
from uniassist.streams.lanes import FIRST_TAG, Lane, slot_of
from uniassist.streams.outage import ASKED, NO_CLUSTER, RedisEdge
from uniassist.streams.sentinels import Sentinels

CONNECT_SECONDS = 2.0
_EDGE = RedisEdge()
# The driver's own have no types.
_pack: Callable[..., bytes] = hiredis.pack_command
_sentinels: Callable[..., Sentinels] = Sentinels
_execute: Callable[..., Awaitable[Any]] = driver.Redis.execute_command
_close_client: Callable[..., Awaitable[None]] = driver.Redis.aclose
_close: Callable[[parts.PubSub], Awaitable[None]] = parts.PubSub.aclose


class _Connection(AbstractConnection):
    """Over the driver's class of a pool's connections: a write to one that the server has closed is an error of it.

    uvloop calls that a RuntimeError, which the driver would neither take for a broken connection nor try again.
    Commands are packed by hiredis, which takes half the time for a script's thousands of arguments.
    """

    __slots__ = ()

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """What hiredis doesn't take (a name of two words, a lone surrogate, another type), the driver packs."""
        name = args[0]
        if not isinstance(name, str) or " " in name:
            return super().pack_command(*args)
        try:
            return [_pack(args)]
        except (TypeError, UnicodeError):
            return super().pack_command(*args)

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise exceptions.ConnectionError(str(error)) from error


class Redis(driver.Redis):
    """The driver's, but for its errors: those that `streams.outage` names."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """What a node of a Cluster refused, because another one has the slot, is asked of that one."""
        try:
            return await self._execute_once(*args, **options)
        except Moved:
            return await self._execute_once(*args, **options)

    async def _execute_once(self, *args: Any, **options: Any) -> Any:
        try:
            with RedisEdge(args):
                return await _execute(self, *args, **options)
        except (ReadOnly, Cut, Moved) as fault:
            await _part_from(self.connection_pool)
            raise _as_asked(fault, self.connection_pool) from fault.__cause__

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """With the connections to the Sentinels that were asked, which the driver leaves open."""
        await _close_client(self, close_connection_pool)
        if isinstance(self.connection_pool, SentinelConnectionPool):
            for asked in self.connection_pool.sentinel_manager.sentinels:
                await _close_client(asked)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> parts.Pipeline:
        return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    def pubsub(self, **options: Any) -> PubSub:
        return PubSub(self.connection_pool, **options)


class Pipeline(parts.Pipeline):
    def annotate_exception(self, exception: Exception, number: int, command: Iterable[object]) -> None:
        """Adds nothing to what it says: an error's code is its first word."""
        setattr(exception, ASKED, tuple(command))

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        try:
            with _EDGE:
                return await super().execute(raise_on_error)
        except (ReadOnly, Cut, Moved) as fault:
            await _part_from(self.connection_pool)
            raise _as_asked(fault, self.connection_pool) from fault.__cause__


class PubSub(parts.PubSub):
    async def execute_command(self, *args: Any) -> None:
        with RedisEdge(args):
            await super().execute_command(*args)

    async def parse_response(self, block: bool = True, timeout: float = 0) -> Any:
        with _EDGE:
            return await super().parse_response(block, timeout)

    async def aclose(self) -> None:
        with _EDGE:
            await _close(self)


async def _part_from(pool: driver.ConnectionPool) -> None:
    """Idle connections are made anew, by name. One in use finds out by itself.

    The primary is elsewhere now; or a connection was cut, which goes back among the idle ones without its knowing.
    """
    with contextlib.suppress(exceptions.RedisError, OSError):
        await pool.disconnect(inuse_connections=False)


def _as_asked(fault: Outage, pool: driver.ConnectionPool) -> Outage:
    """One who doesn't know of Clusters looks for no other node."""
    is_lost = isinstance(fault, Moved) and not _is_of_cluster(pool)
    return AccessRefused("redis", NO_CLUSTER, said=fault.said) if is_lost else fault


def _is_of_cluster(pool: driver.ConnectionPool) -> bool:
    return issubclass(pool.connection_class, SlotConnection)


def counts_all_listeners(redis: Redis) -> bool:
    """What PUBLISH answers is how many heard it. A node of a Cluster counts its own connections only."""
    return not _is_of_cluster(redis.connection_pool)


def _by_slot(url: RedisUrl, tag: str, options: dict[str, Any]) -> driver.Redis:
    """Of whichever node of the Cluster has the slot of `tag` at each connecting."""
    once = {**options, "retry": Retry(NoBackoff(), 0), "max_connections": None}
    nodes = Nodes(url.hosts, slot_of(tag), is_tls=url.is_tls, options=once)
    kind: Any = SlotSslConnection if url.is_tls else SlotConnection
    return Redis.from_pool(driver.ConnectionPool(connection_class=kind, nodes=nodes, **options))


def _by_sentinels(url: RedisUrl, service: str, options: dict[str, Any]) -> driver.Redis:
    """Of whichever server the Sentinels call the primary at each connecting."""
    waits = dict.fromkeys(("socket_connect_timeout", "socket_timeout"), CONNECT_SECONDS)
    login = urls.login_options(url.sentinel_user, url.sentinel_password)
    # Without retries: the next Sentinel is asked at once.
    asking = {**waits, "retry": Retry(NoBackoff(), 0), "ssl": url.is_tls, **urls.tls_options(url), **login}
    sentinels = _sentinels(list(url.hosts), sentinel_kwargs=asking)
    client: driver.Redis = sentinels.master_for(service, redis_class=Redis, **options, ssl=url.is_tls)
    return client


def _by_address(url: RedisUrl, options: dict[str, Any]) -> driver.Redis:
    if url.socket is not None:
        kind: Any = driver.UnixDomainSocketConnection
        return Redis.from_pool(driver.ConnectionPool(connection_class=kind, path=url.socket, **options))
    ((host, port),) = url.hosts
    kind = driver.SSLConnection if url.is_tls else driver.Connection
    return Redis.from_pool(driver.ConnectionPool(connection_class=kind, host=host, port=port, **options))


def create_client(
    url: str, *, lane: Lane | None = None, answer_seconds: float = 5.0, max_connections: int | None = None
) -> Redis:
    """For a service: it connects when it is used. `answer_seconds`: above the longest blocking read that it is for.

    lane: whose keys it is for, on a Cluster. None: the first one's; channels are the same on all nodes.
    SettingsError when the URL asks for what we haven't.
    """
    asked = urls.parsed(url)
    options: dict[str, Any] = {
        "db": asked.database,
        **urls.login_options(asked.user, asked.password),
        "client_name": asked.client_name,
        **urls.tls_options(asked),
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": answer_seconds,
        "max_connections": max_connections,
        # Once, for a connection that was dropped while idle; who waits longer for Redis has a loop for it.
        "retry": Retry(NoBackoff(), 1),
    }
    if asked.is_cluster:
        client = _by_slot(asked, lane.tag if lane is not None else FIRST_TAG, options)
    elif asked.service is not None:
        client = _by_sentinels(asked, asked.service, options)
    else:
        client = _by_address(asked, options)
    pool = client.connection_pool
    pool.connection_class = type("Connection", (_Connection, pool.connection_class), {"__slots__": ()})
    assert isinstance(client, Redis), "made of this class"
    return client


def connect(url: str, *, lane: Lane | None = None, answer_seconds: float = 5.0) -> Redis:
    """The same for a command or a look, to which a wrong URL is one fault of many: AccessRefused."""
    try:
        return create_client(url, lane=lane, answer_seconds=answer_seconds)
    except SettingsError as error:
        raise AccessRefused("redis", "the URL", said=str(error).removeprefix("REDIS_URL: ")) from None

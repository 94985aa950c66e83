"""A real Cluster on loopback: primaries that share the slots, replicas, a slot that moves, a primary that dies."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from tests.conftest import REDIS_FLAVOUR
from tests.waiting import eventually
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.devstack.server import port_is_taken

SLOTS = 16384
USER, PASSWORD = "uniassist", "server-0123456789"
# As docs/servers.md says.
RIGHTS = "+@all -@dangerous +info +cluster|slots ~uniassist* resetchannels &uniassist*"
_OPTIONS = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0")
_numbers = itertools.count()


def bus_port() -> int:
    """That is free, as is the one 10,000 above it, where the nodes talk: below those of outgoing connections."""
    while True:  # ends: few are taken
        port = random.randrange(10_000, 22_000)
        if not port_is_taken(port) and not port_is_taken(port + 10_000):
            return port


class Cluster:
    """`nodes`: the primaries first, then a replica of each, if there are any."""

    def __init__(self, folder: Path, *, primaries: int = 3, replicas: bool = False) -> None:
        count = primaries * 2 if replicas else primaries
        self.primaries = primaries
        self.nodes = [
            EmbeddedRedis(folder / f"node-{at}", port=bus_port(), flavour=REDIS_FLAVOUR, options=_OPTIONS)
            for at in range(count)
        ]

    def url(self, *, lanes: int) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])
        return f"redis+cluster://{USER}:{PASSWORD}@{hosts}/?lanes={lanes}"

    async def start(self) -> None:
        for node in self.nodes:
            node.start()
            self.ask(node, "ACL", "SETUSER", USER, "on", f">{PASSWORD}", *RIGHTS.split())
        for at, node in enumerate(self.nodes):
            self.ask(node, "CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        for at in range(self.primaries):
            first, end = at * SLOTS // self.primaries, (at + 1) * SLOTS // self.primaries
            self.ask(self.nodes[at], "CLUSTER", "ADDSLOTS", *range(first, end))
        for node in self.nodes[1:]:
            self.ask(self.nodes[0], "CLUSTER", "MEET", "127.0.0.1", node.port)
        await eventually(lambda: all(map(self._is_well, self.nodes)), "all nodes know all")
        for at, replica in enumerate(self.nodes[self.primaries :]):
            self.ask(replica, "CLUSTER", "REPLICATE", self.id_of(self.nodes[at]))
        await eventually(lambda: all(map(self._follows, self.nodes[self.primaries :])), "the replicas follow")
        await eventually(lambda: all(map(self._is_well, self.nodes)), "all nodes agree")

    def stop(self) -> None:
        for node in self.nodes:
            node.process.kill()

    def ask(self, node: EmbeddedRedis, *command: object) -> Any:
        with Redis(port=node.port, decode_responses=True, socket_timeout=10) as asked:
            return asked.execute_command(" ".join(map(str, command[:2])), *command[2:])

    def id_of(self, node: EmbeddedRedis) -> str:
        return str(self.ask(node, "CLUSTER", "MYID"))

    def owner(self, slot: int) -> EmbeddedRedis:
        """As the living nodes have it."""
        living = next(node for node in self.nodes if node.process.running)
        found = self.ask(living, "CLUSTER", "SLOTS")
        port = next(primary[1] for first, last, primary, *_ in found if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)

    def move(self, slot: int, to: EmbeddedRedis, *, pause: Callable[[], None] = lambda: None) -> int:
        """Key by key, as `redis-cli --cluster reshard` does it; `pause` is called after each. How many keys."""
        source = self.owner(slot)
        self.ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(to))
        return self.finish_move(slot, to, pause=pause)

    def finish_move(self, slot: int, to: EmbeddedRedis, *, pause: Callable[[], None] = lambda: None) -> int:
        source, moved = self.owner(slot), 0
        while keys := self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 1):
            with Redis(port=source.port) as asked:
                asked.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
            moved += 1
            pause()
        for node in (to, source, *self.nodes):
            if node.process.running and node in self.nodes[: self.primaries]:
                self.ask(node, "CLUSTER", "SETSLOT", slot, "NODE", self.id_of(to))
        return moved

    async def move_at_once(self, slot: int, to: EmbeddedRedis) -> None:
        """By the server itself, which Valkey can."""
        source = self.owner(slot)
        self.ask(source, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self.id_of(to))
        await eventually(lambda: self.owner(slot) is to, "the slot is at the other node")

    def _is_well(self, node: EmbeddedRedis) -> bool:
        info = self.ask(node, "CLUSTER", "INFO")
        return (info["cluster_state"], info["cluster_known_nodes"]) == ("ok", str(len(self.nodes)))

    def _follows(self, node: EmbeddedRedis) -> bool:
        with Redis(port=node.port) as asked:
            found = asked.info("replication")
        return bool(found["role"] == "slave" and found["master_link_status"] == "up")


@contextmanager
def cluster_in(folder: Path, **options: Any) -> Iterator[Cluster]:
    cluster = Cluster(folder / f"cluster-{next(_numbers)}", **options)
    try:
        yield cluster
    finally:
        cluster.stop()

"""The libraries that an input passes through, each beside another that could take its place, by CPU time.

The HTTP server with the smallest application there is; the driver with a gateway's own look and writing; JSON with
an input. Each in turn, some rounds, the median kept.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec
import orjson
import psutil
import psycopg
import uvloop

from bench.ingest import Load, load, request
from bench.stage import Stage
from uniassist.contracts import codec, examples
from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.devstack.server import ServerProcess, free_port
from uniassist.devstack.supervisor import answers
from uniassist.store import ledger
from uniassist.store.ledger import EventRow, Opening, Rows, RunRow, Session
from uniassist.store.server import pool as our_pool

CONNECTIONS = 64
TURNS = 16  # in a batch
_SERVERS: Mapping[str, tuple[str, ...]] = {
    "uvicorn, httptools": ("uvicorn", "--http", "httptools", "--loop", "uvloop", "--no-access-log"),
    "uvicorn, h11": ("uvicorn", "--http", "h11", "--loop", "uvloop", "--no-access-log"),
    "granian": ("granian", "--interface", "asgi", "--loop", "uvloop", "--no-access-log", "--http", "1"),
}


async def measure(stage: Stage, *, seconds: int, rounds: int) -> dict[str, Any]:
    """CPU in microseconds: of a server for a request; of client and Postgres for a batch; for a document."""
    servers: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, command in _SERVERS.items():
            servers.setdefault(name, []).append(await _server(stage, command, seconds))
    url = stage.fresh_database("libraries")
    drivers: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, driver in _DRIVERS.items():
            for turns in (1, TURNS):
                drivers.setdefault(f"{name}, {turns}", []).append(await _driver(stage, url, driver, turns, seconds))
    return {
        "rounds": rounds,
        "server_us": {name: round(statistics.median(each)) for name, each in servers.items()},
        "driver_us": {
            name: {what: round(statistics.median(one[what] for one in each)) for what in each[0]}
            for name, each in drivers.items()
        },
        "json_us": _json(rounds),
    }


async def _server(stage: Stage, command: tuple[str, ...], seconds: int) -> float:
    port = free_port()
    process = ServerProcess("bare", stage.directory / "bare.log")
    process.spawn(
        [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port), "bench.bare:app"],
        env=stage.inherited,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        process.wait_ready(lambda: answers(url))
        assert process.pid is not None
        server = psutil.Process(process.pid)
        await asyncio.to_thread(load, Load(url, CONNECTIONS, 1))
        began = _cpu_us(server)
        _, latencies = await asyncio.to_thread(load, Load(url, CONNECTIONS, seconds))
        return (_cpu_us(server) - began) / len(latencies)
    finally:
        process.stop()


def _cpu_us(parent: psutil.Process) -> float:
    """Of a process, its children, and those of them that ended."""
    own = parent.cpu_times()
    living = [each.cpu_times() for each in parent.children(recursive=True)]
    ended = own.children_user + own.children_system
    return (own.user + own.system + ended + sum(each.user + each.system for each in living)) * 1e6


class Turns:
    """What chat's turns look up and write, as the gateway does; `number`: no two batches are of the same rows."""

    def __init__(self, turns: int, salt: str) -> None:
        self._salt = salt
        self._names = [f"{salt}-s{number}" for number in range(turns)]
        self._number = 0

    @property
    def look(self) -> tuple[Any, ...]:
        openings = [Opening(name, "u", False, 0) for name in self._names]
        return ledger.locking(openings, self._names)

    @property
    def write(self) -> tuple[Any, ...]:
        return ledger.writing(self._rows(), max_attempts=12, lease_owner="bench", lease_seconds=8.0)

    def _rows(self) -> Rows:
        self._number += 1
        rows, text = Rows(), codec.encode(examples.INPUT).decode()
        for name in self._names:
            seq = 4 * self._number
            rows.sessions.append(Session(name, "u", seq, 0, False, None, '{"lastText": "hello"}', False))
            rows.events += [
                EventRow(
                    f"{name}-{seq}-{each}",
                    "t",
                    name,
                    "u",
                    None,
                    None,
                    seq + each - 3,
                    0,
                    "inbound",
                    None,
                    None,
                    text,
                    None,
                )
                for each in range(4)
            ]
            run_id = f"{name}-{seq}"
            rows.runs.append(
                RunRow(run_id, "t", name, "u", "builtin_chat", "sync", "fallback", run_id, "completed", None)
            )
        return rows


async def _asyncpg(url: str, turns: Turns, until: float) -> int:
    batches = 0
    async with await our_pool.connect(url) as connection:
        while time.monotonic() < until:
            async with connection.transaction():
                await connection.fetch(*turns.look)
                await connection.fetchval(*turns.write)
            batches += 1
    return batches


async def _psycopg(url: str, turns: Turns, until: float) -> int:
    """BEGIN goes with the look, COMMIT with the writing: two round trips."""
    batches = 0
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, cursor_factory=psycopg.AsyncRawCursor, prepare_threshold=0
    ) as connection:
        while time.monotonic() < until:
            async with connection.pipeline() as pipeline:
                await connection.execute("BEGIN")
                sql, *arguments = turns.look
                looked = await connection.execute(sql, _lists(arguments), binary=True)
                await pipeline.sync()
                await looked.fetchall()
                sql, *arguments = turns.write
                await connection.execute(sql, _lists(arguments), binary=True)
                await connection.execute("COMMIT")
            batches += 1
    return batches


def _lists(arguments: list[Any]) -> list[Any]:
    """A tuple is a composite value to it, a list an array."""
    return [list(each) if isinstance(each, tuple) else each for each in arguments]


Driver = Callable[[str, Turns, float], Coroutine[Any, Any, int]]
_DRIVERS: Mapping[str, Driver] = {"asyncpg": _asyncpg, "psycopg, pipelined": _psycopg}


async def _driver(stage: Stage, url: str, driver: Driver, turns: int, seconds: int) -> dict[str, float]:
    """In this process, whose own CPU it is; Postgres's is that of all its processes."""
    assert stage.postgres.process.pid is not None
    server = psutil.Process(stage.postgres.process.pid)
    batch = Turns(turns, f"{driver.__name__}-{turns}-{time.monotonic_ns()}")
    own, began, before = time.process_time(), time.monotonic(), _cpu_us(server)
    batches = await asyncio.to_thread(lambda: uvloop.run(driver(url, batch, began + seconds)))
    took = time.monotonic() - began
    spent = (time.process_time() - own) * 1e6
    await asyncio.sleep(0.5)  # the connection's process ends, and is counted with the server's
    return {
        "client": spent / batches / turns,
        "postgres": (_cpu_us(server) - before) / batches / turns,
        "wall": took * 1e6 / batches,
    }


def _json(rounds: int) -> dict[str, float]:
    """msgspec reads into the contract's shapes, and refuses what isn't of them; orjson makes dicts of it."""
    body = request("s1", "t1", "hello " + "x" * 180).partition(b"\r\n\r\n")[2]
    event = msgspec.to_builtins(examples.INPUT)
    decoder = msgspec.json.Decoder(UnifiedUserInput)
    return {
        "read, msgspec, checked": _each_us(lambda: decoder.decode(body), rounds),
        "read, msgspec, a dict": _each_us(lambda: msgspec.json.decode(body), rounds),
        "read, orjson, a dict": _each_us(lambda: orjson.loads(body), rounds),
        "write, msgspec, of a struct": _each_us(lambda: codec.encode(examples.INPUT), rounds),
        "write, orjson, of a dict": _each_us(lambda: orjson.dumps(event), rounds),
    }


def _each_us(act: Callable[[], object], rounds: int, times: int = 20_000) -> float:
    found = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            act()
        found.append((time.process_time() - began) * 1e6 / times)
    return round(statistics.median(found), 2)

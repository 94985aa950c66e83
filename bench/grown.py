"""`python -m bench.grown fill|measure|slices|drop --directory D`: what changes when a database has grown.

`fill` makes a database of so many events in D, whose servers the other commands start: `measure` does the same work
on several of them in turn, `slices` and `drop` let a day's data go. No part of `make bench`: 50 million events take
40 GB and some twenty minutes. D stays until you remove it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import psycopg

from bench import filling, grown_retention, grown_work
from bench.ingest import Load, load
from bench.stage import Stage
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.store import migrate

_SHOWN = ("cpu_ms", "buffers", "ms", "wal")


class _Postgres(EmbeddedPostgres):
    """With the memory of a server that is meant for millions."""

    def _command(self) -> list[str]:
        return [*super()._command(), "-c", "shared_buffers=2GB", "-c", "autovacuum=off"]


def _restart(stage: Stage, *, durable: bool) -> None:
    stage.postgres.stop()
    stage.postgres.durable = durable
    stage.postgres.start()


def _alter(stage: Stage, *settings: str) -> None:
    with psycopg.connect(stage.postgres.url_for("postgres"), autocommit=True) as connection:
        for setting in settings:
            connection.execute(f"ALTER SYSTEM {setting}")


def fill(stage: Stage, *, name: str, events: int, layout: str) -> None:
    stage.postgres.durable = False
    stage.postgres.start()
    _alter(
        stage,
        "SET wal_level = minimal",
        "SET max_wal_senders = 0",
        "SET autovacuum = off",
        "SET max_wal_size = '4GB'",
    )
    _restart(stage, durable=False)
    try:
        asyncio.run(_fill(stage, name=name, events=events, layout=layout))
    finally:
        _alter(stage, "RESET ALL")
        stage.postgres.stop()


async def _fill(stage: Stage, *, name: str, events: int, layout: str) -> None:
    pattern_url = stage.postgres.url_for("pattern")
    try:
        connection = await asyncpg.connect(pattern_url)
    except asyncpg.InvalidCatalogNameError:
        stage.redis.start()
        pattern_url = stage.fresh_database("pattern")
        _, gateway = stage.start("gateway", pattern_url)
        await asyncio.to_thread(load, Load(gateway, 2, 1))
        stage.stop_services()
        stage.redis.process.kill()
        connection = await asyncpg.connect(pattern_url)
    pattern = await filling.pattern_of(connection)
    await connection.close()
    with psycopg.connect(stage.postgres.url_for("postgres"), autocommit=True) as control:
        control.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        control.execute(f'CREATE DATABASE "{name}"')
    url = stage.postgres.url_for(name)
    await asyncio.to_thread(migrate.upgrade, url)
    began = time.monotonic()
    await filling.fill(
        lambda: asyncpg.connect(url), pattern, events=events, layout=layout, directory=stage.directory
    )
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)


def measure(stage: Stage, names: list[str], *, rounds: int) -> dict[str, Any]:
    """By database and operation: the median of the rounds, which take the databases in turn."""
    stage.postgres.durable = True
    stage.postgres.start()
    stage.redis.start()
    try:
        return asyncio.run(_measure(stage, names, rounds=rounds))
    finally:
        stage.stop_services()
        stage.redis.process.kill()
        stage.postgres.stop()


async def _measure(stage: Stage, names: list[str], *, rounds: int) -> dict[str, Any]:
    databases = [await grown_work.opened(stage, name) for name in names]
    for number in range(rounds + 1):
        for database in databases if number % 2 else reversed(databases):
            await grown_work.round_of(database, number)
        if number == 0:  # plans are made, caches are warm
            for database in databases:
                database.figures.clear()
            continue
        found = {
            database.name: {
                what: {name: round(statistics.median(each[name] for each in seen), 4) for name in seen[0]}
                for what, seen in database.figures.items()
            }
            for database in databases
        }
        (stage.directory / f"measured-{','.join(names)}.json").write_text(json.dumps(found, indent=1), "utf-8")
        print(f"round {number}\n{report(found, names)}", file=sys.stderr, flush=True)
    return found


def retire(stage: Stage, how: str, name: str, *, sessions: int, outbox_days: int) -> dict[str, Any]:
    """A day of the oldest data goes, by slices or with its partition. The database isn't what it was afterwards."""
    stage.postgres.start()
    try:
        if how == "drop":
            return asyncio.run(grown_retention.by_dropping(stage, name))
        return asyncio.run(grown_retention.by_slices(stage, name, sessions=sessions, outbox_days=outbox_days))
    finally:
        stage.postgres.stop()


def report(found: dict[str, Any], names: list[str]) -> str:
    """A row for each operation: CPU, buffers, time and WAL of the first database; those of others as multiples."""
    lines = []
    for what, first in found[names[0]].items():
        cells = [f"{first['cpu_ms']:.3f} / {first['buffers']:.1f} / {first['ms']:.2f} / {first['wal']:.0f}"]
        for name in names[1:]:
            other = found[name][what]
            ratios = (
                other[key] / first[key] if first[key] else float("nan") for key in ("cpu_ms", "buffers", "ms")
            )
            cells.append(" / ".join(f"{ratio:.2f}" for ratio in ratios))
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.grown", description=__doc__)
    parser.add_argument("what", choices=("fill", "measure", "slices", "drop"))
    parser.add_argument("--names", default="small,grown", help="databases to compare, the first is the measure")
    parser.add_argument("--sessions", type=int, default=2000, help="how many go, of `slices`")
    parser.add_argument("--outbox-days", type=int, default=filling.OUTBOX_DAYS - 1, help="kept, of `slices`")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--name", default="grown")
    parser.add_argument("--events", type=int, default=50_000_000)
    parser.add_argument("--layout", choices=filling.LAYOUTS, default="plain")
    chosen = parser.parse_args()
    chosen.directory.mkdir(parents=True, exist_ok=True)
    chosen.directory.chmod(0o755)
    stage = Stage(chosen.directory)
    stage.postgres = _Postgres(chosen.directory / "postgres", durable=True)
    if chosen.what == "fill":
        fill(stage, name=chosen.name, events=chosen.events, layout=chosen.layout)
    elif chosen.what in ("slices", "drop"):
        print(
            json.dumps(
                retire(stage, chosen.what, chosen.name, sessions=chosen.sessions, outbox_days=chosen.outbox_days),
                indent=1,
            )
        )
    else:
        names = chosen.names.split(",")
        measure(stage, names, rounds=chosen.rounds)


if __name__ == "__main__":
    main()

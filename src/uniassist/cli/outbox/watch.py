"""`uniassist outbox watch`: the outbox as it changes; a table at a terminal, a line a look anywhere else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from uniassist.cli.console import guarded_console
from uniassist.cli.outbox.lines import age, paused_lines, stats_document
from uniassist.errors import Away, ServerFault, TooManyConnections
from uniassist.store import delivery, outbox
from uniassist.store.delivery import COUNTED_UP_TO
from uniassist.store.server import pool
from uniassist.store.server.pool import Connection, SingleConnection

STATES = ("pending", "processing", "failed", "delivered", "dead_letter")
_STYLES = {"failed": "yellow", "dead_letter": "red"}
BAR_WIDTH = 28
RETRY_SECONDS = 1.0
# What a restart looks like. A right or a table that is missing is nothing to wait for.
_PASSING = (Away, TooManyConnections)


@dataclass(frozen=True)
class Look:
    """One look: events by state (counted up to a bound), and who delivers how fast."""

    counts: dict[str, int]
    oldest_seconds: float
    per_second: float
    workers: list[dict[str, object]]
    paused: list[str] = field(default_factory=list)


async def watch(url: str, *, interval_seconds: float, for_seconds: float | None, as_json: bool) -> None:
    """Until `for_seconds` have passed, else until cancelled. A database that goes away meanwhile is waited for."""
    console = guarded_console()
    connection = await pool.connect(url)
    try:
        with ExitStack() as stack:
            show = _printer(console, stack, as_json=as_json)
            before: Look | None = None
            end = time.monotonic() + for_seconds if for_seconds is not None else float("inf")
            while True:  # ends: with `end`
                try:
                    found = await _look(connection)
                except _PASSING as fault:
                    connection.terminate()
                    connection = await _reconnect(url, end, fault)
                    continue
                show(found, before)
                before = found
                if time.monotonic() + interval_seconds > end:
                    break
                await asyncio.sleep(interval_seconds)
    finally:
        await connection.close()


async def _reconnect(url: str, end: float, fault: ServerFault) -> SingleConnection:
    """Tries on until `end`; then raises what was in the way last."""
    while time.monotonic() + RETRY_SECONDS <= end:
        await asyncio.sleep(RETRY_SECONDS)
        try:
            return await pool.connect(url)
        except _PASSING as again:
            fault = again
    raise fault


async def _look(connection: Connection) -> Look:
    backlog = await delivery.backlog(connection)
    found = stats_document([], await outbox.workers(connection), await delivery.control(connection))
    return Look(
        counts={state: backlog[state] for state in STATES},
        oldest_seconds=backlog["oldest_seconds"],
        per_second=found["consumedPerSecond"],
        workers=found["workers"],
        paused=paused_lines(found["paused"]),
    )


def _printer(console: Console, stack: ExitStack, *, as_json: bool) -> Callable[[Look, Look | None], None]:
    if as_json:
        return lambda found, _: print(json.dumps(_document(found)), flush=True)
    if not console.is_terminal:
        return lambda found, _: print(line_of(found, time.strftime("%H:%M:%S")), flush=True)
    live = stack.enter_context(Live(console=console, auto_refresh=False))
    return lambda found, before: live.update(screen_of(found, before), refresh=True)


def _document(found: Look) -> dict[str, object]:
    return {
        "states": found.counts,
        "oldestPendingSeconds": round(found.oldest_seconds, 3),
        "consumedPerSecond": found.per_second,
        "workers": found.workers,
        "paused": bool(found.paused),
    }


def line_of(found: Look, at: str) -> str:
    counts = "  ".join(f"{state} {count}" for state, count in found.counts.items())
    rest = f"oldest {age(found.oldest_seconds)}  consumed {found.per_second}/s  workers {len(found.workers)}"
    return "  ".join([at, counts, rest, *found.paused])


def screen_of(found: Look, before: Look | None) -> Group:
    """At most 80 columns."""
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(min_width=12)
    grid.add_column(justify="right", min_width=9)
    grid.add_column(justify="right", min_width=8, style="dim")
    grid.add_column()
    most = max(1, *found.counts.values())
    for state, count in found.counts.items():
        style = _STYLES.get(state, "") if count else "dim"
        shown = f"{count:,}" + ("+" if count >= COUNTED_UP_TO else "")
        change = count - before.counts[state] if before else 0
        bar = "█" * round(BAR_WIDTH * count / most) or ("▏" if count else "")
        grid.add_row(Text(state, style), Text(shown, style), f"{change:+,}" if change else "", Text(bar, style))
    lines = [
        Text(f"consumed {found.per_second}/s over the last minute, oldest pending {age(found.oldest_seconds)}")
    ]
    lines += [
        Text(f"{worker['worker']}: {worker['shards']} shards, {worker['consumedPerSecond']}/s", "dim")
        for worker in found.workers
    ] or [Text("no worker is alive", "red")]
    lines += [Text(line, "bold yellow") for line in found.paused]
    return Group(grid, *lines, Text("Ctrl-C ends", "dim"))

"""What an input costs a gateway of several processes, and how evenly they share the work."""

from __future__ import annotations

import statistics
from typing import Any

from bench.cost import arm
from bench.stage import Stage

COUNTS = (1, 2, 4)


async def measure(stage: Stage, *, seconds: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of CPU for an input of chat, by program; all counts of processes in turn in each round."""
    seen: dict[int, list[dict[str, float]]] = {count: [] for count in COUNTS}
    for _ in range(rounds):
        for count in COUNTS:
            seen[count].append(await arm(stage, "chat", None, seconds, GATEWAY_PROCESSES=str(count)))
    found = {
        str(count): {name: round(statistics.median(each[name] for each in all_rounds), 3) for name in all_rounds[0]}
        for count, all_rounds in seen.items()
    }
    return {"rounds": rounds, "cpu_ms": found}

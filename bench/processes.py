"""What an input costs a gateway of several processes, and how evenly they share the work."""

from __future__ import annotations

import statistics
from typing import Any

from bench.cost import arm
from bench.stage import Stage

CONNECTIONS = 64
PACED_RATE = 300
# Processes, connections, inputs a second (None: as many as can be). The batches of a commit, and with them its
# cost, are as large as what waits at each process: so there are as many connections for each, and once for all.
ARMS: tuple[tuple[int, int, int | None], ...] = (
    (1, CONNECTIONS, PACED_RATE),
    (2, CONNECTIONS, PACED_RATE),
    (4, CONNECTIONS, PACED_RATE),
    (1, CONNECTIONS, None),
    (2, CONNECTIONS, None),
    (2, 2 * CONNECTIONS, None),
)


async def measure(stage: Stage, *, seconds: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of CPU for an input of chat, by program; all arms in turn in each round."""
    seen: dict[int, list[dict[str, float]]] = {index: [] for index in range(len(ARMS))}
    for _ in range(rounds):
        for index, (count, connections, rate) in enumerate(ARMS):
            figures = await arm(
                stage,
                "chat",
                None,
                seconds,
                connections=connections,
                rate=rate,
                GATEWAY_PROCESSES=str(count),
            )
            seen[index].append(figures)
    return {
        "rounds": rounds,
        "arms": [
            {
                "processes": count,
                "connections": connections,
                "rate": rate,
                "cpu_ms": {
                    name: round(statistics.median(each[name] for each in seen[index]), 3) for name in seen[index][0]
                },
            }
            for index, (count, connections, rate) in enumerate(ARMS)
        ],
    }

"""What a gateway counts for /v0/metrics and the console, over all of its processes, replaced ones too."""

from __future__ import annotations

from uniassist.web.processes.place import FIRST_OWN, Place

LATENCIES_KEPT = 2048  # of each process
(
    INGEST,
    INGEST_ERRORS,
    INVOKE_ERRORS,
    INTERACT_ERRORS,
    PERSISTENCE_ERRORS,
    ANSWERED,
    FAILED,
    FOLLOWERS,
    _LATENCIES,
    _FIRST_LATENCY,
) = range(FIRST_OWN, FIRST_OWN + 10)


class Counts:
    """Columns of the rows that the processes share; this process writes its own."""

    def __init__(self, place: Place) -> None:
        self._cells = place.cells
        self._row = place.row
        self._cells.set_integer(self._row, FOLLOWERS, 0)  # those of the process before are gone

    def add(self, column: int, amount: int = 1) -> None:
        self._cells.add(self._row, column, amount)

    def total(self, column: int) -> int:
        return self._cells.total(column)

    def add_latency(self, seconds: float) -> None:
        at = self._cells.integer(self._row, _LATENCIES)
        self._cells.set_float(self._row, _FIRST_LATENCY + at % LATENCIES_KEPT, seconds)
        self._cells.set_integer(self._row, _LATENCIES, at + 1)

    def latencies(self) -> list[float]:
        """Of each process's last inputs, in order of size."""
        found: list[float] = []
        for row in range(self._cells.rows):
            count = min(self._cells.integer(row, _LATENCIES), LATENCIES_KEPT)
            found += self._cells.floats(row, _FIRST_LATENCY, count)
        return sorted(found)

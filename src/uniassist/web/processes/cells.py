"""Numbers in memory that the processes of a service share. Each writes its own row, and all read all rows."""

from __future__ import annotations

import mmap

COLUMNS = 4096
_CELL_BYTES = 8


class Cells:
    """`rows` of COLUMNS cells of 8 bytes, all 0. A row outlives its process: the one that replaces it counts on.

    A cell is read and written whole, so nothing is locked.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._memory = memoryview(mmap.mmap(-1, rows * COLUMNS * _CELL_BYTES))
        self._integers = self._memory.cast("q")
        self._floats = self._memory.cast("d")

    def integer(self, row: int, column: int) -> int:
        return self._integers[row * COLUMNS + column]

    def set_integer(self, row: int, column: int, value: int) -> None:
        self._integers[row * COLUMNS + column] = value

    def add(self, row: int, column: int, amount: int = 1) -> None:
        self._integers[row * COLUMNS + column] += amount

    def total(self, column: int) -> int:
        """Of all rows."""
        return sum(self._integers[row * COLUMNS + column] for row in range(self.rows))

    def set_float(self, row: int, column: int, value: float) -> None:
        self._floats[row * COLUMNS + column] = value

    def floats(self, row: int, column: int, count: int) -> list[float]:
        """`count` of them from `column` on."""
        at = row * COLUMNS + column
        return [self._floats[each] for each in range(at, at + count)]

"""Numbers that processes share: each sees what others wrote, and a row outlives who wrote it."""

from __future__ import annotations

import os

import pytest

from uniassist.gateway import counts
from uniassist.gateway.counts import LATENCIES_KEPT, Counts
from uniassist.web.processes.cells import COLUMNS, Cells
from uniassist.web.processes.place import Place


def in_a_child(cells: Cells, row: int, amount: int) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            cells.add(row, 7, amount)
            cells.set_float(row, 8, amount / 4)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_a_row_is_seen_by_all_and_outlives_its_process() -> None:
    cells = Cells(3)
    for row in (0, 1, 2, 1):
        in_a_child(cells, row, row + 1)
    assert [cells.integer(row, 7) for row in range(3)] == [1, 4, 3]
    assert cells.total(7) == 8
    assert cells.floats(1, 8, 1) == [0.5]


def test_rows_dont_overlap() -> None:
    cells = Cells(2)
    cells.set_integer(0, COLUMNS - 1, 5)
    cells.set_integer(1, 0, 6)
    assert (cells.integer(0, COLUMNS - 1), cells.integer(1, 0)) == (5, 6)
    with pytest.raises(IndexError):
        cells.integer(2, 0)


def test_latencies_are_the_last_of_each_process() -> None:
    cells = Cells(2)
    first, second = (Counts(Place(number, 2, cells=cells)) for number in (1, 2))
    for each in range(LATENCIES_KEPT + 10):
        first.add_latency(float(each))
    second.add_latency(0.5)
    found = second.latencies()
    assert len(found) == LATENCIES_KEPT + 1
    assert found[:2] == [0.5, 10.0]
    assert found[-1] == LATENCIES_KEPT + 9


def test_followers_of_a_process_that_ended_are_gone_with_the_next() -> None:
    cells = Cells(2)
    Counts(Place(1, 2, cells=cells)).add(counts.FOLLOWERS, 3)
    Counts(Place(2, 2, cells=cells)).add(counts.FOLLOWERS)
    assert Counts(Place(1, 2, cells=cells)).total(counts.FOLLOWERS) == 1


@pytest.mark.parametrize(
    ("total", "of", "least", "share"), [(20, 1, 6, 20), (20, 3, 6, 7), (20, 8, 6, 6), (1, 4, 1, 1)]
)
def test_a_share_is_never_less_than_what_one_needs(total: int, of: int, least: int, share: int) -> None:
    assert Place(1, of).share(total, least=least) == share

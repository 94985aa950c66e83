"""Each worker begins with slow tests, and all tests are run once."""

import pytest
from tests.slow_first import spread


@pytest.mark.parametrize(("slow", "rest", "workers"), [(7, 100, 5), (3, 4, 5), (0, 10, 4), (12, 1, 5), (2, 0, 1)])
def test_nothing_is_lost_or_run_twice(slow: int, rest: int, workers: int) -> None:
    ordered = spread([f"slow {n}" for n in range(slow)], [f"quick {n}" for n in range(rest)], workers)
    assert sorted(ordered) == sorted([f"slow {n}" for n in range(slow)] + [f"quick {n}" for n in range(rest)])


def test_each_workers_run_begins_with_its_share() -> None:
    ordered = spread(["a", "b", "c", "d"], list(range(20)), 3)  # xdist's lengths for three: 8, 8, 8
    assert [ordered[start : start + 8] for start in (0, 8, 16)] == [
        ["a", "d", 0, 1, 2, 3, 4, 5],
        ["b", 6, 7, 8, 9, 10, 11, 12],
        ["c", 13, 14, 15, 16, 17, 18, 19],
    ]

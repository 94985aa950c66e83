"""A user's rate: a burst, then the rate, never more, whatever the times of the calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from uniassist.gateway.bounds import rate_limit
from uniassist.gateway.bounds.rate_limit import RateLimit


def test_a_burst_of_two_seconds_then_a_wait_that_is_worth_it() -> None:
    limit = RateLimit(5)
    assert [limit.take("u", 100.0) for _ in range(10)] == [0] * 10
    assert limit.take("u", 100.0) == 1
    assert limit.take("other", 100.0) == 0
    assert limit.take("u", 101.0) == 0


def test_no_limit_when_it_is_zero() -> None:
    limit = RateLimit(0)
    assert [limit.take("u", 0.0) for _ in range(1000)] == [0] * 1000


@given(
    per_second=st.floats(0.5, 50),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_never_more_than_the_burst_and_the_rate(per_second: float, gaps: list[float]) -> None:
    limit, now, allowed = RateLimit(per_second), 0.0, 0
    for gap in gaps:
        now += gap
        allowed += limit.take("u", now) == 0
    assert allowed <= max(1.0, 2 * per_second) + now * per_second + 1e-6


def test_the_memory_is_bounded(monkeypatch: object) -> None:
    limit = RateLimit(1)
    for number in range(rate_limit.MAX_KEYS + 10):
        limit.take(f"u{number}", 0.0)
    assert len(limit._buckets) == rate_limit.MAX_KEYS

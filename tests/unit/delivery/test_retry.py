from hypothesis import given
from hypothesis import strategies as st

from uniassist.delivery.retry import backoff_ms


def test_backoff_doubles_until_the_maximum() -> None:
    pauses = [backoff_ms(n, base_ms=1000, max_ms=5000, jitter=0.0) for n in (1, 2, 3, 4, 100)]
    assert pauses == [1000, 2000, 4000, 5000, 5000]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded_and_never_below_the_base(attempts: int, jitter: float) -> None:
    assert 1000 <= backoff_ms(attempts, base_ms=1000, max_ms=300_000, jitter=jitter) <= 330_000

"""When a failed event is due again."""

from __future__ import annotations


def backoff_ms(attempts: int, *, base_ms: int, max_ms: int, jitter: float) -> int:
    """min(max, base * 2^(attempts-1)), lengthened by up to a tenth:

    `jitter` is in [0, 1); `attempts` counts from 1.
    """
    assert attempts >= 1
    assert 0 <= jitter < 1
    exponent = min(attempts - 1, 62)
    return int(min(max_ms, base_ms * 2**exponent) * (1 + jitter / 10))

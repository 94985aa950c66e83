from __future__ import annotations

import pytest

from uniassist.release.clock import length


@pytest.mark.parametrize(
    ("seconds", "said"), [(20.0, "20 s"), (0.5, "0.5 s"), (900.0, "15 min"), (150.0, "2:30 min")]
)
def test_a_length_of_time_is_said_as_an_operator_gives_it(seconds: float, said: str) -> None:
    assert length(seconds) == said

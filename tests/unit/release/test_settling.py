from __future__ import annotations

import pytest

from uniassist.release.checklist import CheckFailed
from uniassist.release.settling import settled


class Check:
    """Fails so many times, then is well."""

    def __init__(self, failures: int) -> None:
        self.tries = 0
        self._failures = failures

    async def __call__(self) -> str:
        self.tries += 1
        if self.tries <= self._failures:
            raise CheckFailed(f"try {self.tries}")
        return "verified"


async def test_what_fails_only_while_a_breaker_is_open_is_well_in_the_end() -> None:
    check = Check(failures=2)
    assert await settled(check, pause_seconds=0.001) == "verified"
    assert check.tries == 3


async def test_what_goes_on_failing_fails_with_its_last_words() -> None:
    check = Check(failures=10**6)
    with pytest.raises(CheckFailed) as failed:
        await settled(check, within_seconds=0.02, pause_seconds=0.005)
    assert str(failed.value) == f"try {check.tries}"
    assert check.tries > 1


async def test_without_time_it_is_tried_once() -> None:
    check = Check(failures=1)
    with pytest.raises(CheckFailed):
        await settled(check, within_seconds=0.0, pause_seconds=0.001)
    assert check.tries == 1

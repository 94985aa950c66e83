from __future__ import annotations

import pytest

from uniassist.release.report.checklist import CheckFailed
from uniassist.release.walk.patience import try_again


class Check:
    """Fails so many times, then is well."""

    def __init__(self, failures: int) -> None:
        self.tries = 0
        self._failures = failures

    async def check(self) -> str:
        self.tries += 1
        if self.tries <= self._failures:
            raise CheckFailed(f"try {self.tries}")
        return "verified"


async def test_what_fails_only_while_a_breaker_is_open_is_well_in_the_end() -> None:
    checked = Check(failures=2)
    assert await try_again(checked.check, pause_seconds=0.001) == "verified"
    assert checked.tries == 3


async def test_what_goes_on_failing_fails_with_its_last_words() -> None:
    checked = Check(failures=10**6)
    with pytest.raises(CheckFailed) as failed:
        await try_again(checked.check, within_seconds=0.3, pause_seconds=0.01)
    assert str(failed.value) == f"try {checked.tries}"
    assert checked.tries > 1


async def test_without_time_it_is_tried_once() -> None:
    checked = Check(failures=1)
    with pytest.raises(CheckFailed):
        await try_again(checked.check, within_seconds=0.0, pause_seconds=0.001)
    assert checked.tries == 1

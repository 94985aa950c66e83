"""The runbook's 15 minutes for a rollback: what is left of them, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from uniassist.release.clock import minutes

SECONDS = 15 * 60.0
# Until a run has shown its own pace, in seconds.
_EXPECTED = {"stop worker": 5.0, "verify": 10.0}
_SERVICE_SECONDS = 6.0


@dataclass
class Budget:
    """`began`: Unix time of the first failed probe, or of the trigger where none is known; `clock` tells it now."""

    began: float
    clock: Callable[[], float]
    steps: list[str]
    _started: float = field(init=False)
    _done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def ended(self, step: str) -> None:
        self._done.append(step)

    @property
    def left(self) -> float:
        """Seconds; negative once it is overrun."""
        return SECONDS - (self.clock() - self.began)

    @property
    def forecast(self) -> float:
        """Seconds that the steps not yet done will take, at the pace of those that are."""
        done = sum(_expected(step) for step in self._done)
        rest = sum(_expected(step) for step in self.steps if step not in self._done)
        pace = (self.clock() - self._started) / done if done else 1.0
        return rest * pace

    def line(self) -> str:
        if self.left < 0:
            return f"budget OVERRUN by {minutes(-self.left)}, forecast {minutes(self.forecast)}"
        return f"budget {minutes(self.left)} left, forecast {minutes(self.forecast)}"


def _expected(step: str) -> float:
    return _EXPECTED.get(step, _SERVICE_SECONDS)

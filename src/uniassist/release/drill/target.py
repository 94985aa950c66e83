"""What is drilled, in which mode, and with whose consent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from uniassist.release.checks.system import System
from uniassist.release.env.environment import Environment
from uniassist.release.exit_codes import UsageRefused
from uniassist.settings import Reader, redis_url
from uniassist.streams.lanes import Lane, Layout


@dataclass(frozen=True)
class DrillTarget:
    """Where the worker under drill works.

    mode: live or simulate.
    prefix, global_key, group: the names of its streams and of its consumer group.
    lane: the one that the drill's session is in, of which `global_key` is then; None: not known yet.
    env: for the replay command.
    step_seconds: the deadline of each step.
    destroys_group: False skips the step that destroys the consumer group.
    """

    mode: str
    database_url: str
    redis_url: str
    prefix: str
    global_key: str
    group: str
    env: Mapping[str, str]
    step_seconds: float
    destroys_group: bool
    lane: Lane | None = None

    def in_lane_of(self, session_id: str) -> DrillTarget:
        layout = Layout(self.prefix, self.global_key, redis_url.parsed(self.redis_url).lanes)
        lane = layout.lane_of(session_id)
        return replace(self, lane=lane, global_key=lane.global_key)

    def session_key(self, session_id: str) -> str:
        return self.lane.session_key(session_id) if self.lane is not None else f"{self.prefix}{session_id}"

    @classmethod
    def of(cls, mode: str, system: System, reader: Reader) -> DrillTarget:
        """A running system, drilled as the environment's WORKER_DRILL_ variables say."""
        return cls(
            mode=mode,
            database_url=system.database_url,
            redis_url=system.redis_url,
            prefix=system.prefix,
            global_key=system.global_key,
            group=system.group,
            env=system.env,
            step_seconds=reader.integer("WORKER_DRILL_TIMEOUT_MS") / 1000,
            destroys_group=reader.optional_boolean("WORKER_DRILL_ENABLE_NOGROUP") is not False,
        )


def mode_of(environment: Environment, given: str | None) -> str:
    """simulate or live, by --mode or WORKER_DRILL_MODE. UsageRefused when neither says, and in prod."""
    if environment.is_prod:
        raise UsageRefused("the drill breaks things on purpose and refuses prod (--env, UNIASSIST_ENV)")
    chosen = given or environment.reader().optional("WORKER_DRILL_MODE")
    if chosen is None:
        raise UsageRefused(
            "WORKER_DRILL_MODE: not set. WORKER_DRILL_MODE=simulate drills a throwaway system and needs nothing; "
            "WORKER_DRILL_MODE=live injects faults into DATABASE_URL and REDIS_URL"
        )
    if chosen not in ("simulate", "live"):
        raise UsageRefused(f"--mode, WORKER_DRILL_MODE: expected simulate or live, got {chosen!r}")
    return chosen


def live_target(environment: Environment) -> DrillTarget:
    """The worker of the environment's own servers. UsageRefused names a variable that is missing."""
    reader = environment.reader()
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if reader.optional(name) is None]
    if missing:
        raise UsageRefused(f"{', '.join(missing)}: required for a live drill, but not set")
    return DrillTarget.of("live", System.in_use(environment.values, gateway_url=""), reader)

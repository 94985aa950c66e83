"""How the release tooling ends. Operators' scripts branch on these numbers: they never change their meaning."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    DONE = 0
    BUG = 1
    USAGE = 2  # or consent missing
    PREFLIGHT = 10
    GATE = 11
    ROLLOUT = 12
    VERIFY = 13
    ROLLED_BACK = 20
    ROLLBACK_INCOMPLETE = 21
    TRIGGER_HELD = 22
    LOCKED = 30
    UNFINISHED = 31
    STALE = 32
    DRILL = 40
    INCONCLUSIVE = 41  # or a step was skipped
    INTERRUPTED = 130


MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.BUG: "a bug in the tool",
    ExitCode.USAGE: "wrong usage, a variable missing, or consent missing; nothing was touched",
    ExitCode.PREFLIGHT: "a prerequisite is missing",
    ExitCode.GATE: "the gate is red, or there is no green gate for this revision",
    ExitCode.ROLLOUT: "a rollout step stopped",
    ExitCode.VERIFY: "the verification found something wrong",
    ExitCode.ROLLED_BACK: "rolled back and verified",
    ExitCode.ROLLBACK_INCOMPLETE: "rollback incomplete",
    ExitCode.TRIGGER_HELD: "a trigger fired and is held",
    ExitCode.LOCKED: "somebody else is at it",
    ExitCode.UNFINISHED: "an unfinished run is there",
    ExitCode.STALE: "the plan is stale, something drifted, or a port is taken",
    ExitCode.DRILL: "the drill failed",
    ExitCode.INCONCLUSIVE: "inconclusive, or a step was skipped",
    ExitCode.INTERRUPTED: "interrupted",
}


class Refused(Exception):
    """The command ends with `code`; the message says why and what to do. Nothing was done half."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class UsageRefused(Refused):
    """A missing or impossible argument or variable, named in the message."""

    def __init__(self, message: str) -> None:
        super().__init__(ExitCode.USAGE, message)

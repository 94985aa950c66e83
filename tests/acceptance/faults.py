"""The second revision made to fail, one way after another: who notices, with which words, and where it ends.

A fault is a function of a `Base` on which v1 runs, verified and under load. It says what it did by `Case`, which
compares: the exit code, words of the cause, the state that the tool names with what answers at the ports. After
each, whatever it left is rolled back; v1 has to run, verified, before the next.
"""

from __future__ import annotations

import asyncio
import re
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.base import Base
from tests.acceptance.load import lost
from tests.acceptance.site import Ended
from uniassist.release.records.home import Home
from uniassist.release.walk import unfinished

AGAIN = 5
# Where a campaign happened to lie says nothing.
_PLACE = re.compile(r"/\S*/site/")
WORDS = ("all-new", "all-old", "MIXED")


@dataclass
class Case:
    """What one fault came to. `wrong`: everything that wasn't as it should be."""

    name: str
    done: str
    wrong: list[str] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    state: str = ""
    after: str = ""
    seconds: float = 0.0

    def noticed_by(self, ended: Ended, code: int, *words: str) -> None:
        """The command ended with `code`, and its output holds all the words of the cause."""
        command = " ".join(ended.command.split()[:3])
        self.noticed.append(f"{command}: {ended.code}")
        if ended.code != code:
            self.wrong.append(f"{command} ended with {ended.code}, not {code}: {' / '.join(ended.lines[-12:])}")
        self.says(ended, *words)

    def says(self, ended: Ended, *words: str) -> None:
        for word in words:
            # The list of variables that changed names suspects, not the cause.
            telling = [line.strip() for line in ended.lines if "env changed" not in " ".join(line.split())]
            line = next((line for line in telling if word in line), None)
            if line is None and word not in " ".join(telling):
                self.wrong.append(f"it doesn't say {word!r}: {' / '.join(ended.lines[-12:])}")
            elif line is not None:
                self.said.append(_PLACE.sub("…/", line)[:160])

    def state_is(self, base: Base, ended: Ended, tag: str, expected: str) -> None:
        """The word that the tool says last, what answers at the ports, and what it should be, are one."""
        named = [word for line in ended.lines for word in WORDS if line.startswith(word)]
        truth = base.site.standing(tag)
        self.state = truth
        if named[-1:] != [truth] or truth != expected:
            self.wrong.append(f"expected {expected}, it says {named}, there is {base.site.revisions()}")

    def untouched(self, base: Base) -> None:
        """v1 answers everywhere, the same processes as before."""
        self.state = "all-old"
        if set(base.site.revisions().values()) != {"v1"}:
            self.wrong.append(f"expected v1 everywhere, there is {base.site.revisions()}")


Fault = Callable[[Base, Case], None]


def campaign(base: Base, share: str, only: str, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Those of the share by name, as far as they were tried; after the last with what was lost."""
    from tests.acceptance import (  # they name this module's types
        faults_after,
        faults_before,
        faults_kinds,
        faults_night,
        faults_rollout,
    )

    every = {
        **faults_before.FAULTS,
        **faults_rollout.FAULTS,
        **faults_after.FAULTS,
        **faults_night.FAULTS,
        **faults_kinds.FAULTS,
    }
    number, of = (int(part) for part in share.split("/"))
    chosen = [name for index, name in enumerate(every) if index % of == number - 1 and _is_named(name, only)]
    found: dict[str, Any] = {}
    for name in chosen:
        case = one(base, name, every[name])
        found[name] = case.__dict__ | {"ok": not case.wrong}
        say(f"{'ok    ' if not case.wrong else 'FAILED'} {name} ({case.seconds:.0f} s) {case.noticed} {case.after}")
        for wrong in case.wrong:
            say(f"    {wrong}")
        yield found
    base.load.stop()
    missing = asyncio.run(lost(base.load, base.site.postgres.url))
    say(f"{len(base.load.acknowledged)} inputs acknowledged, {base.load.refused} refused; lost: {missing}")
    for tried in found.values():
        tried["load"] = {"acknowledged": len(base.load.acknowledged), "lost": missing.__dict__}
    yield found


def _is_named(name: str, only: str) -> bool:
    """`only`: parts of names, separated by commas; empty: all."""
    return any(part in name for part in only.split(","))


def one(base: Base, name: str, fault: Fault) -> Case:
    """The fault, and the way back from it."""
    case = Case(name, (fault.__doc__ or "").strip())
    began = time.monotonic()
    try:
        fault(base, case)
    except Exception:
        case.wrong.append(traceback.format_exc(limit=3))
    case.after = _back(base, case)
    case.seconds = round(time.monotonic() - began, 1)
    return case


def _back(base: Base, case: Case) -> str:
    """v1, verified: by a rollback unless it never left, or has come back."""
    if set(base.site.revisions().values()) == {"v1"} and not _is_unfinished(base):
        verified = base.release("verify", "--rev", "v1")
        for _ in range(AGAIN):  # a server that came back is noticed within seconds
            verified = verified if verified.code == 0 else base.release("verify", "--rev", "v1")
        if verified.code != 0:
            case.wrong.append(f"v1 isn't verified afterwards: {' / '.join(verified.lines[-12:])}")
        return "v1 goes on, verified"
    back = base.roll_back()
    if back.code != 20 or set(base.site.revisions().values()) != {"v1"}:
        case.wrong.append(f"rollback ended with {back.code}: {' / '.join(back.lines[-14:])}")
    return f"rolled back and verified in {back.seconds:.0f} s ({back.code})"


def _is_unfinished(base: Base) -> bool:
    return unfinished.find(Home(base.site.home, "staging")) is not None

"""The steps of a runbook section: one line each, what failed, one command to copy next and the safe alternative."""

from __future__ import annotations

import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from uniassist.release.clock import now
from uniassist.release.report.checklist import attempt

WIDTH = 80
_INDENT = "      "


@dataclass(frozen=True)
class Advice:
    """For when a step fails. `next` is one command to copy, `safe` what to do instead."""

    next: str
    safe: str


@dataclass(frozen=True)
class Step:
    """One step, as it ended.

    number: in its section; 0: it comes before what the runbook counts.
    result: ok, failed, skipped or not run.
    runbook: the section, and the number there.
    next, safe: what to do when it failed.
    word: instead of ok.
    beside: what else stands on its line.
    """

    number: int
    name: str
    result: str
    seconds: float
    started_at: str
    detail: str
    runbook: str
    next: str = ""
    safe: str = ""
    word: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Wording:
    """`word` instead of ok; `beside` is asked when the step has ended."""

    word: str = ""
    beside: Callable[[], str] = str


_PLAIN = Wording()


@dataclass
class Steps:
    """`say` gets finished lines; `began` what is under way, for a terminal."""

    total: int
    say: Callable[[str], None]
    began: Callable[[str], None] = lambda _line: None
    steps: list[Step] = field(default_factory=list)
    under_way: str | None = None

    async def run(
        self,
        name: str,
        check: Callable[[], Awaitable[str | None]],
        *,
        runbook: str,
        deadline_seconds: float,
        advice: Advice | Callable[[], Advice],
        wording: Wording = _PLAIN,
    ) -> bool:
        """Run one; what it returns is its measurement. True unless it failed.

        advice: called when the step has ended: what failed may say what to do.
        """
        return await self._run(self._counted + 1, name, check, runbook, deadline_seconds, advice, wording)

    async def before(
        self,
        name: str,
        check: Callable[[], Awaitable[str | None]],
        *,
        runbook: str,
        deadline_seconds: float,
        advice: Advice | Callable[[], Advice],
    ) -> bool:
        """The same of one that isn't among the runbook's own."""
        return await self._run(0, name, check, runbook, deadline_seconds, advice, _PLAIN)

    async def _run(
        self,
        number: int,
        name: str,
        check: Callable[[], Awaitable[str | None]],
        runbook: str,
        deadline_seconds: float,
        advice: Advice | Callable[[], Advice],
        wording: Wording,
    ) -> bool:
        self.under_way = name
        self.began(f"{_numbered(number, self.total)}{name} …")
        started_at = now()
        outcome = await attempt(name, check, deadline_seconds)
        self.under_way = None
        failed = outcome.result == "failed"
        advised = advice() if callable(advice) else advice
        self._add(
            Step(
                number,
                name,
                outcome.result,
                outcome.seconds,
                started_at,
                outcome.detail,
                runbook,
                advised.next if failed else "",
                advised.safe if failed else "",
                wording.word,
                wording.beside(),
            )
        )
        return not failed

    def not_run(self, name: str, why: str, *, runbook: str) -> None:
        """A step that an earlier one made pointless."""
        self._add(Step(self._counted + 1, name, "not run", 0.0, now(), why, runbook))

    @property
    def failed(self) -> list[Step]:
        return [step for step in self.steps if step.result == "failed"]

    @property
    def skipped(self) -> list[Step]:
        return [step for step in self.steps if step.result == "skipped"]

    @property
    def ok(self) -> bool:
        """Every step there is was run or skipped, and none failed."""
        return self._counted == self.total and not self.failed and all(s.result != "not run" for s in self.steps)

    def document(self) -> list[dict[str, Any]]:
        return [
            {key: value for key, value in camel(asdict(step)).items() if value not in ("", None)}
            for step in self.steps
        ]

    @property
    def _counted(self) -> int:
        return sum(step.number > 0 for step in self.steps)

    def _add(self, step: Step) -> None:
        self.steps.append(step)
        for line in lines_of(step, self.total):
            self.say(line)


def lines_of(step: Step, total: int) -> list[str]:
    """`[2/3] conformance  ok in 12.1 s  (runbook: Pre-release gate 2)`, then its detail, indented."""
    said = {
        "ok": f"{step.word or 'ok'} in {step.seconds:.1f} s",
        "failed": f"FAILED after {step.seconds:.1f} s",
        "skipped": "skipped",
        "not run": "not run",
    }[step.result]
    line, reference = f"{_numbered(step.number, total)}{step.name}  {said}", f"(runbook: {step.runbook})"
    if step.beside:
        line += f"  {step.beside}"
    lines = [f"{line}  {reference}"]
    if len(lines[0]) > WIDTH:
        lines = [line, _INDENT + reference]
    for paragraph in step.detail.splitlines():
        lines += wrapped(paragraph)
    if step.next:
        lines += [f"{_INDENT}next: {step.next}"]  # never wrapped: it is to be copied
    if step.safe:
        lines += wrapped(f"safe: {step.safe}")
    return lines


def _numbered(number: int, total: int) -> str:
    return f"[{number}/{total}] " if number else ""


def wrapped(text: str) -> list[str]:
    """Under a step's line, within the width; what can't be broken sticks out."""
    leading = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        text.strip(),
        WIDTH,
        initial_indent=_INDENT + leading,
        subsequent_indent=_INDENT + leading + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def camel(document: dict[str, Any]) -> dict[str, Any]:
    """Keys as JSON has them everywhere else in this project."""

    def renamed(name: str) -> str:
        first, *rest = name.split("_")
        return first + "".join(part.capitalize() for part in rest)

    return {renamed(key): value for key, value in document.items()}

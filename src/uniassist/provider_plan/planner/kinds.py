"""Kinds of goals, from the files beside this one: `kinds/*.toml`.

A file says by which words (regular expressions, matched in lower case) a goal is of this kind, whether it is due on
the day of an event, how many days and hours a week it usually has, and its phases. A phase has its share of the
days, or, the last one, so many days before it is due; a step its minutes, how much it is needed, how often a week.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from uniassist.contracts.language import Language
from uniassist.contracts.scripts import simplified
from uniassist.provider_plan.planner.model import Item, Phase

GENERAL = "general"


@dataclass(frozen=True)
class Kind:
    """`final_days`: of the last phase, directly before it is due. `during`: what is done on the event's days."""

    name: str
    words: tuple[re.Pattern[str], ...]
    is_event: bool
    usual_days: int
    longest_days: int
    weekly_minutes: int
    final_days: int
    most_slack_days: int
    phases: dict[Language, tuple[Phase, ...]]
    items: dict[Language, tuple[Item, ...]]
    during: dict[Language, tuple[str, ...]]

    def matches(self, text: str) -> int:
        """How many characters of the text its words are."""
        return sum(len(found[0]) for word in self.words if (found := word.search(text)) is not None)


def kind_of(text: str) -> str:
    """The kind of goal that its words tell best, `general` where none does."""
    plain = simplified(text).lower()
    counted = {name: kind.matches(plain) for name, kind in kinds().items()}
    best = max(counted, key=lambda name: counted[name])
    return best if counted[best] else GENERAL


@cache
def kinds() -> dict[str, Kind]:
    folder = resources.files("uniassist.provider_plan.planner") / "kinds"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".toml")), key=lambda each: each.name)
    return {name: _kind(name, each.read_text("utf-8")) for each in files if (name := each.name[: -len(".toml")])}


def _kind(name: str, text: str) -> Kind:
    given = tomllib.loads(text)
    during = [given["day_of"]] if "day_of" in given else given.get("during", [])
    languages: tuple[Language, Language] = ("zh", "en")
    return Kind(
        name=name,
        words=tuple(re.compile(word) for language in languages for word in given[language]),
        is_event=given["is_event"],
        usual_days=given["usual_days"],
        longest_days=given["longest_days"],
        weekly_minutes=60 * given["weekly_hours"],
        final_days=given["phases"][-1]["final_days"],
        most_slack_days=given["most_slack_days"],
        phases={language: tuple(_phase(each, language) for each in given["phases"]) for language in languages},
        items={language: tuple(_items(given["phases"], language)) for language in languages},
        during={language: tuple(each[language] for each in during) for language in languages},
    )


def _phase(given: dict[str, Any], language: Language) -> Phase:
    return Phase(given["title"][language], given["check"][language] if "check" in given else None)


def _items(phases: list[dict[str, Any]], language: Language) -> list[Item]:
    found = []
    for at, phase in enumerate(phases):
        # What recurs gets eight times the days of what is done once.
        weights = [8 if "each_week" in step else 1 for step in phase["steps"]]
        for step, weight in zip(phase["steps"], weights, strict=True):
            found.append(
                Item(
                    title=step["title"][language],
                    phase=at,
                    minutes=step["minutes"],
                    need=step.get("need", 1),
                    each_week=step.get("each_week", 0),
                    is_final="final_days" in phase,
                    weight=phase.get("share", 1) * weight / sum(weights),
                )
            )
    return found

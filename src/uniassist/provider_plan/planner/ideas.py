"""What a model suggests for a plan: titles and minutes for each phase. Days, order and what fits are ours."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from uniassist.contracts.language import Language
from uniassist.provider_plan.planner.kinds import kinds
from uniassist.provider_plan.planner.making import begin_of, event_items, lay_out, phases_of
from uniassist.provider_plan.planner.model import Goal, Item, Plan

MOST_STEPS_A_PHASE = 6
MOST_TITLE = 80
_LEAST_MINUTES, _MOST_MINUTES = 10, 480
_FORBIDDEN = ("http", "www.", "<", ">", "`", "{", "}", "[", "]", "\\", "@", "://")


@dataclass(frozen=True)
class Idea:
    """`minutes`: each time; `each_week`: how often, 0 for once."""

    title: str
    minutes: int
    each_week: int = 0


Ideas = Sequence[Sequence[Idea]]
"""For each of the kind's phases, in their order."""


def is_good(idea: Idea) -> bool:
    """Whether a person may be shown it as a step: one short line of plain words, a time that a day has."""
    title = idea.title.strip()
    is_plain = all(unicodedata.category(each)[0] not in "CZ" or each == " " for each in title)
    return (
        2 <= len(title) <= MOST_TITLE
        and is_plain
        and any(each.isalpha() for each in title)
        and not any(each in title.lower() for each in _FORBIDDEN)
        and _LEAST_MINUTES <= idea.minutes <= _MOST_MINUTES
        and 0 <= idea.each_week <= 7
    )


def richer(goal: Goal, language: Language, ideas: Ideas) -> Plan | None:
    """The plan with the ideas in its phases; None where they make none that can be lived by.

    A phase whose ideas are none, or too many, or not good to the last one, has its usual steps.
    """
    kind = kinds()[goal.kind]
    if len(ideas) != len(kind.phases[language]):
        return None
    items: list[Item] = []
    is_other = False
    for phase, suggested in enumerate(ideas):
        usual = [each for each in kind.items[language] if each.phase == phase]
        titles = [each.title.strip() for each in suggested]
        is_usable = 0 < len(suggested) <= MOST_STEPS_A_PHASE and len({*titles}) == len(titles)
        if not is_usable or not all(is_good(each) for each in suggested):
            items += usual
            continue
        is_other = True
        share = sum(each.weight for each in usual)
        weights = [8 if each.each_week else 1 for each in suggested]
        items += [
            Item(
                title=each.title.strip(),
                phase=phase,
                minutes=each.minutes,
                need=2 if at > 1 else 1,
                each_week=each.each_week,
                is_final=usual[0].is_final,
                weight=share * weight / sum(weights),
            )
            for at, (each, weight) in enumerate(zip(suggested, weights, strict=True))
        ]
    if not is_other:
        return None
    every = (*items, *event_items(goal, language))
    plan = lay_out(goal, language, phases_of(goal, language), every, begin_of(goal))
    return plan if next(plan.problems(), None) is None else None

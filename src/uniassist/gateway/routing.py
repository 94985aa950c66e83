"""Which providers a message concerns. Pure; scores are counted in integer thousandths.

The rules are the contract's, section "Routing and sessions".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

BASE, PER_KEYWORD, CAP = 450, 180, 950
SELECTED_FROM, AT_MOST, CLOSE = 550, 2, 100
FRESH_BOOST, DECAY = 150, 30
LEAD, LEAD_TURNS = 150, 2
DRIFT_BELOW, DRIFT_TURNS, DRIFT_CARD_EVERY = 0.3, 2, 5
BUILTIN = "builtin_chat"


class Memory(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """What a session remembers, kept as JSON in sessions.state. Boost in thousandths.

    `is_introduced`: the builtin chat has said who it is.
    """

    sticky: str | None = None
    boost: int = 0
    leader: str | None = None
    lead_turns: int = 0
    last_text: str | None = None
    dissimilar_turns: int = 0
    turn: int = 0
    drift_card_turn: int | None = None
    is_introduced: bool = False


@dataclass(frozen=True)
class Provider:
    provider_id: str
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """`score` in thousandths; `hits` are the keywords found; `boosted` says whether the sticky boost is in it."""

    provider_id: str
    score: int
    hits: tuple[str, ...]
    boosted: bool


@dataclass(frozen=True)
class Decision:
    candidates: tuple[Scored, ...]
    selected: tuple[Scored, ...]
    needs_confirmation: bool


def score(text: str, provider: Provider, *, boost: int) -> Scored:
    """min(950, 450 + 180 × keywords hit), 0 when none is hit, plus the boost."""
    lowered = text.casefold()
    hits = tuple(keyword for keyword in provider.keywords if keyword.casefold() in lowered)
    base = min(CAP, BASE + PER_KEYWORD * len(hits)) if hits else 0
    return Scored(provider.provider_id, base + boost, hits, boost > 0)


def decide(text: str, providers: Sequence[Provider], memory: Memory) -> Decision:
    """Best first; equal scores keep the order of the providers file."""
    scored = [
        score(text, provider, boost=memory.boost if provider.provider_id == memory.sticky else 0)
        for provider in providers
    ]
    candidates = tuple(sorted((each for each in scored if each.score > 0), key=lambda each: -each.score))
    selected = tuple(each for each in candidates if each.score >= SELECTED_FROM)[:AT_MOST]
    close = len(selected) == AT_MOST and selected[0].score - selected[1].score < CLOSE
    return Decision(candidates, selected, close)


def after_turn(memory: Memory, decision: Decision) -> tuple[Memory, str | None]:
    """The memory after a turn, and the provider to offer a switch to, if any.

    The first provider selected becomes sticky; its boost decays each later turn. Another one that leads it by
    LEAD on LEAD_TURNS turns running is offered, once, and has to lead anew before it is offered again.
    """
    if memory.sticky is None:
        if not decision.selected:
            return memory, None
        return _stuck_to(memory, decision.selected[0].provider_id), None
    decayed = max(0, memory.boost - DECAY)
    scores = {each.provider_id: each.score for each in decision.candidates}
    others = [each for each in decision.candidates if each.provider_id != memory.sticky]
    leader = others[0] if others and others[0].score - scores.get(memory.sticky, 0) >= LEAD else None
    if leader is None:
        return msgspec.structs.replace(memory, boost=decayed, leader=None, lead_turns=0), None
    turns = memory.lead_turns + 1 if memory.leader == leader.provider_id else 1
    if turns < LEAD_TURNS:
        return (
            msgspec.structs.replace(memory, boost=decayed, leader=leader.provider_id, lead_turns=turns),
            None,
        )
    return msgspec.structs.replace(memory, boost=decayed, leader=None, lead_turns=0), leader.provider_id


def switched(memory: Memory, provider_id: str) -> Memory:
    """After the user took the switch: sticky to that provider, with a fresh boost."""
    return _stuck_to(memory, provider_id)


def after_text(memory: Memory, *, alike: float | None, text: str) -> tuple[Memory, bool]:
    """Count a user text for topic drift; True when the card is due.

    `alike` is the similarity to the text before; None when either is too short to tell, or there is none before:
    then nothing is counted, and a text too short isn't compared with later either (`text` is "").
    """
    turn = memory.turn + 1
    kept = text or memory.last_text
    if alike is None:
        return msgspec.structs.replace(memory, turn=turn, last_text=kept), False
    dissimilar = memory.dissimilar_turns + 1 if alike < DRIFT_BELOW else 0
    rested = memory.drift_card_turn is None or turn - memory.drift_card_turn >= DRIFT_CARD_EVERY
    due = dissimilar >= DRIFT_TURNS and rested
    return (
        msgspec.structs.replace(
            memory,
            turn=turn,
            last_text=kept,
            dissimilar_turns=0 if due else dissimilar,
            drift_card_turn=turn if due else memory.drift_card_turn,
        ),
        due,
    )


def _stuck_to(memory: Memory, provider_id: str) -> Memory:
    return msgspec.structs.replace(memory, sticky=provider_id, boost=FRESH_BOOST, leader=None, lead_turns=0)

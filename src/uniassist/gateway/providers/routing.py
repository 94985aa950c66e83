"""Which providers a message concerns. Pure; scores are counted in integer thousandths.

The rules are the contract's, section "Routing and sessions".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from uniassist.gateway.providers import keywords

BASE, PER_KEYWORD, CAP = 450, 180, 950
SELECTED_FROM, AT_MOST, CLOSE = 550, 2, 100
FRESH_BOOST, DECAY = 150, 30
LEAD, LEAD_TURNS = 150, 2
DRIFT_BELOW, DRIFT_TURNS, DRIFT_CARD_EVERY = 0.3, 2, 5
FLOOR_MS, LONGEST_FLOOR_MS = 30 * 60 * 1000, 24 * 3600 * 1000
SAME_MOMENT_MS, MOST_HEARD = 10_000, 7
BUILTIN = "builtin_chat"
# Characters of a text in which keywords are looked for: a megabyte holds the loop for as long as all else of it.
ROUTED = 50_000


class Floor(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """Who is being talked to: the next text goes there, unless another provider clearly wins it.

    `run_id`: whose answer expected a reply.
    `until_ms`: Unix milliseconds.
    `hint`: what the provider noted with that, for itself.
    """

    provider_id: str
    run_id: str
    until_ms: int
    hint: str | None = None


class Heard(msgspec.Struct, array_like=True, frozen=True):
    """The last interaction with a run (empty: with the session), by a digest of what it says."""

    run_id: str
    digest: str
    at_ms: int


class Memory(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """What a session remembers for routing, kept as JSON in sessions.state.

    `sticky`: the provider whose score gets the boost.
    `boost`: in thousandths.
    `leader`, `lead_turns`: who outscores the sticky provider, and for how many turns running.
    `last_text`: normalized; None before the first text long enough to tell its topic.
    `dissimilar_turns`: texts running that were unlike the one before.
    `turn`: texts so far.
    `drift_card_turn`: when a new session was last offered.
    `is_introduced`: the builtin chat has said who it is.
    `locale`: the language that was spoken last, as a locale.
    `timezone`: the zone that an input named last; an interaction names none.
    `floor`: who is being talked to.
    `heard`: the last interactions, one for each run, for when one comes twice at the same moment.
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
    locale: str | None = None
    timezone: str | None = None
    floor: Floor | None = None
    heard: tuple[Heard, ...] = ()


@dataclass(frozen=True)
class RoutingRule:
    """What a provider listens for."""

    provider_id: str
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """A provider's score for one text.

    `score`: in thousandths.
    `hits`: the keywords found.
    `boosted`: the sticky boost is in the score.
    """

    provider_id: str
    score: int
    hits: tuple[str, ...]
    boosted: bool


@dataclass(frozen=True)
class Decision:
    """Who could answer a text, best first, and who of them is asked.

    `needs_confirmation`: two are asked, and their scores are close.
    `continues`: the run that the text is a reply to; its provider is the one that is selected.
    `is_addressed`: the client named whom it asks.
    """

    candidates: tuple[Scored, ...]
    selected: tuple[Scored, ...]
    needs_confirmation: bool
    continues: str | None = None
    is_addressed: bool = False


def score(text: str, provider: RoutingRule, *, boost: int) -> Scored:
    """min(950, 450 + 180 × keywords hit), 0 when none is hit, plus the boost."""
    return _score(keywords.fold(text), provider, boost)


def _score(folded: str, provider: RoutingRule, boost: int) -> Scored:
    hits = keywords.found_in(folded, provider.keywords)
    base = min(CAP, BASE + PER_KEYWORD * len(hits)) if hits else 0
    return Scored(provider.provider_id, base + boost, hits, boost > 0)


def decide(text: str, providers: Sequence[RoutingRule], memory: Memory) -> Decision:
    """Best first; equal scores keep the order of the providers file. Only ROUTED characters are looked at."""
    folded = keywords.fold(text[:ROUTED])[:ROUTED]
    scored = [
        _score(folded, provider, memory.boost if provider.provider_id == memory.sticky else 0)
        for provider in providers
    ]
    candidates = tuple(sorted((each for each in scored if each.score > 0), key=lambda each: -each.score))
    selected = tuple(each for each in candidates if each.score >= SELECTED_FROM)[:AT_MOST]
    close = len(selected) == AT_MOST and selected[0].score - selected[1].score < CLOSE
    return Decision(candidates, selected, close)


def continued(decision: Decision, floor: Floor) -> Decision:
    """The decision where `floor` stands: the text goes to whom it replies to, unless another provider has LEAD."""
    scores = {each.provider_id: each for each in decision.candidates}
    own = scores.get(floor.provider_id) or Scored(floor.provider_id, 0, (), boosted=False)
    others = tuple(each for each in decision.candidates if each.provider_id != floor.provider_id)
    if others and others[0].score - own.score >= LEAD:
        return decision
    return Decision((own, *others), (own,), needs_confirmation=False, continues=floor.run_id)


def addressed(decision: Decision, provider_id: str, floor: Floor | None) -> Decision:
    """The decision where the client names whom it asks. It is a reply where that one waits for it."""
    scores = {each.provider_id: each for each in decision.candidates}
    own = scores.pop(provider_id, None) or Scored(provider_id, 0, (), boosted=False)
    continues = floor.run_id if floor is not None and floor.provider_id == provider_id else None
    return Decision((own, *scores.values()), (own,), False, continues, is_addressed=True)


def standing(memory: Memory, now_ms: int) -> Floor | None:
    """Who is being talked to at this moment."""
    floor = memory.floor
    return floor if floor is not None and now_ms < floor.until_ms else None


def expecting(
    memory: Memory, provider_id: str, run_id: str, *, until_ms: int | None, hint: str | None, now_ms: int
) -> Memory:
    """The memory after an answer that expects a reply."""
    until = min(now_ms + FLOOR_MS if until_ms is None else until_ms, now_ms + LONGEST_FLOOR_MS)
    floor = Floor(provider_id=provider_id, run_id=run_id, until_ms=until, hint=hint) if until > now_ms else None
    return msgspec.structs.replace(memory, floor=floor)


def heard_before(memory: Memory, run_id: str, digest: str, now_ms: int) -> bool:
    """Whether the last interaction with the run was the same, a moment ago."""
    last = next((each for each in memory.heard if each.run_id == run_id), None)
    return last is not None and last.digest == digest and now_ms - last.at_ms < SAME_MOMENT_MS


def hearing(memory: Memory, heard: Heard) -> Memory:
    """The memory after an interaction."""
    others = [each for each in memory.heard if each.run_id != heard.run_id]
    recent = [each for each in others if heard.at_ms - each.at_ms < SAME_MOMENT_MS]
    return msgspec.structs.replace(memory, heard=(*recent[-MOST_HEARD:], heard))


def left(memory: Memory, provider_id: str | None = None) -> Memory:
    """The memory without the floor. `provider_id`: only if it is this one's."""
    if memory.floor is None or (provider_id is not None and memory.floor.provider_id != provider_id):
        return memory
    return msgspec.structs.replace(memory, floor=None)


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
    """After the user took the switch: sticky to that provider with a fresh boost, and nobody has the floor."""
    return left(_stuck_to(memory, provider_id))


def after_text(memory: Memory, *, alike: float | None, text: str) -> tuple[Memory, bool]:
    """The memory after a user's text, and whether a new session is to be offered.

    `alike`: the similarity to the text before. None when either is too short to tell its topic, or there is none
    before; nothing is counted then.
    `text`: normalized; empty when it is too short, and later texts aren't compared with it.
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

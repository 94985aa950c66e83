"""One run: people who write, answers that get lost, a platform that stumbles, adapters that are killed; then the
window passes for some of them, everything comes to rest, and all is counted."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import eventually
from tests.wechat_soak.checks import Findings, judge
from tests.wechat_soak.provider import QUICK, SLOW
from tests.wechat_soak.system import System, started
from uniassist.wechat_simulator.api import SEND, TOKEN, Fault

REST_SECONDS = 180.0
PUSH_SECONDS = 5.5
WINDOW_HOURS = 49
_LATE = (6.0, 7.0)  # above what a push waits for, so that it is said after the window
_FAULTS = {
    "accepted, then dropped": Fault("accepted_then_dropped"),
    "dropped": Fault("dropped"),
    "busy": Fault("code", -1),
    "busy, said late": Fault("code", -1, seconds=2.5),
    "502": Fault("status", 502),
}
_OPEN = "SELECT count(*) FROM wechat_replies WHERE state IN ('waiting', 'sending')"
_UNSAID = """
SELECT (SELECT count(*) FROM provider_runs WHERE status IN ('pending', 'running'))
     + (SELECT count(*) FROM wechat_reports)
     + (SELECT count(*) FROM timeline_events e LEFT JOIN wechat_replies r USING (event_id)
        WHERE e.kind = 'interaction' AND e.session_id LIKE 'wx-session:%' AND r.event_id IS NULL)
"""
_PARKED = "SELECT count(DISTINCT openid) FROM wechat_replies WHERE state = 'parked' AND text LIKE '答复%两天%'"
_PASS = "UPDATE wechat_people SET message_at = message_at - make_interval(hours => $1), event_at = NULL"


@dataclass(frozen=True)
class Plan:
    people: int
    messages: int
    at_once: int
    seed: int
    kill_pause_seconds: float = 3.0
    late_people: int = 20


@dataclass
class Outcome:
    plan: Plan
    findings: Findings = field(default_factory=Findings)
    done: Counter[str] = field(default_factory=Counter)
    answers: list[float] = field(default_factory=list)
    seconds: float = 0.0
    rested_after_seconds: float = 0.0
    late_parked: int = 0
    repeated: dict[str, list[str]] = field(default_factory=dict)
    complaints: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        return self.findings.clean and self.late_parked == min(self.plan.late_people, self.plan.people)


async def run(directory: Path, plan: Plan) -> Outcome:
    outcome = Outcome(plan)
    async with started(directory, plan.seed) as system:
        written = {f"o-{plan.seed}-{number:04}": list[str]() for number in range(plan.people)}
        began = time.monotonic()
        ends = asyncio.Event()
        troubles = [asyncio.create_task(trouble(system, outcome, ends)) for trouble in (_kill, _stumble)]
        places = asyncio.Semaphore(plan.at_once)
        chance = random.Random(plan.seed)
        lives = [_live(system, outcome, openid, written, places, chance.random()) for openid in written]
        await asyncio.gather(*lives)
        ends.set()
        await asyncio.gather(*troubles)
        outcome.seconds = time.monotonic() - began
        system.wechat.faults.clear()
        await _wait_for_rest(system, outcome)
        late = list(written)[: plan.late_people]
        outcome.late_parked = await _let_the_window_pass(system, late, written)
        await _wait_for_rest(system, outcome)
        outcome.findings = await judge(system, written, outcome.repeated)
        outcome.complaints = _complaints(directory)
    return outcome


async def _live(
    system: System,
    outcome: Outcome,
    openid: str,
    written: dict[str, list[str]],
    places: asyncio.Semaphore,
    seed: float,
) -> None:
    """A person's messages: mostly one after the other, now and then the next before the answer."""
    chance = random.Random(f"{outcome.plan.seed} {openid} {seed}")
    async with places:
        under_way: set[asyncio.Task[None]] = set()
        for number in range(outcome.plan.messages):
            kind = chance.choices([QUICK, SLOW, "计划", "闲聊"], [6, 2, 1, 1])[0]
            text = f"{kind} {openid} {number}"
            written[openid].append(text)
            # One at most: with a killed adapter that makes two, and the third push has to be answered.
            lose = chance.choices([0, 1], [85, 15])[0]
            under_way.add(asyncio.create_task(_write(system, outcome, openid, text, lose)))
            if chance.random() < 0.2 and len(under_way) < 3:
                outcome.done["overlapping messages"] += 1
                await asyncio.sleep(chance.uniform(0.05, 0.5))
                continue
            await asyncio.gather(*under_way)
            under_way.clear()
            if chance.random() < 0.3:  # and writes again while an answer may be on its way as a message
                await asyncio.sleep(chance.uniform(0.5, 3.0))
        await asyncio.gather(*under_way)


async def _write(system: System, outcome: Outcome, openid: str, text: str, lose: int) -> None:
    pushed = await system.wechat.say(openid, text, lose=lose)
    outcome.done["messages"] += 1
    outcome.done["pushes"] += len(pushed.tries)
    for failed in pushed.tries[:-1]:
        outcome.done["answers lost" if failed.startswith("lost") else f"pushes again after: {failed}"] += 1
    if pushed.tries == ["answered"]:
        outcome.answers.append(pushed.seconds)
    elif pushed.text is not None:
        outcome.repeated.setdefault(openid, []).append(pushed.text)


async def _kill(system: System, outcome: Outcome, ends: asyncio.Event) -> None:
    chance = random.Random(f"{outcome.plan.seed} kill")
    index = 0
    while not ends.is_set():
        # As long as a push may last, so that none meets two killed adapters: two of its three are then answered.
        await _pause(ends, PUSH_SECONDS + chance.uniform(0.0, 2.0) * outcome.plan.kill_pause_seconds)
        if ends.is_set():
            return
        await system.restart(index)
        outcome.done["adapters killed"] += 1
        index = 1 - index


async def _stumble(system: System, outcome: Outcome, ends: asyncio.Event) -> None:
    chance = random.Random(f"{outcome.plan.seed} stumble")
    while not ends.is_set():
        name = chance.choice(list(_FAULTS))
        system.wechat.faults.add(SEND, _FAULTS[name])
        outcome.done[f"sends: {name}"] += 1
        if chance.random() < 0.1:
            system.wechat.account.revoke_tokens()
            outcome.done["tokens revoked"] += 1
        if chance.random() < 0.05:
            system.wechat.clock.advance(7201)  # every token has expired; 48 hours have not passed
            outcome.done["tokens expired"] += 1
        if chance.random() < 0.05:
            system.wechat.faults.add(TOKEN, Fault("dropped"))
            outcome.done["token calls dropped"] += 1
        await _pause(ends, chance.uniform(0.2, 1.0))


async def _pause(ends: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(ends.wait(), seconds)
    except TimeoutError:
        return


async def _wait_for_rest(system: System, outcome: Outcome) -> None:
    began = time.monotonic()

    async def rests() -> bool:
        return (await system.pool.fetchval(_OPEN), await system.pool.fetchval(_UNSAID)) == (0, 0)

    try:
        await eventually(rests, "nothing is under way", REST_SECONDS, pause_seconds=0.3)
    except AssertionError:
        outcome.done["not at rest in time"] += 1
    outcome.rested_after_seconds = max(outcome.rested_after_seconds, time.monotonic() - began)


async def _let_the_window_pass(system: System, late: list[str], written: dict[str, list[str]]) -> int:
    """They ask, two days pass, the answer comes: it has to wait for them. How many do."""
    system.provider.seconds = _LATE
    texts = {openid: f"{SLOW} {openid} 两天" for openid in late}
    for openid, text in texts.items():
        written[openid].append(text)
    await asyncio.gather(*(system.wechat.say(openid, text) for openid, text in texts.items()))
    system.wechat.clock.advance(WINDOW_HOURS * 3600)
    await system.pool.execute(_PASS, WINDOW_HOURS)

    async def parked() -> int:
        found: int = await system.pool.fetchval(_PARKED)
        return found

    async def all_are() -> bool:
        return await parked() == len(late)

    with contextlib.suppress(AssertionError):  # the report says how many
        await eventually(all_are, "the late answers wait", 60)
    return await parked()


def _complaints(directory: Path) -> Counter[str]:
    """Error lines of the services' logs, by what they say."""
    found: Counter[str] = Counter()
    for log in directory.glob("adapter-wechat-*.log"):
        for line in log.read_text("utf-8", "replace").splitlines():
            if '"level": "error"' in line:
                found[line.partition('"event": "')[2].partition('"')[0] or line[:120]] += 1
    return found

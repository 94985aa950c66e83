"""What must hold with any server that speaks the protocol, whatever its model says."""

from __future__ import annotations

import re
import sys
import time

from tests.integration.gateway.client import Json, interactions, message, run_states, unique
from tests.integration.gateway.sse import follow
from tests.real_model.system import System
from tests.waiting import eventually

WAIT_SECONDS = 300
_MUCH = 100_000


async def all_of(system: System) -> int:
    """How many failed; each is told as it ends."""
    failed = 0
    for check in (
        streams_and_counts,
        cancels,
        answers_after_what_is_too_long,
        hands_over_or_talks,
        keeps_its_budget,
        survives_its_absence,
    ):
        began = time.monotonic()
        try:
            found = await check(system)
        except AssertionError as error:
            failed += 1
            found = f"FAILED: {error}"
        print(f"{check.__name__}: {found} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    return failed


async def streams_and_counts(system: System) -> str:
    before, session_id = _tokens(system), unique("session")
    async with follow(system.gateway.url, session_id) as reader:
        run_id, events = await _ask(system, "What is the capital of France?", session_id)
        await reader.until(lambda f: f.events == events, "all events came")
    [said] = _said(events, run_id)
    assert reader.shown == [said], "the deltas are the message"
    cost = {of: count - before[of] for of, count in _tokens(system).items()}
    assert min(cost.values()) > 0, cost
    return f"{len(reader.deltas)} deltas, {cost}: {said!r}"


async def cancels(system: System) -> str:
    session_id = unique("session")
    async with follow(system.gateway.url, session_id) as reader:
        ack = await system.gateway.ingest(message("Count from one to fifty, in words.", sessionId=session_id))
        [run] = ack["runs"]
        await reader.until(lambda f: bool(f.deltas), "it streams", WAIT_SECONDS)
        body = {
            "schemaVersion": "v0",
            "traceId": unique("cancel"),
            "sessionId": session_id,
            "userId": "user-1",
            "timestampMs": int(time.time() * 1000),
        }
        answer = await system.gateway.post(f"/v0/runs/{run['runId']}/cancel", body)
        assert answer.status == 200, answer.body
        await reader.until(lambda f: run_states(f.events, run["runId"])[-1:] == ["cancelled"], "it is cancelled")
    assert _said(await system.gateway.timeline(session_id), run["runId"]) == []
    return f"after {len(reader.deltas)} deltas"


async def answers_after_what_is_too_long(system: System) -> str:
    """A message above the context gets the plain answer; in the history of the next it is left away."""
    system.configure(history_tokens=_MUCH)
    session_id = unique("session")
    run_id, events = await _ask(system, "天地玄黄宇宙洪荒" * 1000, session_id)
    assert run_states(events, run_id)[-1] == "failed", "this model takes more than 8,000 wide characters"
    plain = _said(events, run_id)
    run_id, events = await _ask(system, "What is 2 + 2?", session_id)
    system.configure()
    assert run_states(events, run_id)[-1] == "completed"
    return f"{plain}, then {_said(events, run_id)}"


async def hands_over_or_talks(system: System) -> str:
    """A tool is offered; a model may ignore it, or call it rightly. What it garbles is refused."""
    system.configure(hands_over=True)
    run_id, events = await _ask(system, "I want to be fit by summer. Could somebody set that up for me?")
    assert run_states(events, run_id)[-1] == "completed"
    system.configure()
    runs = {each["providerId"] for each in events if each["kind"] == "provider_run"}
    return f"runs of {sorted(runs)}, said {_said(events, run_id)}"


async def keeps_its_budget(system: System) -> str:
    system.configure(history_tokens=60, max_tokens=20)
    session_id, costs = unique("session"), list[float]()
    for text in ("My cat is called Miu.", "She is three years old.", "She likes fish.", "What do cats eat?"):
        before = _tokens(system)["prompt"]
        await _ask(system, text, session_id)
        costs.append(_tokens(system)["prompt"] - before)
    system.configure()
    assert costs[-1] < costs[0] + 2 * 60, costs
    return f"prompts of {costs} tokens"


async def survives_its_absence(system: System) -> str:
    system.configure(is_away=True)

    async def is_away() -> list[str] | None:
        run_id, events = await _ask(system, "What is 2 + 2?")
        return _said(events, run_id) if run_states(events, run_id)[-1] == "failed" else None

    plain = await eventually(is_away, "the model is away", WAIT_SECONDS)
    system.configure()

    async def is_back() -> bool:
        run_id, events = await _ask(system, "What is 2 + 2?")
        return run_states(events, run_id)[-1] == "completed"

    await eventually(is_back, "it is back", WAIT_SECONDS, 1.0)
    return f"{plain}, then it is back"


async def _ask(system: System, text: str, session_id: str | None = None) -> tuple[str, list[Json]]:
    sent = message(text, sessionId=session_id or unique("session"), locale="en")
    ack = await system.gateway.ingest(sent)
    [run] = ack["runs"]

    async def over() -> list[Json] | None:
        events = await system.gateway.timeline(ack["sessionId"])
        return events if run_states(events, run["runId"])[-1:] in (["completed"], ["failed"]) else None

    return run["runId"], await eventually(over, "it is answered", WAIT_SECONDS, 0.5) or []


def _said(events: list[Json], run_id: str) -> list[str]:
    return [each["text"] for each in interactions(events, run_id)]


def _tokens(system: System) -> dict[str, float]:
    found = dict[str, float](prompt=0, completion=0)
    text = system.process.scraped()
    for of, count in re.findall(r'uniassist_chat_tokens_total\{of="(\w+)",provider="chat"\} ([0-9.e+]+)', text):
        found[of] = float(count)
    return found

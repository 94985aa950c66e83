"""Gateways and agents killed in the middle of streamed runs, clients of every front that drop at random.

Eight kills; UNIASSIST_FRONT_KILLS=20 for more, with the figures in UNIASSIST_FRONT_REPORT when that names a file.
Behind are a provider of ours, an A2A agent that lives, and one that is killed as the gateways are, and goes on with
its tasks when it is started again. Both agents' own logs say that they got each message once.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from tests.integration.gateway.client import GatewayClient, Json, interactions, unique
from tests.integration.gateway.fronts.conftest import FRONTED, when_fronted
from tests.integration.gateway.fronts.dropping import SAID, A2aReader, AgUiReader, OpenAiReader, Reading, reads
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.scripted_agents import ScriptedAgents, scripted_agents
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

KILLS = int(os.environ.get("UNIASSIST_FRONT_KILLS", "8"))
GATEWAYS_IN_A_ROUND = 4  # a call is tried five times
_STORY = "A:x:first a:y:half wait A:y:whole done:last"
SCRIPTS = {"calm": "m:first d:a:half wait e:a:halfwhole m:last end", "rpc": _STORY, "kept": _STORY}
FRONTS = (OpenAiReader, A2aReader, AgUiReader)


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[ScriptedAgents]:
    """Agents that are killed. Those under /kept go on."""
    folder = tmp_path / "doomed"
    folder.mkdir()
    with scripted_agents(folder) as found:
        yield found


@pytest.mark.slow
@pytest.mark.timeout(120 + 25 * KILLS)
async def test_each_client_sees_each_durable_event_once_whoever_dies(
    service: Callable[..., ServiceProcess],
    fronts_env: Mapping[str, str],
    streams: StreamingProvider,
    agents: ScriptedAgents,
    doomed: ScriptedAgents,
    http: JsonClient,
    tmp_path: Path,
) -> None:
    file = tmp_path / "providers.toml"
    kept = entry("kept", "kept", f"{doomed.url}/kept", kind='"a2a"', timeout_ms="20000")
    file.write_text(Path(fronts_env["UNIASSIST_PROVIDERS_FILE"]).read_text("utf-8") + kept, "utf-8")
    env = dict(fronts_env) | {"UNIASSIST_PROVIDERS_FILE": str(file)}
    processes = [service("gateway", **env) for _ in range(2)]
    for process in processes:
        await when_fronted(http, process.url, len(FRONTED) + 1)

    async def kills_gateway(number: int) -> None:
        victim = processes[number % 2]
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)
        await when_fronted(http, victim.url, len(FRONTED) + 1)

    def got(reader: Reading) -> list[Json]:
        name = reader.text.split()[0]
        if name == "calm":
            return [call for call in streams.calls if call.get("input", {}).get("text") == reader.text]
        return (agents if name == "rpc" else doomed).messages(reader.text)

    urls, killed, began, all_readers = [process.url for process in processes], Counter[str](), time.monotonic(), []
    attempts = Counter[int]()
    while killed.total() < KILLS:
        streams.let_go.clear()
        agents.hold()
        doomed.hold()
        readers: list[Reading] = [
            front(f"{provider} {unique('story')} {script}")
            for provider, script in SCRIPTS.items()
            for front in FRONTS
        ]
        reading = [asyncio.create_task(reads(reader, urls)) for reader in readers]
        for reader in readers:
            await eventually(partial(got, reader), "their runs are under way", 180)
        for number in range(min(2 * GATEWAYS_IN_A_ROUND, KILLS - killed.total())):
            if number % 2:
                await asyncio.to_thread(doomed.restart)
                killed["agent"] += 1
            else:
                await kills_gateway(killed["gateway"])
                killed["gateway"] += 1
        streams.let_go.set()
        agents.let_go()
        doomed.let_go()
        await asyncio.wait_for(asyncio.gather(*reading), 180)
        for reader in readers:
            reader.check()
            await check_timeline(GatewayClient(http, urls[0]), reader)
            if not reader.text.startswith("calm"):
                assert len(got(reader)) == 1, "the agent got it once"
        assert sum(reader.drops for reader in readers) >= len(readers)
        again = [
            streams.attempts[call["run"]["runId"]] for reader in readers for call in got(reader) if "run" in call
        ]
        assert max(again) > 1, "the kills met some that were under way"
        attempts.update(again)
        all_readers += readers
    woken = [each for each in doomed.log if "wokeUp" in each]
    assert woken, "and an agent in the middle of its work"
    report(killed, all_readers, len(woken), attempts, time.monotonic() - began)


async def check_timeline(gateway: GatewayClient, reader: Reading) -> None:
    events: list[Json] = await gateway.timeline(reader.session_id)
    assert [each["text"] for each in interactions(events)] == SAID
    ends = [each["payload"]["status"] for each in events if each["kind"] == "provider_run"]
    assert ends == ["pending", "completed"], "the run ended once"


def report(
    killed: Mapping[str, int], readers: list[Reading], woken: int, attempts: Mapping[int, int], seconds: float
) -> None:
    path = os.environ.get("UNIASSIST_FRONT_REPORT")
    if not path:
        return
    drops = sum(reader.drops for reader in readers)
    of_agents = sum(not reader.text.startswith("calm") for reader in readers)
    Path(path).write_text(
        f"""# Gateways and agents killed in the middle of streamed runs

{sum(killed.values())} SIGKILLs in {seconds:.0f} s: {killed["gateway"]} of gateways (two, in turn), and between them
{killed["agent"]} of an A2A agent (`a2a-sdk`'s server, its tasks on disk), which had {woken} tasks to go on with.
{len(readers)} runs, each followed by one client, a third of them at each front; they dropped {drops:,} times, and
went on at a gateway taken at random.

Each client saw each durable event once and in order. Each run ended once. Of {of_agents} messages to A2A agents,
each is in the agent's own log once. Attempts at a call of our own provider: {dict(sorted(attempts.items()))}.

`make front-kills`
""",
        "utf-8",
    )

"""What is lost when A2A servers and agents are killed: the SDK's own server beside ours, same agents, same clients.

Two kills each; UNIASSIST_A2A_KILLS=20 for more, with the table in UNIASSIST_A2A_LOSSES when that names a file. Only
ours is judged; the SDK's figures are told as they come, so its server is run only where the table is made.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from a2a.types.a2a_pb2 import TaskState
from tests.integration.gateway.client import unique
from tests.integration.gateway.fronts.conftest import when_fronted
from tests.integration.gateway.fronts.following_client import FollowingClient
from tests.integration.gateway.provider_entries import entry
from tests.processes import ServiceProcess
from tests.scripted_agents import ScriptedAgents, scripted_agents
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

KILLS = int(os.environ.get("UNIASSIST_A2A_KILLS", "2"))
REPORT = os.environ.get("UNIASSIST_A2A_LOSSES", "")
IN_A_ROUND = 4
CLIENTS = 6  # at once
WORDS = 60  # a while apart: a task takes three seconds
SCRIPT = f"A:x:first tell:{WORDS} A:y:whole done"
SAID = ["first", "".join(f"{word} " for word in range(WORDS)), "whole"]


@dataclass
class Setup:
    """`name`: of its column. `agent`: the mount behind it. `resumes`: it is ours."""

    name: str
    agent: str
    resumes: bool
    urls: Sequence[str]
    kill: Callable[[], Awaitable[None]]


@dataclass
class Losses:
    """Over all clients of a setup. `missed`, `again`: artifacts that never came, or whose end came twice."""

    runs: int = 0
    completed: int = 0
    failed: int = 0
    lost: int = 0
    ends: int = 0
    missed: int = 0
    again: int = 0
    garbled: int = 0
    twice: int = 0
    drops: int = 0

    def add(self, client: FollowingClient, got: int) -> None:
        """`got`: how often the agent got its message."""
        self.runs += 1
        self.completed += client.state == TaskState.TASK_STATE_COMPLETED
        self.failed += client.state == TaskState.TASK_STATE_FAILED
        self.lost += client.state is None
        self.ends += client.ended
        shown = list(client.shown.values())
        if client.state == TaskState.TASK_STATE_COMPLETED and shown != SAID:
            print("another text:", client)
        self.missed += sum(not any(text.startswith(said[:5]) for text in shown) for said in SAID)
        self.garbled += client.state == TaskState.TASK_STATE_COMPLETED and shown != SAID
        self.again += sum(times - 1 for times in client.whole.values() if times > 1)
        self.twice += got > 1
        self.drops += client.drops


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[ScriptedAgents]:
    folder = tmp_path / "doomed"
    folder.mkdir()
    with scripted_agents(folder) as found:
        yield found


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * KILLS)
async def test_what_is_lost_there_and_here(
    service: Callable[..., ServiceProcess],
    fronts_env: Mapping[str, str],
    database_url: str,
    redis_url: str,
    doomed: ScriptedAgents,
    http: JsonClient,
    tmp_path: Path,
) -> None:
    file = tmp_path / "providers.toml"
    behind = [
        entry(name, name, f"{doomed.url}/{name}", kind='"a2a"', timeout_ms="20000") for name in ("rpc", "kept")
    ]
    file.write_text("".join(behind), "utf-8")
    # Servers of its own: others' gateways know agents of the same names elsewhere, and would take its calls over.
    own = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "UNIASSIST_PROVIDERS_FILE": str(file)}
    gateways = [service("gateway", **dict(fronts_env) | own) for _ in range(2)]
    ours = [gateway.url for gateway in gateways]
    for url in ours:
        await when_fronted(http, url, 2)

    async def kills_gateway() -> None:
        gateways.reverse()
        await asyncio.to_thread(gateways[0].kill)
        await asyncio.to_thread(gateways[0].start)
        await when_fronted(http, gateways[0].url, 2)

    async def kills_agent() -> None:
        await asyncio.to_thread(doomed.restart)

    async def kills_both() -> None:
        await kills_agent()
        await kills_gateway()

    theirs = [
        Setup("SDK's server, its default store", "rpc", False, [f"{doomed.url}/rpc"], kills_agent),
        Setup("SDK's server, tasks on disk", "kept", False, [f"{doomed.url}/kept"], kills_agent),
    ]
    setups = [
        *(theirs if REPORT else ()),
        Setup("ours; gateways are killed", "rpc", True, ours, kills_gateway),
        Setup("ours; both are killed, agent's tasks on disk", "kept", True, ours, kills_both),
        Setup("ours; both are killed, agent's default store", "rpc", True, ours, kills_both),
    ]
    table = {setup.name: await losses_of(setup, doomed) for setup in setups}
    report(table)
    for setup in setups:
        found = table[setup.name]
        assert found.lost == found.again == found.garbled == found.twice == 0 or not setup.resumes, (
            setup.name,
            found,
        )
        assert found.ends == found.runs or not setup.resumes, (setup.name, found)
    for setup in [each for each in setups if each.resumes][:2]:
        assert table[setup.name].completed == table[setup.name].runs, (setup.name, table[setup.name])
        assert not table[setup.name].missed, (setup.name, table[setup.name])


async def losses_of(setup: Setup, agents: ScriptedAgents) -> Losses:
    killed, losses = 0, Losses()
    while killed < KILLS:
        clients = [
            FollowingClient(f"{setup.agent} {unique('story')} {SCRIPT}", setup.resumes) for _ in range(CLIENTS)
        ]
        following = [asyncio.create_task(client.follow(lambda: setup.urls)) for client in clients]
        for client in clients:
            await eventually(partial(is_under_way, client, agents), "the agent has it", 60)
        for _ in range(min(IN_A_ROUND, KILLS - killed)):
            await asyncio.sleep(random.uniform(0, 0.5))  # somewhere in the middle
            await setup.kill()
            killed += 1
        await asyncio.wait_for(asyncio.gather(*following), 180)
        for client in clients:
            losses.add(client, len(agents.messages(client.text)))
    return losses


def is_under_way(client: FollowingClient, agents: ScriptedAgents) -> bool:
    """Or over: the gateway's breaker is open where an agent has lost tasks again and again."""
    return bool(agents.messages(client.text)) or client.state is not None


ROWS = {
    "messages, each of one client": "runs",
    "tasks that ended as they should": "completed",
    "tasks that ended as failed, and their clients were told so": "failed",
    "tasks that are lost: the server knows nothing of them": "lost",
    "ends that clients were told of": "ends",
    f"artifacts that their client never saw anything of ({len(SAID)} a task)": "missed",
    "artifacts whose end came twice": "again",
    "tasks that ended well, and their client has another text": "garbled",
    "messages that the agent got twice": "twice",
    "times that clients dropped": "drops",
}


def report(table: Mapping[str, Losses]) -> None:
    if not REPORT:
        return
    lines = [
        f"| | {' | '.join(table)} |",
        f"|---|{'---:|' * len(table)}",
        *(
            f"| {words} | {' | '.join(str(getattr(found, name)) for found in table.values())} |"
            for words, name in ROWS.items()
        ),
    ]
    Path(REPORT).write_text(
        f"""# A2A servers and agents that are killed: what is lost

`a2a-sdk`'s own server beside ours. {KILLS} SIGKILLs each, {IN_A_ROUND} a round, at random in the three seconds for
which {CLIENTS} tasks at once are streamed; what was killed is started again at once. The agents are the same
scripted ones, made with `a2a-sdk`. The SDK's server has its agent within it, so one kill is both; where both are
killed here, it is the agent, and then one of two gateways, each time. Tasks on disk: a store of the test's, and an
agent that goes on with them when it is started, which the SDK doesn't do by itself.

Clients are the SDK's. They drop every 0.3 to 2 s, and do what it offers: get the task and subscribe to it; at ours,
subscribe with `Last-Event-ID`. A client that has no task yet sends its message again, under its `messageId`.

{chr(10).join(lines)}

An agent that forgets its tasks when it dies can't go on with them behind ours either: such a run ends once, as
failed, with what was said until then.

`make front-losses`
""",
        "utf-8",
    )

"""provider-plan with plans that are kept, and a person who talks to it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import _new_database
from tests.integration.provider_plan.events_server import EventsServer, events_server
from tests.processes import ServiceProcess
from tests.unit.provider_plan.persons import shown
from tests.unit.provider_plan.plan_requests import interact_body, invoke_body

from uniassist.contracts import codec
from uniassist.contracts.provider import InteractResponse, InvokeResponse
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.web.calling.client import JsonClient

_numbers = itertools.count()


@pytest.fixture(scope="module")
def plans_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """A migrated database for all tests of a file."""
    yield from _new_database(postgres_server, "template_uniassist")


@pytest.fixture
def database(plans_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plans_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def events() -> Iterator[EventsServer]:
    with events_server() as server:
        yield server


@pytest.fixture(scope="module")
def keeping(
    tmp_path_factory: pytest.TempPathFactory, plans_url: str, events: EventsServer
) -> Iterator[Callable[..., ServiceProcess]]:
    """Starts another provider-plan on the file's database; all are stopped with it."""
    started: list[ServiceProcess] = []

    def start(**env: str) -> ServiceProcess:
        log: Path = tmp_path_factory.mktemp("plan") / "log"
        wanted = {"DATABASE_URL": plans_url, "GATEWAY_URL": events.url} | env
        process = ServiceProcess("provider-plan", log, wanted)
        process.env.setdefault("UNIASSIST_PLAN_PUBLIC_URL", process.url)
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="module")
def plan(keeping: Callable[..., ServiceProcess]) -> ServiceProcess:
    return keeping()


class Person:
    """Talks to provider-plan over HTTP, as the gateway passes it on. `subject`: of their app token."""

    def __init__(self, client: JsonClient, user_id: str, subject: str | None = None) -> None:
        self.client = client
        self.user = {"userId": user_id, "timezone": "Asia/Shanghai"} | ({"subject": subject} if subject else {})
        self.last: InvokeResponse | InteractResponse | None = None

    @property
    def user_id(self) -> str:
        return self.user["userId"]

    def message(self, text: str, **run: Any) -> dict[str, Any]:
        """A call that can be made again."""
        if self.last is not None and self.last.expects_reply is not None:
            run = {"continues": self.last.run_id, "hint": self.last.expects_reply.hint} | run
        return invoke_body(
            text,
            input={"userId": self.user_id, "timestampMs": int(time.time() * 1000)},
            context={"user": self.user},
            run={"runId": f"run-{os.getpid()}-{next(_numbers)}"} | run,
        )

    async def call(self, plan: ServiceProcess, body: dict[str, Any]) -> InvokeResponse:
        answer = await self.client.request(
            "POST", f"{plan.url}/v0/invoke", body=codec.encode(body), timeout_seconds=20
        )
        assert answer.status == 200, answer.body
        return codec.decode(answer.body, InvokeResponse)

    async def says(self, plan: ServiceProcess, text: str) -> str:
        self.last = answer = await self.call(plan, self.message(text))
        return "\n".join([answer.ack.message or "", *shown(answer.immediate_events or [])])

    async def acts(self, plan: ServiceProcess, action_id: str, payload: Any = None) -> str:
        body = interact_body(
            payload,
            action_id,
            interaction={"userId": self.user_id, "timestampMs": int(time.time() * 1000)},
            context={"user": self.user},
            run={"runId": f"run-{os.getpid()}-{next(_numbers)}"},
        )
        raw = await self.client.request(
            "POST", f"{plan.url}/v0/interact", body=codec.encode(body), timeout_seconds=20
        )
        assert raw.status == 200, raw.body
        self.last = answer = codec.decode(raw.body, InteractResponse)
        return "\n".join(shown(answer.events))

    async def makes(self, plan: ServiceProcess, goal: str = "去东京玩五天", **values: str) -> str:
        said = await self.acts(plan, "submit_data_collection", {"values": {"goal": goal, **values}})
        self.last = None  # what follows is of another session
        return said


@pytest.fixture
def person() -> Callable[..., Person]:
    """`person(client)`: one whom no other test knows."""

    def someone(client: JsonClient, subject: str | None = None, user_id: str | None = None) -> Person:
        return Person(client, user_id or f"person-{os.getpid()}-{next(_numbers)}", subject)

    return someone

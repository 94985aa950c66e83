"""A trip planned, changed, prepared and reminded of: over WeChat in Chinese and over the API in English.

Word for word as in `docs/trip-chat-wechat.md` and `docs/trip-chat-english.md`, with the service that plans and
the one that reminds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from tests.integration.adapter_wechat.chat_transcript import LATER, ME, Chat, done_in, quoted
from tests.integration.gateway import english_chat
from tests.integration.gateway.client import GatewayClient, Json, interaction, message
from tests.integration.gateway.english_chat import SUBMITS, THEY, YOU, written_down
from tests.integration.trip_chats.passing_time import FIRST_DAY, moment, passed
from tests.processes import WECHAT_TOKEN, ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.web.calling.client import JsonClient
from uniassist.wechat_simulator.simulator import WechatSimulator

DOCS = Path(__file__).parents[3] / "docs"
BY_ITSELF = "**UniAssist, by itself:** "
MESSAGE_CLOCK = "tests.integration.trip_chats.message_clock"
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class System:
    gateway_url: str
    wechat: WechatSimulator
    database_url: str


@pytest.fixture(scope="module")
def system(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE trip_chats TEMPLATE template_uniassist")
    folder = tmp_path_factory.mktemp("trips")
    servers = {
        "DATABASE_URL": postgres_server.url_for("trip_chats"),
        "REDIS_URL": redis_server.url,
        "UNIASSIST_STREAM_PREFIX": "trips:",
    }
    plan = ServiceProcess("provider-plan", folder / "plan.log", dict(servers))
    reminder = ServiceProcess("provider-reminder", folder / "reminder.log", dict(servers), MESSAGE_CLOCK)
    urls = {
        "UNIASSIST_PLAN_PROVIDER_BASE_URL": plan.url,
        "UNIASSIST_REMINDER_PROVIDER_BASE_URL": reminder.url,
    }
    gateway = ServiceProcess("gateway", folder / "gateway.log", servers | urls)
    worker = ServiceProcess("worker", folder / "worker.log", dict(servers))
    plan.env["GATEWAY_URL"] = reminder.env["GATEWAY_URL"] = gateway.url
    with WechatSimulator(token=WECHAT_TOKEN) as wechat:
        more = {"GATEWAY_URL": gateway.url, "WECHAT_MEDIA_DIR": str(folder / "media")}
        adapter = ServiceProcess("adapter-wechat", folder / "adapter.log", servers | more | wechat.settings)
        wechat.watch(adapter.url)
        processes = (plan, reminder, gateway, worker, adapter)
        try:
            for process in processes:
                process.start()
            yield System(gateway.url, wechat, servers["DATABASE_URL"])
        finally:
            for process in reversed(processes):
                process.stop()


class Phone(Chat):
    """A chat over WeChat in which days pass."""

    database_url = ""

    async def does(self, line: str) -> list[str]:
        now = moment(line, self.at)
        if now is None:
            return await super().does(line)
        before = len(self.wechat.screen(self.openid))
        due = passed(self.database_url, f"wx:{self.openid}", self.at, now)
        self.at = now
        await eventually(
            lambda: len(self.wechat.screen(self.openid)) >= before + due, f"{due} reminders", WAIT_SECONDS
        )
        shown = self.wechat.screen(self.openid)[before:]
        return [line, *(quoted(LATER, each.text) for each in shown)]


def done_with_days(written: str) -> list[str]:
    """What the person does and when days pass, in order."""
    lines: list[str] = []
    for block in written.split("\n\n"):
        lines += [block.strip()] if moment(block.strip(), FIRST_DAY) is not None else done_in(block)
    return lines


async def test_over_wechat_in_chinese(system: System, tmp_path: Path) -> None:
    written = (DOCS / "trip-chat-wechat.md").read_text(encoding="utf-8")
    chat = Phone(system.wechat, "o-zhou", at=FIRST_DAY)
    chat.database_url = system.database_url
    blocks = [written.partition("\n\n**")[0]]
    for line in done_with_days(written):
        blocks += await chat.does(line)
    spoken = "\n\n".join(blocks) + "\n"
    said = tmp_path / "trip-chat-wechat.md"
    said.write_text(spoken, encoding="utf-8")
    assert spoken == written, f"read {said}, and copy it to docs/ if it is as it should be"
    assert len([each for each in blocks if each.startswith(ME)]) >= 15
    came = [each for each in blocks if each.startswith(LATER) and "提醒：收拾行李" in each]
    assert len(came) == 2, "at its time, and once more when it was snoozed"


class App(english_chat.Chat):
    """A conversation over the API in which days pass."""

    user_id = "ann"

    def __init__(self, system: System, gateway: GatewayClient) -> None:
        super().__init__(gateway, WAIT_SECONDS)
        self._database_url = system.database_url
        self._now = FIRST_DAY.astimezone(dt.UTC).replace(hour=10)

    async def say(self, text: str) -> list[str]:
        now = moment(text, self._now)
        if now is not None:
            due = passed(self._database_url, self.user_id, self._now, now)
            self._now = now
            return await self._reminded(due) if due else []
        self._now += dt.timedelta(minutes=1)
        at_ms = int(self._now.timestamp() * 1000)
        named: Json = {"userId": self.user_id, "timestampMs": at_ms}
        if text == SUBMITS:
            payload = {"taskId": await self._form(), "values": {}}
            asked = interaction(
                self.session, "submit_data_collection", runId=self.plan_run, payload=payload, **named
            )
            assert (await self.gateway.post("/v0/interact", asked)).status == 200
            return await self.heard(lambda events: any(english_chat.is_confirmed(each) for each in events))
        ack = await self.gateway.ingest(
            message(text, sessionId=self.session, timezone="Europe/London", locale="en-GB", **named)
        )
        if ack["sessionId"] != self.session:
            self.session, self.cursor = ack["sessionId"], 0
        runs = {run["runId"] for run in ack["runs"]}
        self.plan_run = next((run["runId"] for run in ack["runs"] if run["providerId"] == "plan"), self.plan_run)
        return await self.heard(
            lambda events: runs <= {english_chat.run_of(e) for e in events if english_chat.has_ended(e)}
        )

    async def _form(self) -> str:
        """The name of the form that was shown last."""
        shown = [
            each["payload"]["event"]
            for each in await self.gateway.timeline(self.session)
            if each["kind"] == "interaction"
        ]
        forms = [each["payload"]["taskId"] for each in shown if each["type"] == "provider_extension"]
        return str(forms[-1])

    async def _reminded(self, due: int) -> list[str]:
        events: list[Json] = []

        async def all_there() -> bool:
            events[:] = await self.gateway.timeline(self.session, self.cursor)
            return len(events) >= due

        await eventually(all_there, f"{due} reminders", WAIT_SECONDS)
        self.cursor = events[-1]["seq"]
        assert {each["kind"] for each in events} == {"domain_event"}
        return [each["payload"]["event"]["title"] for each in events]


async def test_over_the_api_in_english(system: System, tmp_path: Path) -> None:
    written = (DOCS / "trip-chat-english.md").read_text(encoding="utf-8")
    lines = [line.removesuffix("  ") for line in written.splitlines() if line.startswith(("**", "*("))]
    spoken: list[str] = []
    async with JsonClient() as http:
        chat = App(system, GatewayClient(http, system.gateway_url))
        for line in lines:
            if line.startswith((THEY, BY_ITSELF)):
                continue
            spoken.append(line)
            who = THEY if moment(line, FIRST_DAY) is None else BY_ITSELF
            spoken += [f"{who}{each}" for each in await chat.say(line.removeprefix(YOU))]
    said = tmp_path / "trip-chat-english.md"
    said.write_text(written_down(written.partition("\n\n**")[0], spoken), encoding="utf-8")
    assert spoken == lines, f"read {said}, and copy it to docs/ if it is as it should be"
    assert len([line for line in lines if line.startswith(YOU)]) >= 15
    assert lines.count(f"{BY_ITSELF}Reminder: pack") == 2, "at its time, and once more when it was snoozed"

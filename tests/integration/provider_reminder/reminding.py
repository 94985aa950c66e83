"""A gateway and reminder processes on a database of their own, and what became of reminders."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.contracts import codec
from uniassist.web.calling.client import JsonClient

_numbers = itertools.count(1)


@dataclass
class Reminding:
    """`env`: of all services. `gateway` calls the first of the reminder processes."""

    folder: Path
    env: dict[str, str]
    gateway: ServiceProcess
    reminder: ServiceProcess
    started: list[ServiceProcess] = field(default_factory=list)

    @property
    def database_url(self) -> str:
        return self.env["DATABASE_URL"]

    def another(self, **env: str) -> ServiceProcess:
        """One more reminder process on the same database, not started."""
        name = f"reminder-{next(_numbers)}"
        process = ServiceProcess("provider-reminder", self.folder / f"{name}.log", self.env | env)
        self.started.append(process)
        return process

    def person(self) -> str:
        return f"user-{next(_numbers)}-{time.time_ns()}"

    async def says(self, client: JsonClient, user: str, text: str, **changed: Any) -> str:
        """What the reminder provider answers to it, through the gateway."""
        sent = {
            "schemaVersion": "v0",
            "traceId": f"trace-{next(_numbers)}-{time.time_ns()}",
            "userId": user,
            "sessionId": f"session-{user}",
            "source": "app",
            "timestampMs": time.time_ns() // 1_000_000,
            "text": text,
            "timezone": "Asia/Shanghai",
        } | changed
        answer = await client.request(
            "POST", f"{self.gateway.url}/v0/ingest", body=codec.encode(sent), timeout_seconds=30
        )
        assert answer.status == 200, answer.body
        ack = codec.decode(answer.body, dict[str, Any])
        run = ack["runs"][0]["runId"]

        async def over() -> list[str] | None:
            events = [each for each in await self.timeline(client, ack["sessionId"]) if each["runId"] == run]
            said = [each["payload"]["event"]["text"] for each in events if each["kind"] == "interaction"]
            ended = any(
                each["kind"] == "provider_run" and each["payload"]["status"] == "completed" for each in events
            )
            return said if ended else None

        return "\n".join(await eventually(over, f"the answer to {text}", 60))

    async def timeline(self, client: JsonClient, session: str) -> list[dict[str, Any]]:
        url = f"{self.gateway.url}/v0/timeline?sessionId={session}&limit=500"
        answer = await client.request("GET", url, timeout_seconds=30)
        found = codec.decode(answer.body, dict[str, Any])
        return [{"runId": None, **each} for each in found["events"]]

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(sql, values)
            return cursor.fetchall() if cursor.description is not None else []

    def due_now(self, user: str, ago: str = "0 seconds") -> None:
        """Through the tables, rather than by waiting."""
        self.rows(
            "UPDATE reminders SET due_at = now() - %s::interval WHERE user_id = %s AND due_at IS NOT NULL",
            ago,
            user,
        )

    def reminders(self, user: str) -> list[dict[str, Any]]:
        """The domain events of the user's timelines."""
        rows = self.rows(
            "SELECT session_id, payload FROM timeline_events WHERE user_id = %s AND kind = 'domain_event' "
            "ORDER BY created_at, seq",
            user,
        )
        return [{"session": session, **payload["event"]} for session, payload in rows]

    async def said(self, user: str, count: int = 1) -> list[dict[str, Any]]:
        async def enough() -> list[dict[str, Any]] | None:
            found = self.reminders(user)
            return found if len(found) >= count else None

        return await eventually(enough, f"{count} reminders of {user}", 60)


def system(folder: Path, env: dict[str, str]) -> Iterator[Reminding]:
    reminder = ServiceProcess("provider-reminder", folder / "reminder.log", env)
    gateway = ServiceProcess(
        "gateway",
        folder / "gateway.log",
        env | {"UNIASSIST_REMINDER_PROVIDER_BASE_URL": reminder.url, "GATEWAY_HOUR_SESSIONS_PER_USER": "0"},
    )
    env["GATEWAY_URL"] = reminder.env["GATEWAY_URL"] = gateway.url
    made = Reminding(folder, env, gateway, reminder, [reminder, gateway])
    try:
        gateway.start()
        reminder.start()
        yield made
    finally:
        for process in reversed(made.started):
            process.stop()

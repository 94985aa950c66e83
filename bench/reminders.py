"""Reminders that are due in the same minute: `python -m bench.reminders [COUNT]`, beside plain POST /v0/events.

Prints when the last of them is on its timeline, reminders a second, and what plain POST /v0/events manages in the
same minute: the same events, from as many connections, without any service of ours before the gateway.
"""

from __future__ import annotations

import asyncio
import sys
import time

import asyncpg

from bench.stage import Stage, connect, stage, until
from uniassist.contracts import codec
from uniassist.contracts.interaction import DomainEvent
from uniassist.contracts.provider import LateDomainEvent, ProviderEventsRequest, ProviderEventsResponse
from uniassist.web.calling.client import JsonClient

COUNT = 10_000
PEOPLE = 1_000
CONNECTIONS = 32
_EVENTS = "SELECT count(*) FROM timeline_events WHERE kind = 'domain_event'"
_PEOPLE = """
INSERT INTO sessions (session_id, user_id) SELECT 's' || n, 'u' || n FROM generate_series(1, $1::int) n;
"""
_RUNS = """
INSERT INTO provider_runs
    (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode, idempotency_key, status)
SELECT 'r' || n, 't' || n, 's' || n, 'u' || n, 'reminder', 'single', 'normal', 't' || n, 'completed'
FROM generate_series(1, $1::int) n
"""
_REMINDED = """
INSERT INTO reminder_people (user_id, subject, session_id, timezone)
SELECT 'u' || n, '', 's' || n, 'Asia/Shanghai' FROM generate_series(1, $1::int) n
"""
_REMINDERS = """
INSERT INTO reminders (reminder_id, user_id, subject, run_id, matter, language, rule, anchor, due_at)
SELECT 'rem' || n, 'u' || (1 + n % $2::int), '', 'r' || (1 + n % $2::int), 'matter ' || n, 'en',
       CASE WHEN n % 4 = 0 THEN 'FREQ=DAILY' END,
       CASE WHEN n % 4 = 0 THEN date_trunc('second', now() AT TIME ZONE 'Asia/Shanghai') END,
       now() + interval '2 seconds'
FROM generate_series(1, $1::int) n
"""


async def measure(stage: Stage, count: int) -> dict[str, float]:
    """`reminders`, `plain`: seconds from the first moment that they are due, or that they are posted."""
    url = stage.fresh_database("reminders")
    _, gateway = stage.start("gateway", url)
    connection = await connect(url)
    for statement in (_PEOPLE, _RUNS, _REMINDED):
        await connection.execute(statement, PEOPLE)
    process, _ = stage.start("provider-reminder", url, GATEWAY_URL=gateway)
    await connection.execute(_REMINDERS, count, PEOPLE)
    due = time.monotonic() + 2.0
    await _until_there(connection, count)
    reminders = time.monotonic() - due
    left = "SELECT count(*) FROM reminders WHERE due_at <= now()"
    await until(lambda: _is(connection, left, 0), 30)
    process.stop()
    began = time.monotonic()
    await _post(gateway, count)
    plain = time.monotonic() - began
    await _until_there(connection, 2 * count)
    await connection.close()
    return {"reminders": reminders, "plain": plain}


async def _until_there(connection: asyncpg.Connection, count: int) -> None:
    await until(lambda: _is(connection, _EVENTS, count), 240)


async def _is(connection: asyncpg.Connection, sql: str, count: int) -> bool:
    return int(await connection.fetchval(sql)) == count


async def _post(gateway: str, count: int) -> None:
    """One event a request, each connection one after the other."""
    numbers = iter(range(count))
    headers = {"Authorization": "Bearer bench-token-0123456789"}
    async with JsonClient(connection_limit=CONNECTIONS) as client:

        async def work() -> None:
            for n in numbers:
                event = DomainEvent(
                    schema_version="v0",
                    session_id=f"s{1 + n % PEOPLE}",
                    user_id=f"u{1 + n % PEOPLE}",
                    provider_id="reminder",
                    event_type="reminder",
                    title=f"Reminder: matter {n}",
                    timestamp_ms=int(time.time() * 1000),
                )
                body = ProviderEventsRequest(
                    schema_version="v0",
                    provider_id="reminder",
                    events=[LateDomainEvent(event_id=f"plain-{n}", event=event)],
                    timestamp_ms=event.timestamp_ms,
                )
                answer = await client.post_json(
                    f"{gateway}/v0/events",
                    codec.encode(body),
                    ProviderEventsResponse,
                    timeout_seconds=30,
                    headers=headers,
                )
                assert answer.accepted == 1, answer

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with stage() as built:
        found = asyncio.run(measure(built, count))
    for name, seconds in found.items():
        print(f"{name:<10} {count} in {seconds:.1f} s, {count / seconds:,.0f}/s")


if __name__ == "__main__":
    main()

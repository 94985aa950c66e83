"""One bad row, whatever is bad about it: it alone pays, and nobody waits for it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.integration.delivery.asking import get, health
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, PREFIX, Outbox, metric
from tests.waiting import eventually

from uniassist.delivery.failures import UNSPEAKABLE

INT_MAX = 2**31 - 1
BULKY = "x" * (3 * 1024 * 1024 // 2)
NO_KEY = {"stream": {"key": ""}}
DEEP = '{"deep": ' + "[" * 5000 + "]" * 5000 + "}"
# Not a key of an index: it doesn't fit, however it is compressed.
LONG_ID = secrets.token_urlsafe(4800)

Prepare = Callable[[Outbox], Awaitable[object]]


async def _nothing(_outbox: Outbox) -> None:
    return


def _redis_limit(name: str) -> Prepare:
    async def prepare(outbox: Outbox) -> None:
        await outbox.redis.config_set(name, "1mb")

    return prepare


def _refusing(condition: str) -> Prepare:
    """A database that refuses to write the row in a certain way, for a reason of its own."""

    async def prepare(outbox: Outbox) -> None:
        await outbox.pool.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$"
        )
        await outbox.pool.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON outbox_events FOR EACH ROW "
            f"WHEN (NEW.event_id = 'poison' AND {condition}) EXECUTE FUNCTION refuse()"
        )

    return prepare


@dataclass(frozen=True)
class Kind:
    """What is bad, and what the dead letter says of it."""

    reason: str
    payload: str = "{}"
    session_id: str = "s"
    columns: dict[str, Any] = field(default_factory=dict)
    prepare: Prepare = _nothing


KINDS = {
    "JSON 5,000 levels deep": Kind("RecursionError", DEEP),
    "above proto-max-bulk-len": Kind(
        "connection was cut|invalid bulk length", json.dumps(BULKY), prepare=_redis_limit("proto-max-bulk-len")
    ),
    "above client-query-buffer-limit": Kind(
        "connection was cut", json.dumps(BULKY), prepare=_redis_limit("client-query-buffer-limit")
    ),
    "a session id that fits no index": Kind("stream.key", json.dumps(NO_KEY), LONG_ID),
    "attempts at the integer's maximum": Kind(
        "stream.key", json.dumps(NO_KEY), columns={"attempts": INT_MAX, "max_attempts": INT_MAX}
    ),
    "attempts below zero": Kind("stream.key", json.dumps(NO_KEY), columns={"attempts": -5, "max_attempts": -3}),
    "can't be failed": Kind("stream.key", json.dumps(NO_KEY), prepare=_refusing("NEW.status = 'failed'")),
    "takes no reason but one": Kind(
        UNSPEAKABLE,
        json.dumps(NO_KEY),
        prepare=_refusing(f"NEW.status IN ('failed', 'dead_letter') AND NEW.last_error <> '{UNSPEAKABLE}'"),
    ),
    "can't be confirmed": Kind("confirming: ", prepare=_refusing("NEW.status = 'consumed'")),
    "can't be confirmed or marked": Kind(
        "confirming: ", prepare=_refusing("NEW.status IN ('consumed', 'delivered')")
    ),
    "can't be claimed": Kind("claiming: ", prepare=_refusing("NEW.status = 'processing'")),
    "can't be released": Kind(
        "stream.key", json.dumps(NO_KEY), prepare=_refusing("OLD.status = 'processing' AND NEW.status = 'pending'")
    ),
}


async def write(outbox: Outbox, kind: Kind) -> None:
    columns = {"max_attempts": 2, **kind.columns}
    names = ", ".join(("event_id", "session_id", "payload", *columns))
    places = ", ".join(f"${n}" for n in range(1, len(columns) + 4))
    await outbox.pool.execute(
        f"INSERT INTO outbox_events ({names}) VALUES ({places})",
        "poison",
        kind.session_id,
        kind.payload,
        *columns.values(),
    )


@pytest.mark.parametrize("name", KINDS)
async def test_a_poisoned_row_alone_becomes_a_dead_letter_with_its_reason(
    own_outbox: Outbox, start_own_worker: StartWorker, name: str
) -> None:
    outbox, kind = own_outbox, KINDS[name]
    await kind.prepare(outbox)
    before = await outbox.write_turn("s", 2)
    await write(outbox, kind)
    after = await outbox.write_turn("s", 2)
    others = [event for n in range(5) for event in await outbox.write_turn(f"other-{n}", 3)]
    worker = start_own_worker(OUTBOX_BACKOFF_BASE_MS="50", OUTBOX_BACKOFF_MAX_MS="100")
    for event in (*before, *others):
        await outbox.in_state(event, "consumed")
    row = await outbox.in_state("poison", "dead_letter")
    assert re.search(kind.reason, row["last_error"])
    assert row["locked_by"] is None
    for event in after:
        assert (await outbox.in_state(event, "consumed"))["attempts"] == 0
    [later] = await outbox.write_turn("s", 1)
    await outbox.in_state(later, "consumed")
    status, checks = await health(worker)
    assert (status, set(checks.values())) == (200, {"ok"})
    _, text = await get(worker, "/metrics")
    assert metric(text, "uniassist_delivery_dead_letters_total") == 1
    assert metric(text, "uniassist_delivery_leases_lost_total") == 0
    assert '"loop failed' not in worker.process.log.read_text("utf-8"), "one row is no outage"


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "294276-12-31", "4713-01-01 BC"])
async def test_a_row_of_any_time_is_consumed_and_no_figure_is_infinite(
    outbox: Outbox, start_worker: StartWorker, moment: str
) -> None:
    events = await outbox.write_turn("s", 3)
    await outbox.pool.execute(
        f"UPDATE outbox_events SET created_at = '{moment}', next_retry_at = '{moment}' WHERE event_id = $1",
        events[1],
    )
    worker = start_worker()
    await outbox.all_consumed()

    async def counted() -> str | None:
        _, text = await get(worker, "/metrics")
        return text if metric(text, "uniassist_delivery_consumed_total") == 3 else None

    text = await eventually(counted, "all three are counted")
    assert "inf" not in text.replace('le="+Inf"', "").lower()


async def test_a_strangers_entry_with_an_id_that_no_row_can_have_holds_nothing_up(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    start_worker()
    [first] = await outbox.write_turn("s", 1)
    await outbox.in_state(first, "consumed")
    for event_id in (b"with\0zero", b"\xff\xfe", b""):
        await outbox.redis.xadd(GLOBAL, {"eventId": event_id, "payload": "{}"})
    second = await outbox.write_turn("s", 2)
    for event in second:
        await outbox.in_state(event, "consumed")

    async def all_acknowledged() -> bool:
        [group] = await outbox.redis.xinfo_groups(GLOBAL)
        return bool(group["pending"] == 0)

    await eventually(all_acknowledged, "the stranger's are acknowledged too")


async def test_a_global_stream_that_takes_no_more_is_named_and_costs_no_event_an_attempt(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    worker = start_worker()
    [first] = await outbox.write_turn("s", 1)
    await outbox.in_state(first, "consumed")
    top = 2**64 - 1
    await outbox.redis.xadd(GLOBAL, {"the": "last"}, id=f"{top}-{top}")
    events = await outbox.write_turn("s", 2)
    await outbox.write_bare("bare", "s")

    async def is_red() -> bool:
        status, checks = await health(worker)
        return status == 503 and checks["delivery"] == "failing"

    await eventually(is_red, "health sees it")
    assert "exhausted the last possible ID" in worker.process.log.read_text("utf-8")
    for event in (*events, "bare"):
        row = await outbox.row(event)
        assert (row["attempts"], row["last_error"]) == (0, None)

    await outbox.redis.delete(GLOBAL)
    await outbox.all_consumed()
    ids = [entry.event_id for entry in await outbox.session_stream("s")]
    assert ids == [first, *events, "bare"]


async def test_a_global_key_of_another_type_is_named_and_costs_no_event_an_attempt(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    await outbox.redis.set(GLOBAL, "not a stream")
    worker = start_worker()
    events = await outbox.write_turn("s", 2)

    async def is_red() -> bool:
        status, checks = await health(worker)
        return status == 503 and checks["delivery"] == "failing"

    await eventually(is_red, "health sees it")
    assert "WRONGTYPE" in worker.process.log.read_text("utf-8")
    assert [(await outbox.row(event))["attempts"] for event in events] == [0, 0]
    await outbox.redis.delete(GLOBAL)
    await outbox.all_consumed()
    assert [entry.event_id for entry in await outbox.stream(f"{PREFIX}s")] == events

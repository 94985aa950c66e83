"""Events that fail: what waits for them, what doesn't, how they end, and how an operator brings them back."""

from __future__ import annotations

import datetime as dt

from tests.integration.delivery.asking import get, uniassist
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, PREFIX, Outbox, metric
from tests.waiting import eventually

SOON = dt.timedelta(hours=1)
LARGE = 5 * 1024 * 1024


async def test_a_failed_event_that_is_due_is_consumed(outbox: Outbox, start_worker: StartWorker) -> None:
    start_worker()
    await outbox.write_bare("failed", "s", status="failed", attempts=3, last_error="of long ago")
    row = await outbox.in_state("failed", "consumed")
    assert row["attempts"] == 3


async def test_a_failed_event_that_is_not_due_holds_back_its_session_and_no_other(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    later = dt.datetime.now(dt.UTC) + SOON
    before = await outbox.write_turn("held", 1)
    await outbox.write_bare("failed", "held", status="failed", attempts=1, next_retry_at=later)
    after = await outbox.write_turn("held", 3)
    free = await outbox.write_turn("free", 3)
    start_worker()
    for event in (*before, *free):
        await outbox.in_state(event, "consumed")
    assert [(await outbox.row(event))["status"] for event in after] == ["pending"] * 3

    await outbox.pool.execute("UPDATE outbox_events SET next_retry_at = now() WHERE event_id = 'failed'")
    await outbox.all_consumed()
    entries = await outbox.session_stream("held")
    assert [entry.event_id for entry in entries] == [*before, "failed", *after]


async def test_a_stream_of_another_type_spends_attempts_then_dead_letters_and_its_session_goes_on(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    await outbox.redis.set(f"{PREFIX}poisoned", "not a stream")
    worker = start_worker(OUTBOX_BACKOFF_BASE_MS="200")
    [poison] = await outbox.write_turn("poisoned", 1)
    await outbox.pool.execute("UPDATE outbox_events SET max_attempts = 3")
    free = await outbox.write_turn("free", 5)
    row = await outbox.in_state(poison, "failed")
    assert row["next_retry_at"] > row["updated_at"]
    for event in free:
        await outbox.in_state(event, "consumed")
    row = await outbox.in_state(poison, "dead_letter")
    assert row["attempts"] == 3
    assert "WRONGTYPE" in row["last_error"]
    assert (row["locked_by"], row["consumed_at"]) == (None, None)

    await outbox.redis.delete(f"{PREFIX}poisoned")
    [after] = await outbox.write_turn("poisoned", 1)
    await outbox.in_state(after, "consumed")
    assert [entry.entry_id for entry in await outbox.session_stream("poisoned")] == ["2-0"]
    status, text = await get(worker, "/metrics")
    assert status == 200
    assert metric(text, "uniassist_delivery_dead_letters_total") == 1
    assert metric(text, "uniassist_delivery_attempts_failed_total") == 3
    said = worker.process.log.read_text("utf-8")
    assert '"event": "dead letter"' in said
    assert poison in said
    assert "loop failed" not in said


async def test_the_pauses_between_attempts_grow(outbox: Outbox, start_worker: StartWorker) -> None:
    await outbox.redis.set(f"{PREFIX}poisoned", "not a stream")
    start_worker(OUTBOX_BACKOFF_BASE_MS="100", OUTBOX_BACKOFF_MAX_MS="400")
    [poison] = await outbox.write_turn("poisoned", 1)

    async def pause_before(attempts: int) -> float:
        async def seen() -> float | None:
            row = await outbox.row(poison)
            if row["attempts"] < attempts or row["status"] != "failed":
                return None
            assert row["attempts"] == attempts, "missed one"
            return float((row["next_retry_at"] - row["updated_at"]).total_seconds())

        return await eventually(seen, f"attempt {attempts}", pause_seconds=0.01)

    for attempts, seconds in ((1, 0.1), (2, 0.2), (3, 0.4), (4, 0.4)):
        assert seconds <= await pause_before(attempts) <= seconds * 1.12


async def test_a_payload_too_large_for_a_stream_is_refused_and_its_neighbours_are_not(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    before = await outbox.write_turn("s", 2)
    await outbox.write_bare("large", "s", "x" * LARGE, max_attempts=1)
    after = await outbox.write_turn("s", 2)
    other = await outbox.write_turn("other", 2)
    start_worker()
    row = await outbox.in_state("large", "dead_letter")
    assert "bytes" in row["last_error"]
    for event in (*before, *after, *other):
        await outbox.in_state(event, "consumed")
    assert [entry.event_id for entry in await outbox.session_stream("s")] == [*before, *after]


async def test_a_stream_key_out_of_bounds_and_a_missing_timeline_event_are_refused_with_their_reason(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    await outbox.write_bare("no-key", "s", {"stream": {"key": ""}}, max_attempts=1)
    await outbox.write_bare("long-key", "s", {"stream": {"globalKey": "k" * 2000}}, max_attempts=1)
    await outbox.pool.execute(
        "INSERT INTO outbox_events (event_id, session_id, max_attempts) VALUES ('no-event', 's', 1)"
    )
    start_worker()
    for event, reason in (("no-key", "stream.key"), ("long-key", "globalKey"), ("no-event", "timeline")):
        assert reason in (await outbox.in_state(event, "dead_letter"))["last_error"]


async def test_a_payload_of_any_json_is_delivered(outbox: Outbox, start_worker: StartWorker) -> None:
    payloads = ["text", 17, [1, [2]], {"stream": "not an object"}, {"event": []}, {"stream": {"key": 5}}]
    for n, payload in enumerate(payloads):
        await outbox.write_bare(f"any-{n}", "s", payload)
    start_worker()
    await outbox.all_consumed()
    assert [entry.event_id for entry in await outbox.session_stream("s")] == [f"any-{n}" for n in range(6)]


async def test_a_further_global_stream_of_another_type_fails_the_event_before_anyone_got_it(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    await outbox.redis.set("theirs:all", "not a stream")
    await outbox.write_bare("bare", "s", {"stream": {"globalKey": "theirs:all"}}, max_attempts=1)
    start_worker()
    row = await outbox.in_state("bare", "dead_letter")
    assert "theirs:all" in row["last_error"]
    assert await outbox.session_stream("s") == []
    assert await outbox.stream(GLOBAL) == []


async def test_a_replayed_dead_letter_is_consumed_and_recognisable_and_the_token_works_once(
    outbox: Outbox, start_worker: StartWorker, database_url: str
) -> None:
    await outbox.redis.set(f"{PREFIX}s", "not a stream")
    start_worker()
    [poison] = await outbox.write_turn("s", 1)
    await outbox.pool.execute("UPDATE outbox_events SET max_attempts = 1")
    await outbox.in_state(poison, "dead_letter")
    await outbox.redis.delete(f"{PREFIX}s")
    later = await outbox.write_turn("s", 2)
    for event in later:
        await outbox.in_state(event, "consumed")

    replay = ("outbox", "replay", "--event-id", poison, "--replay-token", "t", "--note", "key deleted")
    said = await uniassist(*replay, database_url=database_url)
    assert (said.code, "selected: 1  inserted: 1  updated: 1" in said.out) == (0, True), said
    row = await outbox.in_state(poison, "consumed")
    assert row["attempts"] == 0
    entries = await outbox.session_stream("s")
    assert [entry.event_id for entry in entries] == [*later, poison]
    assert entries[-1].fields["replay"] == "t"
    assert entries[-1].fields["seq"] == "1"

    logged = dict(await outbox.pool.fetchrow("SELECT * FROM outbox_replay_log") or {})
    assert (logged["replay_token"], logged["event_id"], logged["session_id"]) == ("t", poison, "s")
    assert (logged["previous_status"], logged["previous_attempts"]) == ("dead_letter", 1)
    assert logged["note"] == "key deleted"

    await outbox.pool.execute("UPDATE outbox_events SET status = 'dead_letter' WHERE event_id = $1", poison)
    said = await uniassist(*replay, "--json", database_url=database_url)
    assert said.json == {"replayToken": "t", "selected": 1, "inserted": 0, "updated": 0}
    assert (await outbox.row(poison))["status"] == "dead_letter"
    fresh = await uniassist(*replay[:-3], "u", "--json", database_url=database_url)
    assert fresh.json["updated"] == 1
    await outbox.in_state(poison, "consumed")

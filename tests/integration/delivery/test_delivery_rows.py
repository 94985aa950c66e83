"""What becomes of a single row: on which streams, under which id, with which fields."""

from __future__ import annotations

import json

from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, Outbox

from uniassist.streams import epoch as epochs


async def test_a_bare_row_of_an_unknown_session_is_consumed_and_on_both_streams(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    start_worker()
    await outbox.write_bare("bare", "nobody-knows-it")
    row = await outbox.in_state("bare", "consumed")
    assert row["attempts"] == 0
    assert row["consumed_at"] >= row["delivered_at"] >= row["created_at"]
    assert row["consumed_by"]
    assert row["locked_by"] is None
    [own] = await outbox.session_stream("nobody-knows-it")
    [everyone] = await outbox.stream(GLOBAL)
    assert own.fields == {
        "eventId": "bare",
        "sessionId": "nobody-knows-it",
        "seq": "",
        "payload": "{}",
        "ce_specversion": "1.0",
        "ce_id": "bare",
        "ce_source": "/uniassist",
        "ce_type": "uniassist.outbox.event",
        "ce_subject": "nobody-knows-it",
    }
    epoch = await epochs.read(outbox.redis, GLOBAL)
    assert epoch is not None
    also = {"streamKey": "uniassist:timeline:nobody-knows-it", "epoch": epoch.name}
    assert everyone.fields == {**own.fields, **also}


async def test_a_bare_row_goes_where_its_payload_says(outbox: Outbox, start_worker: StartWorker) -> None:
    start_worker()
    payload = {"stream": {"key": "theirs:one", "globalKey": "theirs:all"}, "event": {"seq": 41}, "more": [1]}
    await outbox.write_bare("bare", "s", payload)
    await outbox.in_state("bare", "consumed")
    [own] = await outbox.stream("theirs:one")
    assert own.fields["seq"] == "41"
    assert json.loads(own.fields["payload"]) == payload
    assert own.entry_id != "41-0", "only the gateway's rows claim their seq's id"
    for key in ("theirs:all", GLOBAL):
        [everyone] = await outbox.stream(key)
        assert everyone.fields["streamKey"] == "theirs:one"
    assert await outbox.session_stream("s") == []


async def test_bare_rows_of_a_session_keep_their_order(outbox: Outbox, start_worker: StartWorker) -> None:
    for n in range(200):
        await outbox.write_bare(f"b{n:03}", "s", [n])
    start_worker(OUTBOX_BATCH_SIZE="7")
    await outbox.all_consumed()
    assert [entry.event_id for entry in await outbox.session_stream("s")] == [f"b{n:03}" for n in range(200)]


async def test_the_gateways_rows_get_the_envelope_and_their_seq_as_id(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    start_worker()
    first, second = await outbox.write_turn("会话 1", 2)
    await outbox.all_consumed()
    entries = await outbox.session_stream("会话 1")
    assert [(entry.entry_id, entry.event_id) for entry in entries] == [("1-0", first), ("2-0", second)]
    assert entries[1].fields["seq"] == "2"
    key = "uniassist:timeline:会话 1"
    assert json.loads(entries[1].fields["payload"]) == {
        "schemaVersion": "v0",
        "type": "timeline_event",
        "event": {
            "schemaVersion": "v0",
            "eventId": second,
            "traceId": "trace",
            "sessionId": "会话 1",
            "userId": "user",
            "seq": 2,
            "timestampMs": 1700000000000,
            "kind": "interaction",
            "payload": {"source": "system"},
        },
        "stream": {"key": key, "globalKey": GLOBAL},
    }


async def test_keys_and_group_follow_the_settings(outbox: Outbox, start_worker: StartWorker) -> None:
    start_worker(UNIASSIST_STREAM_PREFIX="p:", UNIASSIST_STREAM_GLOBAL_KEY="everything", UNIASSIST_STREAM_GROUP="g")
    [event] = await outbox.write_turn("s", 1)
    await outbox.in_state(event, "consumed")
    assert [entry.event_id for entry in await outbox.stream("p:s")] == [event]
    [group] = await outbox.redis.xinfo_groups("everything")
    assert (group["name"], group["pending"]) == (b"g", 0)


async def test_an_injected_event_with_a_seq_that_is_taken_is_delivered_and_takes_no_ones_place(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    start_worker()
    first, second = await outbox.write_turn("s", 2)
    await outbox.all_consumed()
    await outbox.write_bare("injected", "s", {"event": {"seq": 1}})
    await outbox.in_state("injected", "consumed")
    [third] = await outbox.write_turn("s", 1)
    await outbox.in_state(third, "consumed")
    ids = [(entry.entry_id, entry.event_id) for entry in await outbox.session_stream("s")]
    assert ids == [("1-0", first), ("2-0", second), ("2-1", "injected"), ("3-0", third)]

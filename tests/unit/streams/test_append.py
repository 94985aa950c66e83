"""The append script on real servers, both ends of what is supported."""

from __future__ import annotations

from typing import cast

import pytest
from redis.asyncio import Redis

from uniassist.streams import epoch as epochs
from uniassist.streams.append import Appender, Entry, EpochChanged
from uniassist.streams.epoch import Epoch
from uniassist.streams.outage import is_outage_code

GLOBAL = "t:all"


@pytest.fixture
async def epoch(redis: Redis) -> Epoch:
    return await epochs.begin(redis, GLOBAL, group="g")


def entry(event_id: str, seq: int | None = None, key: str = "t:s", session: str = "s", replay: str = "") -> Entry:
    return Entry(key, event_id, session, b"{}", seq=seq, explicit_seq=seq, replay=replay)


async def entries(redis: Redis, key: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return cast(list[tuple[bytes, dict[bytes, bytes]]], await redis.xrange(key))


async def ids(redis: Redis, key: str) -> list[bytes]:
    return [entry_id for entry_id, _ in await entries(redis, key)]


def appender(redis: Redis, session_length: int = 1000) -> Appender:
    return Appender(
        redis, global_key=GLOBAL, moved_prefix="moved:", session_length=session_length, session_expiry_seconds=60
    )


async def test_both_streams_get_the_event_under_its_seq(redis: Redis, epoch: Epoch) -> None:
    assert await appender(redis).append([entry("a", 1), entry("b", 2)], epoch) == ["published", "published"]
    assert await ids(redis, "t:s") == [b"1-0", b"2-0"]
    assert [f[b"streamKey"] for _, f in await entries(redis, GLOBAL)] == [b"t:s", b"t:s"]
    assert 0 < await redis.ttl("t:s") <= 60


async def test_whoever_listens_to_a_session_hears_its_newest_seq_once_it_is_there(
    redis: Redis, epoch: Epoch
) -> None:
    async with redis.pubsub(ignore_subscribe_messages=True) as heard:
        await heard.psubscribe("moved:*")
        assert await heard.get_message(timeout=10) is None, "the answer to the subscription"
        rows = [entry("a", 1), entry("b", 2), entry("c", 7, "t:o", "o"), entry("d", None, "t:bare", "bare")]
        await appender(redis).append([*rows, entry("no", 1, epochs.sentinel_key(GLOBAL), "wrong")], epoch)
        said = [await heard.get_message(timeout=10) for _ in range(3)]
        assert await heard.get_message(timeout=0.05) is None
    found = {(each["channel"], each["data"]) for each in said if each is not None}
    assert found == {(b"moved:s", b"2"), (b"moved:o", b"7"), (b"moved:bare", b"")}


async def test_publishing_again_adds_nothing_to_the_session_stream(redis: Redis, epoch: Epoch) -> None:
    await appender(redis).append([entry("a", 1), entry("b", 2)], epoch)
    assert await appender(redis).append([entry("a", 1)], epoch) == ["present"]
    assert await redis.xlen("t:s") == 2


async def test_a_bare_row_and_a_reused_seq_go_just_above_the_last_entry(redis: Redis, epoch: Epoch) -> None:
    rows = [entry("a", 1), entry("bare"), entry("other", 1), entry("b", 2)]
    assert await appender(redis).append(rows, epoch) == ["published"] * 4
    assert await ids(redis, "t:s") == [b"1-0", b"1-1", b"1-2", b"2-0"]


async def test_a_bare_row_published_twice_is_recognised(redis: Redis, epoch: Epoch) -> None:
    assert await appender(redis).append([entry("bare"), entry("next")], epoch) == ["published"] * 2
    assert await appender(redis).append([entry("bare")], epoch) == ["present"]
    assert await ids(redis, "t:s") == [b"0-1", b"0-2"]


async def test_a_replay_of_a_bare_row_arrives_again_once(redis: Redis, epoch: Epoch) -> None:
    rows = [entry("bare"), entry("bare", replay="t"), entry("bare", replay="t")]
    assert await appender(redis).append(rows, epoch) == ["published", "published", "present"]
    assert await ids(redis, "t:s") == [b"0-1", b"0-2"]


async def test_a_bare_row_that_failed_is_not_remembered(redis: Redis, epoch: Epoch) -> None:
    await redis.set("t:s", "x")
    [outcome] = await appender(redis).append([entry("bare")], epoch)
    assert outcome.startswith("error: WRONGTYPE")
    await redis.delete("t:s")
    assert await appender(redis).append([entry("bare")], epoch) == ["published"]


async def test_what_was_trimmed_away_does_not_come_back_behind_its_successors(redis: Redis, epoch: Epoch) -> None:
    small = appender(redis, session_length=100)
    await small.append([entry(f"e{seq}", seq) for seq in range(1, 1001)], epoch)
    before = await ids(redis, "t:s")
    assert before[0] != b"1-0"
    assert await small.append([entry("e1", 1)], epoch) == ["present"]
    assert await ids(redis, "t:s") == before


async def test_what_is_below_the_first_entry_and_was_never_there_is_published_and_told_once(
    redis: Redis, epoch: Epoch
) -> None:
    """A stream that never reached its cap was not trimmed: a gap would be a silent loss."""
    await appender(redis).append([entry("e3", 3), entry("e4", 4)], epoch)
    assert await appender(redis).append([entry("e1", 1)], epoch) == ["behind"]
    assert await appender(redis).append([entry("e1", 1)], epoch) == ["present"]
    assert await ids(redis, "t:s") == [b"3-0", b"4-0", b"4-1"]


async def test_a_reused_seq_and_a_replay_are_on_the_session_stream_once(redis: Redis, epoch: Epoch) -> None:
    rows = [entry("a", 1), entry("c", 3), entry("other", 1), entry("b", 2, replay="t")]
    await appender(redis).append(rows, epoch)
    assert await appender(redis).append(rows, epoch) == ["present"] * 4
    assert await ids(redis, "t:s") == [b"1-0", b"3-0", b"3-1", b"3-2"]


async def test_a_session_stream_is_capped(redis: Redis, epoch: Epoch) -> None:
    small = appender(redis, session_length=100)
    for first in range(1, 2001, 500):
        await small.append([entry(f"e{seq}", seq) for seq in range(first, first + 500)], epoch)
    kept = await ids(redis, "t:s")
    assert 100 <= len(kept) <= 300, "the server trims a node at a time"
    assert kept[-1] == b"2000-0"


async def test_a_replay_arrives_although_its_seq_is_below_the_last(redis: Redis, epoch: Epoch) -> None:
    await appender(redis).append([entry("a", 1), entry("c", 3)], epoch)
    assert await appender(redis).append([entry("b", 2, replay="token")], epoch) == ["published"]
    [_, _, (at, fields)] = await entries(redis, "t:s")
    assert at == b"3-1"
    assert fields[b"replay"] == b"token"


async def test_a_key_of_another_type_fails_its_session_only(redis: Redis, epoch: Epoch) -> None:
    await redis.set("t:bad", "x")
    rows = [entry("a", 1, "t:bad", "bad"), entry("a2", 2, "t:other", "bad"), entry("b", 1)]
    first, second, third = await appender(redis).append(rows, epoch)
    assert first.startswith("error: WRONGTYPE")
    assert (second, third) == ("held", "published")
    assert await redis.xlen(GLOBAL) == 1


async def test_nothing_is_written_in_another_epoch(redis: Redis, epoch: Epoch) -> None:
    await redis.flushall()
    with pytest.raises(EpochChanged):
        await appender(redis).append([entry("a", 1)], epoch)
    assert await redis.keys() == []


async def test_nothing_is_written_after_the_global_stream_was_deleted_until_another_epoch_begins(
    redis: Redis, epoch: Epoch
) -> None:
    await redis.delete(GLOBAL)
    assert await epochs.read(redis, GLOBAL) is None
    with pytest.raises(EpochChanged):
        await appender(redis).append([entry("a", 1)], epoch)
    began = await epochs.begin(redis, GLOBAL, group="g")
    assert began.sentinel != epoch.sentinel
    assert await appender(redis).append([entry("a", 1)], began) == ["published"]


async def test_everyone_begins_the_same_epoch(redis: Redis, epoch: Epoch) -> None:
    assert await epochs.begin(redis, GLOBAL, group="g") == epoch == await epochs.read(redis, GLOBAL)


async def test_nothing_is_written_to_another_process_with_the_same_data(redis: Redis, epoch: Epoch) -> None:
    for process, history in (("0" * 40, epoch.history), (epoch.run_id, "0" * 40)):
        copied = f"{epoch.name}:{process}:{history}"
        await redis.set(epochs.sentinel_key(GLOBAL), copied)
        with pytest.raises(EpochChanged):
            await appender(redis).append([entry("a", 1)], Epoch(copied, process, history))
    assert await redis.exists("t:s") == 0


async def test_a_session_that_is_called_as_the_global_stream_has_each_event_once(
    redis: Redis, epoch: Epoch
) -> None:
    assert await appender(redis).append([entry("a", 1, GLOBAL)], epoch) == ["published"]
    assert await redis.xlen(GLOBAL) == 1
    assert await redis.ttl(GLOBAL) == -1


async def test_a_full_server_is_an_outage_and_no_fault_of_the_event(redis: Redis, epoch: Epoch) -> None:
    await redis.config_set("maxmemory", "1")
    [outcome] = await appender(redis).append([entry("a", 1)], epoch)
    await redis.config_set("maxmemory", "0")
    assert is_outage_code(outcome.removeprefix("error: ")), outcome
    assert await redis.exists("t:s") == 0


async def test_a_row_that_names_its_own_stream_as_the_global_one_has_it_there_once(
    redis: Redis, epoch: Epoch
) -> None:
    row = Entry("x:all", "a", "s", b"{}", other_global_key="x:all")
    assert await appender(redis).append([row], epoch) == ["published"]
    assert (await redis.xlen("x:all"), await redis.xlen(GLOBAL)) == (1, 1)


async def test_another_global_stream_of_another_type_fails_the_event_before_it_is_anywhere(
    redis: Redis, epoch: Epoch
) -> None:
    await redis.set("x:all", "x")
    row = Entry("x:s", "a", "s", b"{}", seq=1, explicit_seq=1, other_global_key="x:all")
    assert await appender(redis).append([row], epoch) == ["error: WRONGTYPE x:all is a string"]
    assert (await redis.exists("x:s"), await redis.xlen(GLOBAL)) == (0, 0)


async def test_a_row_that_names_another_global_stream_is_there_and_on_ours(redis: Redis, epoch: Epoch) -> None:
    row = Entry("x:s", "a", "s", b"{}", other_global_key="x:all")
    assert await appender(redis).append([row], epoch) == ["published"]
    assert (await redis.xlen("x:all"), await redis.xlen(GLOBAL)) == (1, 1)


async def test_an_entry_carries_cloudevents_attributes_that_sort(redis: Redis, epoch: Epoch) -> None:
    row = Entry(
        "t:s",
        "a",
        "s",
        b"{}",
        seq=7,
        explicit_seq=7,
        ce_type="uniassist.timeline.inbound",
        ce_time="2026-01-01T00:00:00.000Z",
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    )
    assert await appender(redis).append([row], epoch) == ["published"]
    for key in ("t:s", GLOBAL):
        fields = (await entries(redis, key))[-1][1]
        attributes = {name: value for name, value in fields.items() if name.startswith((b"ce_", b"trace"))}
        assert attributes == {
            b"ce_specversion": b"1.0",
            b"ce_id": b"a",
            b"ce_source": b"/uniassist",
            b"ce_type": b"uniassist.timeline.inbound",
            b"ce_subject": b"s",
            b"ce_time": b"2026-01-01T00:00:00.000Z",
            b"ce_sequence": b"00000000000000000007",
            b"traceparent": row.traceparent.encode(),
        }

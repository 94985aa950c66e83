"""Lanes: which session is in which, and that all keys of one share a slot."""

from __future__ import annotations

import pytest

from uniassist.store import delivery
from uniassist.streams import lanes
from uniassist.streams.epoch import sentinel_key
from uniassist.streams.lanes import Layout, shard_of, slot_of

PREFIX, GLOBAL = "uniassist:timeline:", "uniassist:timeline:all"


def test_without_lanes_the_keys_are_those_of_the_contract() -> None:
    layout = Layout(PREFIX, GLOBAL)
    (lane,) = layout.lanes
    assert layout.session_key("s{1}") == f"{PREFIX}s{{1}}"
    assert (lane.global_key, lane.proof_key, lane.mark) == (GLOBAL, "uniassist-proof", "")
    assert lane.shards == tuple(range(32))
    assert lane.has("anything")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 32])
def test_each_shard_is_in_one_lane_and_each_lane_in_one_slot(count: int) -> None:
    layout = Layout(PREFIX, GLOBAL, count)
    assert sorted(shard for lane in layout.lanes for shard in lane.shards) == list(range(32))
    for lane in layout.lanes:
        slot = slot_of(lane.tag)
        memory = f"{sentinel_key(lane.global_key)}:event:"
        for key in (lane.global_key, sentinel_key(lane.global_key), lane.proof_key, memory):
            assert slot_of(key) == slot
    for session_id in ("a", "{9}", "}{", "séance", "x" * 300):
        lane = layout.lane_of(session_id)
        assert shard_of(session_id) in lane.shards
        assert lane.has(layout.session_key(session_id))
        assert layout.session_key(session_id) == f"{PREFIX}{{{lane.number}}}:{session_id}"


def test_there_are_as_many_shards_as_the_store_has() -> None:
    assert lanes.SHARDS == delivery.SHARDS

"""Streams that a row names itself, where there are lanes: those of its lane, by either name, and no other."""

from __future__ import annotations

import pytest

from uniassist.delivery.envelope import Keys, Undeliverable
from uniassist.streams.lanes import Layout

LAYOUT = Layout("uniassist:timeline:", "uniassist:timeline:all", 4)
LANE = LAYOUT.lane_of("s")
KEYS = Keys(LAYOUT, LANE)


def test_a_name_of_a_redis_without_lanes_is_the_lanes_own() -> None:
    assert KEYS.named_session("uniassist:timeline:s", "s") == LANE.session_key("s")
    assert KEYS.named_session(None, "s") == LANE.session_key("s")
    assert KEYS.named_other("uniassist:timeline:all") is None
    assert KEYS.named_other(LANE.global_key) is None


def test_another_key_of_the_lanes_slot_is_taken_as_it_is() -> None:
    assert KEYS.named_session(f"mine:{LANE.tag}", "s") == f"mine:{LANE.tag}"
    assert KEYS.named_other(f"mine:{LANE.tag}:all") == f"mine:{LANE.tag}:all"


@pytest.mark.parametrize("key", ["mine", "uniassist:timeline:t", f"mine:{{{(LANE.number or 0) + 1}}}"])
def test_a_key_of_another_slot_can_not_be_had(key: str) -> None:
    with pytest.raises(Undeliverable, match=r"^payload\.stream\.key: expected a key with {\d} in it"):
        KEYS.named_session(key, "s")
    with pytest.raises(Undeliverable, match=r"^payload\.stream\.globalKey: expected a key with {\d} in it"):
        KEYS.named_other(key)

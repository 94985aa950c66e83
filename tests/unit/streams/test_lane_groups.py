"""The groups of several lanes as those of one stream: what is worst in any of them is what counts."""

from __future__ import annotations

from uniassist.streams.lane_groups import together
from uniassist.streams.stream_groups import GroupPosition, OtherConsumer, StreamGroups


def group(name: str, pending: int, held_seconds: float, *, is_idle: bool = False) -> GroupPosition:
    held = f"{int(1000 - held_seconds)}-0" if held_seconds else None
    consumers = [OtherConsumer("one", pending, int(held_seconds) * 10 + 5)]
    return GroupPosition(name, pending, consumers, (int(1000 - held_seconds), 0), held, held_seconds, is_idle)


def test_of_one_stream_nothing_changes() -> None:
    only = StreamGroups(3, 1, [group("a", 1, 2.0)])
    assert together([only]) is only


def test_entries_and_pending_add_up_and_the_oldest_wait_is_the_groups() -> None:
    found = together(
        [
            StreamGroups(3, 10, [group("a", 1, 2.0), group("b", 0, 0.0)]),
            StreamGroups(4, 11, [group("a", 5, 7.0), group("b", 0, 3.0, is_idle=True)]),
        ]
    )
    assert (found.entries, found.now_ms) == (7, 11)
    a, b = found.groups
    assert (a.name, a.pending, a.held_seconds, a.is_idle) == ("a", 6, 7.0, False)
    assert [(one.name, one.pending, one.idle_ms) for one in a.consumers] == [("one", 6, 25)]
    assert (b.name, b.held_seconds, b.is_idle) == ("b", 3.0, False)
    assert found.holding is a

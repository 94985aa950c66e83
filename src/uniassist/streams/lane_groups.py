"""The consumer groups on the global streams of all lanes, as of one stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.stream_groups import GroupPosition, StreamGroups, look


async def look_all(clients: LaneClients) -> StreamGroups:
    return together(await clients.each(lambda redis, lane: look(redis, lane.global_key)))


def together(lanes: Sequence[StreamGroups]) -> StreamGroups:
    """A group waits for what it wants in the lane where that is oldest; idle is one that is so in all of its."""
    if len(lanes) == 1:
        return lanes[0]
    every = sorted((group for lane in lanes for group in lane.groups), key=lambda group: group.name)
    groups = [_merged(list(of)) for _, of in groupby(every, key=lambda group: group.name)]
    return StreamGroups(sum(lane.entries for lane in lanes), max(lane.now_ms for lane in lanes), groups)


def _merged(of: Sequence[GroupPosition]) -> GroupPosition:
    waiting = [group for group in of if group.held_entry is not None]
    oldest = max(waiting, key=lambda group: group.held_seconds, default=of[0])
    by_name = {each.name: each for group in of for each in group.consumers}
    consumers = [
        replace(
            consumer,
            pending=sum(each.pending for group in of for each in group.consumers if each.name == name),
            idle_ms=min(each.idle_ms for group in of for each in group.consumers if each.name == name),
        )
        for name, consumer in by_name.items()
    ]
    return replace(
        oldest,
        pending=sum(group.pending for group in of),
        consumers=consumers,
        is_idle=all(group.is_idle for group in of),
    )

"""The global stream as `uniassist outbox stats` shows it: every group that reads it, and what holds trimming up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from uniassist.cli.outbox.lines import age
from uniassist.errors import ServerFault
from uniassist.settings import Reader
from uniassist.streams import epoch as epochs
from uniassist.streams.client import Redis
from uniassist.streams.group import WECHAT_GROUP
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Layout
from uniassist.streams.stream_groups import GroupPosition, StreamGroups, look

LOOK_SECONDS = 10.0


async def stream_document(env: Mapping[str, str], workers: Sequence[str]) -> dict[str, Any]:
    """`problem` says why the rest isn't there: a stream that can't be looked at hides no event of Postgres's.

    Where there are lanes, `lanes` has a document of each. `workers`: names of those that are alive.
    """
    reader = Reader(env)
    if not reader.optional("REDIS_URL"):
        return {"problem": "not looked at: REDIS_URL is not set"}
    url, layout, group = reader.redis_url().reveal(), Layout.read(reader), reader.text("UNIASSIST_STREAM_GROUP")
    try:
        async with asyncio.timeout(LOOK_SECONDS), LaneClients(url, layout, is_command=True) as clients:
            found = await clients.each(lambda redis, lane: _document(redis, lane.global_key, group, workers))
            return found[0] if layout.count is None else {"lanes": found}
    except ServerFault as fault:
        return {"problem": str(fault)}
    except TimeoutError:
        return {"problem": f"redis: no answer within {LOOK_SECONDS:.0f} s"}


async def _document(redis: Redis, key: str, group: str, workers: Sequence[str]) -> dict[str, Any]:
    found = await look(redis, key)
    return {
        "key": key,
        "entries": found.entries,
        "database": await epochs.owner(redis, key) or None,
        "groups": [_group(found, each, group, workers) for each in found.groups],
    }


def _group(found: StreamGroups, each: GroupPosition, group: str, workers: Sequence[str]) -> dict[str, Any]:
    consumers = {worker.rsplit(":", 2)[0] for worker in workers}
    ours = each.name in (group, WECHAT_GROUP)
    return {
        "group": each.name,
        "ours": ours,
        "pending": each.pending,
        "consumers": [
            {"consumer": one.name, "pending": one.pending, "idleSeconds": one.idle_ms / 1000}
            for one in each.consumers
        ],
        "heldEntry": each.held_entry,
        "heldSeconds": round(each.held_seconds, 3),
        "holdsTrimming": found.holding is not None and each.name == found.holding.name,
        "isIdle": each.is_idle,
        "misplacedWorkers": [] if ours else sorted(consumers & {one.name for one in each.consumers}),
    }


def lines_of_stream(found: Mapping[str, Any], database: str) -> list[str]:
    if "problem" in found:
        return [f"stream {found['problem']}"]
    if "lanes" in found:
        return [line for lane in found["lanes"] for line in lines_of_stream(lane, database)]
    lines = [f"stream {found['key']}: {found['entries']} entries"]
    if found["database"] not in (None, database):
        lines.append(f"  ANOTHER SYSTEM'S: it belongs to the database {found['database']}, and this is {database}")
    for group in found["groups"]:
        lines += _lines_of_group(group)
    return lines if found["groups"] else [*lines, "  no group reads it"]


def _lines_of_group(group: Mapping[str, Any]) -> list[str]:
    names = ", ".join(consumer["consumer"] for consumer in group["consumers"]) or "nobody"
    whose = "" if group["ours"] else ", not ours"
    line = f"  group {group['group']}{whose}: {group['pending']} pending, read by {names}"
    if group["isIdle"]:
        line += "; idle for a day, nothing waits for it"
    elif group["holdsTrimming"]:
        line += f"; holds trimming up since {age(group['heldSeconds'])}, at {group['heldEntry']}"
    wrong = ", ".join(group["misplacedWorkers"])
    return [line, *([f"  WRONG GROUP? a worker of this system reads there: {wrong}"] if wrong else [])]

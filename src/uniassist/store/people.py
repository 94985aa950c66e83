"""All that is kept of one person: read out, and erased. Timelines keep their events' numbers, kinds and times."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec

from uniassist.store.queries import statements
from uniassist.store.server.pool import Connection, Pool, Record

WECHAT = "wx:"
_PAGE = 200
_ERASE_SECONDS = 120.0  # of a person who has talked for years
_JSON = frozenset({"memory", "payload", "snapshot", "menu", "choices", "body"})


@dataclass(frozen=True)
class Erased:
    """session_ids: those whose streams still have copies. media: files that the WeChat adapter removes."""

    session_ids: list[str]
    media: list[str]


async def erase(connection: Connection, user_id: str) -> Erased:
    """Everything that the person said and was told, in one transaction; of WeChat, what came from there too.

    Runs under way are cancelled: what providers still answer is not written down. Erased again, there is nothing.
    """
    async with connection.transaction():
        session_ids = await lock(connection, user_id)
        media: list[str] = []
        if user_id.startswith(WECHAT):
            openid = user_id.removeprefix(WECHAT)
            wechat = statements("wechat")
            await connection.fetchrow(*wechat["leave"](openid=openid, left_at=dt.datetime.now(dt.UTC)))
            media = await erase_wechat(connection, openid)
        await erase_said(connection, user_id)
    return Erased(session_ids, media)


async def lock(connection: Connection, user_id: str) -> list[str]:
    """Their sessions, locked until the transaction's end."""
    return [row["session_id"] for row in await connection.fetch(*statements("people")["lock"](user_id=user_id))]


async def erase_said(connection: Connection, user_id: str) -> None:
    """What was said in their sessions, which are locked."""
    for name in ("erase_runs", "tell_providers", "erase_timeline", "erase_traces"):
        await connection.execute(*statements("people")[name](user_id=user_id), timeout=_ERASE_SECONDS)


async def erase_wechat(connection: Connection, openid: str) -> list[str]:
    """What the adapter has of a person whose sessions are locked; names of files that are still to be removed."""
    queries = statements("wechat")
    media = await connection.fetch(*queries["erase_person"](openid=openid))
    await connection.execute(*queries["skip_erased"](openid=openid))
    return [row["name"] for row in media]


async def export(source: Pool | Connection, user_id: str) -> AsyncIterator[dict[str, Any]]:
    """Records, each with `record`: what it is of.

    session, event, run, context, plan, reminder, wechatPerson, wechatReply, wechatMedium.

    A page at a time: what happens meanwhile may be in it or not.
    """
    async for session in _pages(source, "sessions", "session_id", user_id=user_id):
        yield _record("session", session)
        async for event in _pages(source, "events", "seq", first=0, session_id=session["session_id"]):
            yield _record("event", event)
    for name, key, record in (
        ("runs", "run_id", "run"),
        ("contexts", "profile_ref", "context"),
        ("plans", "plan", "plan"),
        ("reminders", "reminder_id", "reminder"),
    ):
        async for row in _pages(source, name, key, user_id=user_id):
            yield _record(record, row)
    if user_id.startswith(WECHAT):
        openid = user_id.removeprefix(WECHAT)
        for row in await source.fetch(*statements("people")["wechat_person"](openid=openid)):
            yield _record("wechatPerson", row)
        for name, key, record in (
            ("wechat_replies", "event_id", "wechatReply"),
            ("wechat_media", "media_id", "wechatMedium"),
        ):
            async for row in _pages(source, name, key, openid=openid):
                yield _record(record, row)


async def _pages(
    source: Pool | Connection, name: str, key: str, *, first: str | int = "", **whose: str
) -> AsyncIterator[Record]:
    after = first
    while True:  # ends: with a page that isn't full
        rows = await source.fetch(*statements("people")[name](after=after, limit=_PAGE, **whose))
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        after = rows[-1][key]


def _record(record: str, row: Record) -> dict[str, Any]:
    shown = {_camel(name): _shown(name, value) for name, value in dict(row).items() if value is not None}
    return {"record": record, **shown}


def _shown(name: str, value: Any) -> Any:
    return msgspec.Raw(value.encode()) if name in _JSON else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)

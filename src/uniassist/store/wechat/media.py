"""The media that people sent over WeChat: what is wanted, fetched and kept, and the files of people who left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool


@dataclass(frozen=True)
class MediumRecord:
    """A medium, by who sent it and the platform's id.

    name: of its file, wherever files are kept.
    mime, size, sha256: None until it is stored; size in bytes, sha256 in hex.
    state: `lost` when the platform will never hand it out.
    attempts: how often it was claimed.
    kind: of the attachment, image, audio or file; None of those that an older release wanted.
    """

    openid: str
    media_id: str
    name: str
    mime: str | None
    size: int | None
    sha256: str | None
    state: Literal["waiting", "stored", "lost"]
    attempts: int
    kind: str | None


async def add_medium(pool: Pool, openid: str, media_id: str, name: str, *, kind: str) -> None:
    """Wanted from now on; nothing changes when it is known."""
    statement = statements("wechat_media")["add_medium"]
    await pool.execute(*statement(openid=openid, media_id=media_id, name=name, kind=kind), timeout=5)


async def medium(pool: Pool, openid: str, media_id: str) -> MediumRecord | None:
    statement = statements("wechat_media")["medium"]
    row = await pool.fetchrow(*statement(openid=openid, media_id=media_id), timeout=5)
    return MediumRecord(**dict(row)) if row is not None else None


async def claim_medium(pool: Pool, openid: str, media_id: str, *, lease_seconds: float) -> MediumRecord | None:
    """For whoever fetches it; None while somebody else does, and once it is fetched."""
    statement = statements("wechat_media")["claim_medium"]
    asked = statement(openid=openid, media_id=media_id, lease_seconds=lease_seconds)
    row = await pool.fetchrow(*asked, timeout=5)
    return MediumRecord(**dict(row)) if row is not None else None


async def claim_media(pool: Pool, *, lease_seconds: float, limit: int) -> list[MediumRecord]:
    """Those that are still to be fetched and that nobody is fetching."""
    statement = statements("wechat_media")["claim_media"]
    rows = await pool.fetch(*statement(lease_seconds=lease_seconds, limit=limit), timeout=10)
    return [MediumRecord(**dict(row)) for row in rows]


async def store_medium(pool: Pool, found: MediumRecord, *, mime: str, size: int, sha256: str) -> bool:
    """Its file is written. False when it isn't wanted any more."""
    statement = statements("wechat_media")["store_medium"]
    asked = statement(openid=found.openid, media_id=found.media_id, mime=mime, size=size, sha256=sha256)
    return await pool.execute(*asked, timeout=5) == "UPDATE 1"


async def lose_medium(pool: Pool, found: MediumRecord) -> None:
    """The platform will never hand it out."""
    statement = statements("wechat_media")["lose_medium"]
    await pool.execute(*statement(openid=found.openid, media_id=found.media_id), timeout=5)


async def claim_old_media(pool: Pool, *, days: int, lease_seconds: float, limit: int) -> list[MediumRecord]:
    """For whoever deletes them; nothing of a person for whom something is being worked on."""
    statement = statements("wechat_media")["claim_old_media"]
    rows = await pool.fetch(*statement(days=days, lease_seconds=lease_seconds, limit=limit), timeout=30)
    return [MediumRecord(**dict(row)) for row in rows]


async def forget_media(pool: Pool, gone: Sequence[MediumRecord]) -> None:
    """Their files are removed."""
    statement = statements("wechat_media")["forget_media"]
    asked = statement(openids=[each.openid for each in gone], media_ids=[each.media_id for each in gone])
    await pool.execute(*asked, timeout=10)


async def add_left_media(pool: Pool, names: Sequence[str]) -> None:
    """Files of people who left: still to be removed."""
    await pool.execute(*statements("wechat_media")["add_left_media"](names=names), timeout=5)


async def left_media(pool: Pool, limit: int) -> list[str]:
    """The names of files of people who left."""
    rows = await pool.fetch(*statements("wechat_media")["left_media"](limit=limit), timeout=10)
    return [row["name"] for row in rows]


async def forget_left_media(pool: Pool, names: Sequence[str]) -> None:
    """Their files are removed."""
    await pool.execute(*statements("wechat_media")["forget_left_media"](names=names), timeout=10)

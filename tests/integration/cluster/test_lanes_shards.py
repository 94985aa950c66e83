"""The shard of a session, as this code finds it, is the one that Postgres finds."""

from __future__ import annotations

import random

import asyncpg

from uniassist.streams.lanes import shard_of

LETTERS = "abc-_/0123456789:{} éß中文🙂"


async def test_a_shard_is_the_one_that_postgres_finds(database_url: str) -> None:
    chosen = random.Random(7)
    ids = ["".join(chosen.choices(LETTERS, k=length)) for length in range(120) for _ in range(5)]
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT id, hashtext(id) & 31 AS shard FROM unnest($1::text[]) AS t (id)", ids
        )
    finally:
        await connection.close()
    assert {row["id"]: row["shard"] for row in rows} == {each: shard_of(each) for each in ids}

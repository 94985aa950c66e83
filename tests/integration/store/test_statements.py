"""Every statement that we have is one that Postgres takes, on the schema that the migrations make."""

from __future__ import annotations

from importlib.resources import files

import asyncpg
import pytest

from uniassist.store.queries import statements

FAMILIES = sorted(
    entry.name.removesuffix(".sql")
    for entry in files("uniassist.store").joinpath("queries").iterdir()
    if entry.name.endswith(".sql")
)


@pytest.mark.parametrize("family", FAMILIES)
async def test_each_is_prepared_and_each_of_its_parameters_has_a_name(database_url: str, family: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statements("release")["write_table"].sql)  # for the one that writes to it
        for name, statement in statements(family).items():
            prepared = await connection.prepare(statement.sql)
            assert len(prepared.get_parameters()) == len(statement.parameters), f"{family}.{name}"
    finally:
        await connection.close()

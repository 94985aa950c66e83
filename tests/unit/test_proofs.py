"""A proof is shared by those who ask; what it failed with isn't."""

from __future__ import annotations

import asyncio

import pytest

from uniassist import lifecycle
from uniassist.errors import Full
from uniassist.lifecycle import Proof


class Server:
    def __init__(self) -> None:
        self.is_full = False
        self.writes = 0
        self.returns = 0

    async def write(self) -> None:
        self.writes += 1
        await asyncio.sleep(0)
        if self.is_full:
            raise Full("redis")

    def returned(self) -> None:
        self.returns += 1


async def test_all_who_ask_within_its_time_share_one_write() -> None:
    server = Server()
    proof = Proof(server.write)
    await asyncio.gather(*(proof() for _ in range(50)))
    assert server.writes == 1


async def test_one_that_is_old_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "PROOF_SECONDS", 0.0)
    server = Server()
    proof = Proof(server.write)
    await proof()
    server.is_full = True
    with pytest.raises(Full):
        await proof()


async def test_a_failure_is_tried_again_by_the_next_and_a_return_is_told_once() -> None:
    server = Server()
    proof = Proof(server.write, server.returned)
    server.is_full = True
    for _ in range(2):
        with pytest.raises(Full):
            await proof()
    server.is_full = False
    for _ in range(2):
        await proof()
    assert (server.writes, server.returns) == (3, 1)

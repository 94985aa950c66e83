"""Ids of new things: UUIDs of version 7, in the order of time, never twice."""

from __future__ import annotations

import os
import time
import uuid

from uniassist.gateway.turns.ids import new_id


def test_an_id_is_a_uuid_of_version_7_of_now() -> None:
    before = int(time.time() * 1000)
    made = [uuid.UUID(new_id()) for _ in range(2000)]
    after = int(time.time() * 1000)
    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}
    assert all(before <= each.int >> 80 <= after for each in made)


def test_ids_are_never_the_same_and_their_bits_are_evenly_spread() -> None:
    made = [uuid.UUID(new_id()).int for _ in range(20_000)]
    assert len(set(made)) == len(made)
    random_bits = [bit for bit in range(76) if not 60 <= bit < 64]  # but for the variant and what is beside it
    for bit in [*random_bits, 64, 75]:
        share = sum(value >> bit & 1 for value in made) / len(made)
        assert 0.47 < share < 0.53, f"bit {bit}: {share}"


def test_a_forked_process_gives_out_ids_of_its_own() -> None:
    new_id()  # so that some are drawn ahead
    ids = [_of_a_fork(), new_id(), _of_a_fork(), new_id()]
    assert len({each[13:] for each in ids}) == len(ids)


def _of_a_fork() -> str:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, new_id().encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        said = told.read()
    os.waitpid(pid, 0)
    return said

"""Who accepts from the socket that all share: others are let go first only where they accept."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.waiting import eventually

from uniassist.web import server
from uniassist.web.processes import accepting
from uniassist.web.processes.accepting import AHEAD, Acceptor
from uniassist.web.processes.cells import Cells
from uniassist.web.processes.place import READY, Place

MANY = 20


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setattr(accepting, "LETS_OTHERS_SECONDS", 3600.0)
    with server.listen("127.0.0.1", 0, port_variable="PORT") as listener:
        yield listener


def acceptor(listener: socket.socket, cells: Cells, number: int, held: set[asyncio.Protocol]) -> Acceptor:
    def made() -> asyncio.Protocol:
        protocol = asyncio.Protocol()
        held.add(protocol)
        return protocol

    place = Place(number, cells.rows, cells=cells)
    cells.set_integer(place.row, READY, 1)
    return Acceptor(listener, place, made, lambda: len(held))


def beside(listener: socket.socket, cells: Cells) -> Iterator[Acceptor]:
    """The second, which has nothing yet, said so just now, and then does nothing."""
    with listener.dup() as shared:
        other = acceptor(shared, cells, 2, set())
        asyncio.get_running_loop().remove_reader(shared)
        yield other
        other.close()


def _as_it_is(_other: Acceptor, _monkeypatch: pytest.MonkeyPatch) -> None:
    """For all that is known it accepts."""


def _drains(other: Acceptor, _monkeypatch: pytest.MonkeyPatch) -> None:
    other.close()


def _is_stuck(_other: Acceptor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "ACCEPTS_SECONDS", 0.0)  # it was long ago


@pytest.mark.parametrize(
    ("becomes", "least", "most"), [(_as_it_is, AHEAD, AHEAD + 1), (_drains, MANY, MANY), (_is_stuck, MANY, MANY)]
)
async def test_another_is_let_go_first_only_while_it_accepts(
    listener: socket.socket,
    becomes: Callable[[Acceptor, pytest.MonkeyPatch], None],
    least: int,
    most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells, held = Cells(2), set[asyncio.Protocol]()
    with contextmanager(beside)(listener, cells) as other, ExitStack() as stack:
        becomes(other, monkeypatch)
        first = acceptor(listener, cells, 1, held)
        for _ in range(MANY):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        await eventually(lambda: len(held) >= least, "as many are accepted without a pause", 10)
        if most < MANY:
            await eventually(lambda: first._later is not None, "it lets the other go first", 10)
        assert len(held) <= most
        first.close()

"""The parent of several processes, without any."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Iterator, Sequence
from typing import NoReturn

import pytest

from uniassist.web import server
from uniassist.web.processes.parent import Parent


@pytest.fixture
def parent() -> Iterator[Parent]:
    with server.listen("127.0.0.1", 0, port_variable="PORT") as listener:
        parent = Parent(listener, 2, lambda place: None)
        yield parent
        for descriptor in (parent._woken, parent._wake):
            os.close(descriptor)
        for child in parent._children:
            child.scraped.close()


def test_one_that_gave_up_waits_for_the_others_and_not_for_a_start_that_is_due(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked again at once, all through their drain."""
    waited: list[float] = []

    def selected(reads: Sequence[int], _w: object, _x: object, seconds: float) -> tuple[list[int], ...]:
        waited.append(seconds)
        return [], [], []

    parent._children[0].due_at = 0.0
    parent._given_up = 1
    os.write(parent._wake, b" ")
    monkeypatch.setattr(select, "select", selected)
    parent._wait(1.0)
    assert waited == [1.0]


@pytest.mark.parametrize(("module", "name"), [(socket, "socketpair"), (os, "fork")])
def test_where_no_process_can_be_started_it_is_tried_again(
    parent: Parent, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    def full() -> NoReturn:
        raise OSError(errno.ENFILE, "Too many open files in system")

    parent._serving = True
    monkeypatch.setattr(module, name, full)
    parent._start(parent._children[0])
    assert parent._given_up is None
    assert parent._children[0].due_at is not None


def test_one_whose_last_words_nobody_takes_drains_the_others_all_the_same(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_said: str) -> NoReturn:
        raise BrokenPipeError

    monkeypatch.setattr("sys.stderr.write", gone)
    parent._give_up(parent._children[0], "ended with 1", 1)
    assert parent._given_up == 1

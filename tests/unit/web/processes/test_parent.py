"""The parent of several processes, without any."""

from __future__ import annotations

import select
from collections.abc import Sequence

import pytest

from uniassist.web import server
from uniassist.web.processes.parent import Parent


def test_one_that_gave_up_waits_for_the_others_and_not_for_a_start_that_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It looked again at once, all through their drain."""
    waited: list[float] = []

    def selected(
        reads: Sequence[int], _w: object, _x: object, seconds: float
    ) -> tuple[list[int], list[int], list[int]]:
        waited.append(seconds)
        return [], [], []

    with server.listen("127.0.0.1", 0, port_variable="PORT") as listener:
        parent = Parent(listener, 2, lambda place: None)
        parent._children[0].due_at = 0.0
        parent._children[1].pid = 0
        parent._given_up = 1
        monkeypatch.setattr(select, "select", selected)
        monkeypatch.setattr("os.read", lambda *_: b"")
        parent._wait(1.0)
        for child in parent._children:
            child.scraped.close()
    assert waited == [1.0]

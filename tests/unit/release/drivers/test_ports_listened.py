"""Who is in the way of a port: everything there is, is asked for where somebody is, and only there."""

from __future__ import annotations

import os
import socket

import psutil
import pytest
from tests.ports import free_port

from uniassist.release.drivers import ports


def test_a_free_port_costs_no_look_at_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_kind: str) -> None:
        raise AssertionError("asked for every connection there is")

    monkeypatch.setattr(psutil, "net_connections", never)
    assert ports.listeners("127.0.0.1", free_port()) == []


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_one_names_who_has_it(bound: str) -> None:
    with socket.create_server((bound, 0)) as server:
        port = server.getsockname()[1]
        assert ports.listeners("127.0.0.1", port) == [os.getpid()]
        assert ports.listeners("127.0.0.1", port, ports.listening()) == [os.getpid()]
        assert ports.listeners("127.0.0.1", port, []) == []

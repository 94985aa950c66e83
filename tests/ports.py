"""Ports for what the tests start themselves, each worker's from a part of its own, none given twice soon.

The product's `free_port` picks at random from 10000 to 31999, where `up` and the embedded servers find theirs.
A test that picks a port there for later, as one does for a URL in an env file, finds a stranger on it now and then:
another worker's server was quicker. These are from above the range that Linux takes for outgoing connections.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

from uniassist.devstack.server import port_is_taken

FIRST, END = 61_000, 65_500


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no other test of this run is given."""
    return next(port for port in _ports if not port_is_taken(port))


def _of_worker(worker: int, workers: int) -> Iterator[int]:
    """Round and round from somewhere, so that another run beside this one rarely meets it."""
    of_each = (END - FIRST) // workers
    own = range(FIRST + worker * of_each, FIRST + (worker + 1) * of_each)
    place = random.randrange(of_each)
    while True:
        yield own[place % of_each]
        place += 1


_ports = _of_worker(
    int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
    int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
)

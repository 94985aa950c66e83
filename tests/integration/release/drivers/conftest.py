"""Places for the drivers, each kept for its module: a virtual environment is built once for each release."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.integration.release.drivers.places import Place


@pytest.fixture(scope="module", params=["local", "exec", "manual"])
def kept_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
async def place(kept_place: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """All three drivers, one after the other."""
    for name, value in kept_place.environ.items():
        monkeypatch.setenv(name, value)
    yield kept_place
    await kept_place.clear()


@pytest.fixture(scope="module")
def kept_local(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place("local", tmp_path_factory.mktemp("local"))


@pytest.fixture
async def local(kept_local: Place) -> AsyncIterator[Place]:
    yield kept_local
    await kept_local.clear()

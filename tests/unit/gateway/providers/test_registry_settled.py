"""A providers file that is being written: half of it may be a right one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from uniassist.gateway.providers import registry as module
from uniassist.gateway.providers.kinds.uniassist import UniassistKind
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.web.calling.client import JsonClient


def entry(provider_id: str) -> str:
    return f'[[provider]]\nid = "{provider_id}"\nkeywords = ["{provider_id}"]\n'


def known(registry: ProviderRegistry) -> list[str]:
    return [each.provider_id for each in registry.catalogue.providers]


async def test_half_a_file_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(entry("first"), "utf-8")
    async with JsonClient() as client:
        registry = ProviderRegistry(
            str(path),
            base_urls={},
            tokens={},
            timeout_ms=1000,
            kinds={"uniassist": UniassistKind(client)},
            on_checked=lambda *_: None,
        )
    half, whole = entry("first") + entry("second"), entry("first") + entry("second") + entry("third")
    waited: list[float] = []

    async def meanwhile(seconds: float) -> None:
        waited.append(seconds)
        path.write_text(whole, "utf-8")

    monkeypatch.setattr(asyncio, "sleep", meanwhile)
    path.write_text(half, "utf-8")
    assert await registry._look_once() == module.SETTLED_SECONDS
    assert known(registry) == ["first"]
    assert await registry._look_once() == module.LOOK_SECONDS
    assert known(registry) == ["first", "second", "third"]
    assert waited == [module.SETTLED_SECONDS] * 2
    await registry._look_once()
    assert len(waited) == 2, "a file that nobody changed is read once"

"""A key set that is stored elsewhere: read, kept through outages, and looked at again, but not by each request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm
from structlog.testing import capture_logs

from uniassist.errors import SettingsError, Unavailable
from uniassist.web.auth import key_set
from uniassist.web.auth.key_set import StoredKeySet
from uniassist.web.calling.client import JsonClient


def described(key_id: str) -> dict[str, Any]:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return {**json.loads(OKPAlgorithm.to_jwk(key)), "kid": key_id}


@dataclass
class Source:
    url: str = ""
    status: int = 200
    body: bytes = b""
    asked: int = 0
    keys: list[dict[str, Any]] = field(default_factory=list)

    def serve(self, *key_ids: str) -> None:
        self.keys = [described(key_id) for key_id in key_ids]
        self.status, self.body = 200, json.dumps({"keys": self.keys}).encode()


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    made = Source()

    async def answer(_request: web.Request) -> web.Response:
        made.asked += 1
        return web.Response(status=made.status, body=made.body, headers={"location": "/elsewhere"})

    app = web.Application()
    app.router.add_get("/keys", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys?secret=hidden-in-the-query"
    yield made
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[JsonClient]:
    async with JsonClient() as opened:
        yield opened


async def ids(keys: StoredKeySet) -> list[str | None]:
    return [key.key_id for key in await keys.keys()]


async def test_it_is_asked_once_and_again_for_what_it_lacks(
    source: Source, client: JsonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.serve("1")
    keys = StoredKeySet(source.url, client)
    assert await asyncio.gather(*(ids(keys) for _ in range(5))) == [["1"]] * 5
    source.serve("2")
    assert not any(await asyncio.gather(*(keys.look_again() for _ in range(20)))), "just looked"
    assert source.asked == 1
    monkeypatch.setattr(key_set, "LOOK_AGAIN_SECONDS", 0.0)
    assert await keys.look_again()
    assert await ids(keys) == ["2"]
    assert not await keys.look_again(), "nothing new"


@pytest.mark.parametrize(
    ("status", "body"), [(500, b""), (302, b""), (200, b"<html>"), (200, b'{"keys": []}'), (200, b"[" * 70)]
)
async def test_what_was_read_stays_good_while_it_cannot_be_read_again(
    source: Source, client: JsonClient, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    monkeypatch.setattr(key_set, "LOOK_AGAIN_SECONDS", 0.0)
    keys = StoredKeySet(source.url, client)
    source.status, source.body = status, body
    with capture_logs() as logs:
        with pytest.raises(Unavailable):
            await keys.keys()
        source.serve("1")
        assert await ids(keys) == ["1"]
        source.status, source.body = status, body
        assert not await keys.look_again()
    assert await ids(keys) == ["1"]
    assert "hidden-in-the-query" not in str(logs)
    assert len(logs) == 2


async def test_a_source_that_is_away_is_said_without_its_query(client: JsonClient) -> None:
    keys = StoredKeySet("http://127.0.0.1:1/keys?secret=hidden-in-the-query", client)
    with capture_logs() as logs, pytest.raises(Unavailable):
        await keys.keys()
    assert "Unreachable" in str(logs)
    assert "hidden-in-the-query" not in str(logs)


async def test_a_file_is_read_at_the_start_and_when_it_changes(
    tmp_path: Path, client: JsonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set, "LOOK_AGAIN_SECONDS", 0.0)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [described("1")]}))
    keys = StoredKeySet(str(path), client)
    await keys.start()
    try:
        assert await ids(keys) == ["1"]
        path.write_text(json.dumps({"keys": [described("2")]}))
        assert await keys.look_again()
        assert await ids(keys) == ["2"]
    finally:
        await keys.stop()


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "not JSON", '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'])
async def test_a_file_that_is_no_key_set_stops_the_start(
    tmp_path: Path, client: JsonClient, text: str | None
) -> None:
    path = tmp_path / "keys.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=r"^UNIASSIST_APP_JWT_JWKS: the file"):
        await StoredKeySet(str(path), client).start()

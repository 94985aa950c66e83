"""The JavaScript client, run by node, against a gateway that is killed in the middle of its talk."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.processes import ServiceProcess

KEY = "test-app-key-0123456789-0123456789"
MESSAGES = 20
KILLED_AFTER = 6
MODULE = Path(__file__).parents[3] / "clients/js/uniassist.js"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node isn't on PATH")
async def test_a_talk_goes_on_over_a_gateway_that_is_killed(
    database_url: str, redis_url: str, service: Callable[..., ServiceProcess]
) -> None:
    env = {"UNIASSIST_APP_AUTH": "jwt", "UNIASSIST_APP_JWT_KEY": KEY}
    gateway = service("gateway", DATABASE_URL=database_url, REDIS_URL=redis_url, **env)
    token = jwt.encode({"sub": "u-7", "exp": int(time.time()) + 600}, KEY, algorithm="HS256")
    command = [str(NODE), str(Path(__file__).with_name("talk.mjs")), str(MODULE), gateway.url, token, str(MESSAGES)]
    talk = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(120):
            assert talk.stdout is not None
            async for line in talk.stdout:
                said.append(json.loads(line))
                if said[-1] == {"sent": KILLED_AFTER}:
                    gateway.kill()
                    await asyncio.to_thread(gateway.start)
            assert talk.stderr is not None
            errors = await talk.stderr.read()
            assert await talk.wait() == 0, errors.decode()
    finally:
        if talk.returncode is None:
            talk.kill()
            await talk.wait()
    *_, talked, able = said
    assert talked["texts"] == [f"message {number}" for number in range(MESSAGES)], "each once"
    assert talked["seqs"] == list(range(1, len(talked["seqs"]) + 1))
    assert len(talked["seqs"]) >= MESSAGES
    assert able.pop("newSession")
    assert able.pop("ticket")
    assert able == {"same": True, "refused": 404, "away": True}

"""Protocols that nobody speaks cost nothing: their SDKs are loaded by the first that needs one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from uniassist.gateway.providers.kinds.a2a import A2aKind
from uniassist.store.remotes import Remotes
from uniassist.web.calling.client import Unreachable

SDKS = ("a2a", "ag_ui", "openai", "httpx", "pydantic", "google.protobuf")


def test_a_gateway_loads_no_sdk() -> None:
    asked = f"import sys, uniassist.gateway.app; print([name for name in {SDKS} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


async def test_an_sdk_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "uniassist.gateway.providers.kinds.a2a_agents"
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "a2a.client", None)  # as where it isn't installed
    kind = A2aKind(Remotes.__new__(Remotes))
    with pytest.raises(Unreachable, match=r"uniassist\[a2a\]"):
        await kind._loaded()

"""The clients that the fronts' pages show are run as they stand there."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.fronts.agui_peer import AGUI

DOCS = Path(__file__).parents[4] / "docs"
EXAMPLES = DOCS.parent / "examples"


def shown(page: str, language: str, url: str, thread: str) -> str:
    """The page's first block of that language, with the test's own gateway and thread."""
    found = re.search(rf"```{language}\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)
    assert found is not None
    code = found[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 16
    assert "http://127.0.0.1:8787" in code
    code = code.replace("http://127.0.0.1:8787", url)
    return re.sub(r'"t-[12]"', f'"{thread}"', code)


async def output(*command: str, says: bytes = b"") -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(says), 90)
    return out.decode()


async def test_the_ag_ui_client(fronted: GatewayClient) -> None:
    out = await output(sys.executable, "-c", shown("fronts-ag-ui.md", "python", fronted.url, unique("thread")))
    assert "RUN_STARTED" in out
    assert "RunFinishedInterruptOutcome" in out or "type='interrupt'" in out
    assert "Traceback" not in out


async def test_the_openai_client(fronted: GatewayClient) -> None:
    """It asks until there is nothing more to read."""
    code = shown("fronts-openai.md", "python", fronted.url, unique("thread"))
    out = await output(sys.executable, "-c", code, says=b"calm m:first end\ncalm m:second end\n")
    assert out.index("first") < out.index("second") < out.index("EOFError")


@pytest.mark.skipif(AGUI is None, reason="make peers-js runs it, with @ag-ui/client from npm")
async def test_the_ag_ui_client_in_javascript(fronted: GatewayClient) -> None:
    folder = Path(AGUI or ".")
    shutil.copy(EXAMPLES / "ag_ui" / "resumable.mjs", folder)
    script = folder / f"{unique('docs')}.mjs"
    script.write_text(shown("fronts-ag-ui.md", "js", fronted.url, unique("thread")), "utf-8")
    try:
        out = await output("node", str(script))
    finally:
        script.unlink()
    assert "The plan is kept" in out, out

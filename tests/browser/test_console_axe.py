"""axe-core on every page of the console: `make console-axe` brings it from npm; elsewhere it is left out."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from tests.browser import test_console_operate as operate
from tests.browser.console_system import ConsoleSystem, console

AXE = os.environ.get("UNIASSIST_AXE")
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(700)]
system = operate.system
FOUND = """async () => (await axe.run()).violations
  .map((one) => `${one.impact}: ${one.id} ${one.nodes[0].html.slice(0, 160)}`)"""


@pytest.mark.skipif(AXE is None, reason="make console-axe runs it, with axe-core from npm")
async def test_axe_finds_nothing(browser: Browser, system: ConsoleSystem) -> None:
    await operate.bury(system, "axe", "boom")
    found: dict[str, Any] = {}
    async with console(browser, system, "#/watch") as page:
        for width, name in itertools.product((1280, 360), operate.PAGES):
            await page.set_viewport_size({"width": width, "height": 740})
            await page.evaluate("to => { location.hash = to; }", f"#/{name}")
            await page.locator(f"#main > ua-{name}").wait_for()
            await operate._settled(page)
            for theme in ("light", "dark"):
                await page.evaluate("to => { document.documentElement.dataset.theme = to; }", theme)
                await page.evaluate(f"{Path(str(AXE)).read_text('utf-8')};0")
                if problems := await page.evaluate(FOUND):
                    found[f"{name}, {theme}, {width}"] = problems
    assert found == {}

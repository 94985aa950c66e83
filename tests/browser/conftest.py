"""A real browser: the one that is there, else Debian's, installed once when we may."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
INSTALL_SECONDS = 600
# No network but our own pages: nothing of the browser's own may phone home.
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def found_browser() -> str | None:
    named = os.environ.get("UNIASSIST_TEST_BROWSER")
    candidates = [named] if named else [shutil.which(name) for name in NAMES]
    return next((path for path in (*candidates, str(MAC)) if path and Path(path).exists()), None)


def install_browser() -> str:
    """Debian's Chromium through apt, by one of the tests' processes. Fails with what to do where that can't be."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        pytest.fail("no Chromium found: install chromium, or name a browser in UNIASSIST_TEST_BROWSER")
    with (Path(tempfile.gettempdir()) / "uniassist-tests-install-browser").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return found_browser() or _install(apt)


def _install(apt: str) -> str:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ([apt, "update", "-qq"], [apt, "install", "-y", "-qq", "--no-install-recommends", "chromium"]):
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        if done.returncode != 0 and command[1] == "install":
            pytest.fail(f"Chromium could not be installed:\n{done.stderr[-2000:]}")
    installed = found_browser()
    assert installed is not None, "apt-get installed chromium, but it isn't on the PATH"
    return installed


@pytest.fixture(scope="session")
def browser_path() -> str:
    return found_browser() or install_browser()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(browser_path: str) -> AsyncIterator[Browser]:
    """One for all tests of a process, each of which opens a context of its own: a start takes a second of CPU."""
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=browser_path, args=flags, headless=True)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _left_closed(browser: Browser) -> AsyncIterator[None]:
    """What a test that failed left open would go on asking its services."""
    yield
    for context in browser.contexts:
        await context.close()

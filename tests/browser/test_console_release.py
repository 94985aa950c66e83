"""The console's Release page: a real release as it happens, and what the tool wrote down, opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect
from tests.browser.console_system import ACTOR, PATIENCE_MS, ConsoleSystem, console
from tests.browser.released import SmallRelease
from tests.integration.release.commands import Command
from tests.processes import ServiceProcess
from tests.release_history import History
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually
from tests.watch.judges import judge

from uniassist.release.watch.directory import ServiceSeen, WatchDirectory, WatchState
from uniassist.release.watch.triggers.how_far import how_far
from uniassist.release.watch.triggers.samples import Cadence, Probe

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(700)]
# Notes each state of each stage when the page first shows it, and each line of the journal.
WATCHING = """() => {
  const seen = window.seen = [];
  const note = (said) => seen.includes(said) || seen.push(said);
  const look = () => {
    for (const stage of document.querySelectorAll("[data-stage]")) {
      note(`${stage.dataset.stage}: ${stage.querySelector("b").textContent}`);
    }
    for (const one of document.querySelectorAll(".journal b")) note(`journal: ${one.textContent}`);
  };
  new MutationObserver(look).observe(document.getElementById("app"), { childList: true, subtree: true });
  look();
}"""


@pytest.fixture
def shown(
    service: Callable[..., ServiceProcess], database_url: str, redis_url: str
) -> Callable[[Path, str], ConsoleSystem]:
    """A gateway whose console shows a home of records, and the services that it is told of."""

    def start(home: Path, services: str) -> ConsoleSystem:
        gateway = service(
            "gateway",
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            UNIASSIST_CONSOLE="true",
            UNIASSIST_CONSOLE_TOKENS=f"olga:act:{ACTOR}",
            UNIASSIST_CONSOLE_SERVICES=services,
            UNIASSIST_CONSOLE_RELEASE_DIR=str(home),
        )
        return ConsoleSystem(database_url, redis_url, home, StreamingProvider(), {"gateway": gateway})

    return start


@pytest.fixture
def release(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[SmallRelease]:
    made = SmallRelease(tmp_path, database_url, redis_url)
    yield made
    made.stop()


async def test_a_release_is_watched_from_its_gate_to_its_verification_while_it_happens(
    browser: Browser, shown: Callable[[Path, str], ConsoleSystem], release: SmallRelease
) -> None:
    release.home.mkdir(parents=True)
    others = ",".join(f"{name}={url}" for name, url in release.services.items())
    async with console(browser, shown(release.home, others), "#/release") as page:
        await expect(page.locator(".command code").first).to_have_text("uniassist release preflight")
        await page.evaluate(WATCHING)
        running = release.begin()
        ended = asyncio.create_task(asyncio.to_thread(running.communicate, timeout=400))
        try:
            await expect(stage(page, "watch").locator("b")).to_have_text("quiet: no trigger fired", timeout=400_000)
        finally:
            out, err = await ended
        assert running.returncode == 0, out + err
        seen: list[str] = await page.evaluate("window.seen")
        found = [said for said in seen if not said.startswith("journal") and not said.endswith("not yet")]
        wanted = ["preflight: ready", "gate: green", "rollout: under way", "rollout: done", "verify: verified"]
        assert [said for said in found if said in wanted] == wanted, seen
        services = [said for said in seen if said.removeprefix("journal: ") in release.services]
        assert services == [f"journal: {name}" for name in ("provider-plan", "adapter-wechat", "gateway", "worker")]
        assert seen.index(services[0]) < seen.index("rollout: done"), "each as it happened"
        assert found[-1] == "watch: quiet: no trigger fired"

        await expect(page.locator(".verified .tag")).to_have_text("Verified v1", timeout=PATIENCE_MS)
        rows = page.get_by_label("staging").locator("tbody tr", has=page.locator("td.mono", has_text="v1"))
        await expect(rows).to_have_count(4, timeout=PATIENCE_MS)
        for name in ("preflight", "gate", "verify", "watch"):
            await opened(page, name).locator("summary").first.click()
        await expect(opened(page, "gate").locator(".steps li", has_text="typecheck")).to_contain_text("ok")
        await expect(opened(page, "verify").locator("dd").first).to_contain_text("gateway v1")
        await expect(page.locator(".triggers tr", has_text="retry")).to_contain_text("0 / 25")


def stage(page: Page, name: str) -> Locator:
    return page.locator(f"[data-stage={name}]")


def opened(page: Page, named: str) -> Locator:
    """The part of the page whose line begins with that tag."""
    return page.locator("details[data-key]", has=page.locator("summary .tag", has_text=named)).first


async def test_what_was_written_down_is_opened_and_read(
    browser: Browser, shown: Callable[[Path, str], ConsoleSystem], tmp_path: Path
) -> None:
    history = History(tmp_path)
    history.rolled_out()
    history.drilled("v2", 26, exitCode=0, commandOutput=["selected=1 updated=1"], cleanUp="everything is as it was")
    history.rolled_back()
    built = Command(tmp_path)("release", "evidence", "build", "v2")
    assert (tmp_path / ".uniassist/release/evidence").is_dir(), built.said
    watching(history.home)
    async with console(browser, shown(history.home, ""), "#/release") as page:
        trigger = page.locator(".triggers tr", has_text="gateway")
        await expect(trigger).to_contain_text("60 / 180 s", timeout=PATIENCE_MS)
        await expect(trigger.locator(".tag")).to_have_text("rising")
        await expect(page.locator(".triggers tr", has_text="dead_letter")).to_contain_text("0 / 5 in 5.0 min")
        budget = page.locator(".budget").first
        await expect(budget).to_be_visible()

        incident = opened(page, "incident open")
        await expect(incident.locator("dd", has_text="no answer within 2 s")).to_be_visible()
        await expect(incident.locator("dd", has_text="3.0 min")).to_be_visible()
        await expect(incident.locator("code").first).to_contain_text("uniassist release incident close")
        await incident.get_by_text("Log of gateway").click()
        await expect(incident.locator("pre", has_text="it failed")).to_be_visible()

        drill = opened(page, "drill worker")
        await drill.locator("summary").first.click()
        await expect(drill).to_contain_text("everything is as it was")
        await expect(drill.locator("pre").first).to_contain_text("selected=1 updated=1")

        bundle = page.locator("details[data-key^='evidence']")
        await bundle.locator("summary").first.click()
        await expect(bundle.locator(".steps li", has_text="Incident note")).to_contain_text("open")
        await expect(bundle.locator("dd", has_text="evidence check")).to_be_visible()
        await bundle.get_by_role("button", name="evidence.md").click()
        await expect(bundle.locator("pre")).to_contain_text("# Release evidence: v2 to staging")
        await bundle.get_by_role("button", name="gate.log").first.click()
        await expect(bundle.locator("pre")).to_contain_text("as it was shown")
        drawn = await page.evaluate("document.querySelector('ua-release').drawn")
        await eventually(lambda: _changed(page, drawn), "the page is drawn anew", 60)
        await expect(bundle.locator("pre")).to_contain_text("as it was shown")  # what was opened stays open


async def _changed(page: Page, before: Any) -> bool:
    return bool(await page.evaluate("document.querySelector('ua-release').drawn") != before)


def watching(home: Path) -> None:
    """A watch whose gateway has failed for a minute."""
    judged = judge(frozenset({"v2"}))
    for second in range(0, 61, 5):
        judged.probed("gateway", Probe(float(second), "failed", "no answer within 2 s"))
        judged.probed("worker", Probe(float(second), "ok", "healthy", revision="v2"))
    directory = WatchDirectory(home, "staging")
    directory.make()
    soon = "2099-01-01T00:00:00.000Z"
    directory.write(
        WatchState(
            pid=1,
            since=soon,
            until=soon,
            heartbeat=soon,
            revision="v2",
            on_trigger="rollback",
            log="watch.log",
            services={"gateway": ServiceSeen("failing", "no answer within 2 s", counted_seconds=60.0)},
            triggers=how_far(judged, Cadence()),
        )
    )

"""The console at three in the morning: what is wrong, and how it is put right; and who may do that."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect
from tests.browser.console_system import ACTOR, PATIENCE_MS, READER, ConsoleSystem, console, console_system

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.release.records.journal import Journal
from uniassist.release.records.runs import Runs
from uniassist.release.report.masking import Masker
from uniassist.store import outbox
from uniassist.store.server import pool

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(700)]
PAGES = ("talk", "life", "watch", "outbox", "acts", "release")
# WCAG's ratio of every text in sight, by what is painted; controls that can't be used have none to keep.
CONTRASTS = """() => {
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const painted = (layers) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of layers) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const box = element.getBoundingClientRect();
    if (!own || !box.width || !box.height || element.closest(":disabled, svg, .hidden-text, .skip")) continue;
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    const back = light(painted(layers));
    const front = light(painted([...layers, getComputedStyle(element).color]));
    const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    const said = element.textContent.slice(0, 30);
    if (ratio < 4.5) poor.push(`${element.tagName} ${element.className} "${said}" ${ratio}`);
  }
  return poor;
}"""
NAMELESS = """() => [...document.querySelectorAll("a, button, input, select, textarea, [role=button]")]
  .filter((one) => one.getBoundingClientRect().width)
  .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim() || one.labels?.length || one.title))
  .map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def system(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleSystem]:
    folder: Path = tmp_path_factory.mktemp("console-operate")
    with console_system(postgres_server, redis_server, folder, with_specialists=False) as running:
        yield running


async def bury(system: ConsoleSystem, session: str, error: str) -> str:
    """A dead letter, as an operator finds it."""
    event_id = f"event-{uuid.uuid4()}"
    async with await pool.connect(system.database_url) as connection:
        await outbox.inject(connection, event_id=event_id, session_id=session, status="dead_letter", attempts=12)
    system.execute("UPDATE outbox_events SET last_error = %s WHERE event_id = %s", error, event_id)
    return event_id


async def test_a_dead_letter_is_found_by_filter_and_replayed_and_the_act_is_on_record(
    browser: Browser, system: ConsoleSystem
) -> None:
    session = f"dead-{uuid.uuid4()}"
    wanted = await bury(system, session, "redis: full (maxmemory)")
    other = await bury(system, session, "error: WRONGTYPE it is a string")
    async with console(browser, system, "#/outbox?status=dead_letter") as page:
        await page.get_by_label("Session").fill(session)
        await page.get_by_label("Error contains").fill("MAXMEMORY")
        await page.get_by_role("button", name="Apply").click()
        await page.wait_for_url(lambda url: "error=MAXMEMORY" in url)
        await expect(page.locator("tbody tr")).to_have_count(1, timeout=PATIENCE_MS)

        await page.get_by_role("button", name="Replay dead letters…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Dry run").click()
        await expect(dialog.get_by_role("status")).to_contain_text("1 would be replayed")
        assert system.execute("SELECT status FROM outbox_events WHERE event_id = %s", wanted) == [
            {"status": "dead_letter"}
        ]
        await dialog.get_by_role("button", name="Replay 1").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("Say why")
        await dialog.get_by_label("Why").fill("Redis has room again")
        await dialog.get_by_role("button", name="Replay 1").click()
        await expect(dialog.get_by_role("status")).to_contain_text("1 replayed", timeout=PATIENCE_MS)
        await dialog.get_by_role("button", name="Close").click()

        await page.goto(f"{system.gateway.url}/console#/outbox/{wanted}")
        await expect(page.locator("dd .tag").first).to_have_text("consumed", timeout=PATIENCE_MS)
        await page.keyboard.press("g")
        await page.keyboard.press("a")
        row = page.locator("tbody tr").first
        await expect(row).to_contain_text("Redis has room again")
        await expect(row).to_contain_text("olga")
    left = system.execute("SELECT status FROM outbox_events WHERE event_id = %s", other)
    assert left == [{"status": "dead_letter"}], "what didn't fit stays"


async def test_delivery_is_paused_which_every_page_says_and_resumed(
    browser: Browser, system: ConsoleSystem
) -> None:
    async with console(browser, system, "#/outbox") as page:
        await page.get_by_role("button", name="Pause delivery…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Why").fill("moving Redis")
        await dialog.get_by_role("button", name="Pause", exact=True).click()
        await expect(page.get_by_role("button", name="Resume delivery…")).to_be_visible(timeout=PATIENCE_MS)
        await page.keyboard.press("g")
        await page.keyboard.press("w")
        await expect(page.locator("#banner")).to_contain_text("Delivery is paused", timeout=PATIENCE_MS)
        await page.locator("#banner a").click()
        await page.get_by_role("button", name="Resume delivery…").click()
        await dialog.get_by_label("Why").fill("Redis is moved")
        await dialog.get_by_role("button", name="Resume", exact=True).click()
        await expect(page.get_by_role("button", name="Pause delivery…")).to_be_visible(timeout=PATIENCE_MS)
    kept = system.execute("SELECT who, via, act, note FROM operator_acts WHERE act <> 'replay' ORDER BY id")
    assert kept == [
        {"who": "olga", "via": "token", "act": "pause", "note": "moving Redis"},
        {"who": "olga", "via": "token", "act": "resume", "note": "Redis is moved"},
    ]


async def test_who_may_read_only_sees_all_and_changes_nothing(browser: Browser, system: ConsoleSystem) -> None:
    await bury(system, "any", "any")
    async with console(browser, system, "#/outbox", token=READER) as page:
        await expect(page.locator("tbody tr").first).to_be_visible()
        await expect(page.get_by_role("button", name="Replay dead letters…")).to_be_disabled()
        await expect(page.get_by_text("Your role is read")).to_be_visible()
    body = {"schemaVersion": "v0", "note": "all the same"}
    for token, told in ((READER, "MISSING_ROLE"), (ACTOR, "STALE_ACT_TOKEN"), ("nobody", "INVALID_OPERATOR_TOKEN")):
        headers = {"Authorization": f"Bearer {token}", "x-console-act": "made up"}
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.post(f"{system.gateway.url}/console/v0/pause", json=body) as answer,
        ):
            assert (await answer.json())["code"] == told
    assert system.execute("SELECT paused_at FROM delivery_control") == [{"paused_at": None}]


async def test_a_message_s_whole_life_is_one_waterfall(browser: Browser, system: ConsoleSystem) -> None:
    trace, session = f"trace-{uuid.uuid4()}", f"life-{uuid.uuid4()}"
    named = {"schemaVersion": "v0", "traceId": trace, "userId": "u", "sessionId": session, "source": "app"}
    message = named | {"text": "kw m:done end", "timestampMs": int(time.time() * 1000)}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{system.gateway.url}/v0/ingest", json=message) as answer,
    ):
        assert answer.status == 200
    async with console(browser, system, f"#/life/{trace}") as page:
        await expect(page.locator("[data-lane]", has_text="Message")).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.locator(".waterfall .provider")).to_have_count(1)
        events = system.execute("SELECT event_id FROM timeline_events WHERE session_id = %s", session)
        await expect(page.locator(".waterfall .consume")).to_have_count(len(events), timeout=PATIENCE_MS)
        await page.locator("[data-lane]", has_text="Message").click()
        details = page.get_by_label("Details")
        await expect(details).to_contain_text("consumed")
        await expect(
            details.locator("dd", has_text="-0").first
        ).to_be_visible()  # its entry on the session's stream
        await expect(page.locator(".json")).to_contain_text("done")

        await page.locator("[data-lane^=run]").click()
        request = page.get_by_label("Request")
        await expect(request).to_contain_text("invoke")
        await expect(request.locator(".json")).to_contain_text('"text": "kw m:done end"')
        await expect(page.get_by_label("Answer").locator(".json")).to_contain_text('"text": "done"')


async def test_watch_leads_from_a_rising_figure_to_its_list(browser: Browser, system: ConsoleSystem) -> None:
    dead = await bury(system, "rising", "boom")
    await bury(system, "rising", "another")
    async with console(browser, system, "#/watch") as page:
        tile = page.locator("a.tile", has_text="Dead letters")
        await expect(tile).to_have_class("tile bad", timeout=PATIENCE_MS)
        await expect(page.locator(".health", has_text="worker")).to_contain_text("ok")
        await expect(page.get_by_label("Worker shards")).to_contain_text("32 / 32")
        await tile.click()
        await expect(page.locator(f"tr[data-event='{dead}']")).to_be_visible(timeout=PATIENCE_MS)
        await page.locator(".causes a", has_text="boom").click()
        await page.wait_for_url(lambda url: "error=boom" in url)
        await expect(page.get_by_label("Error contains")).to_have_value("boom")
        await expect(page.locator("tbody tr td:last-child")).to_have_text(["boom"], timeout=PATIENCE_MS)


async def test_a_release_is_watched_as_its_records_are_written(browser: Browser, system: ConsoleSystem) -> None:
    records = system.releases / "runs"
    records.mkdir()
    gate: dict[str, Any] = {
        "command": "release gate",
        "revision": "v42",
        "exitCode": 0,
        "endedAt": "2026-11-30T07:00:00.000Z",
    }
    gate["steps"] = [{"number": 1, "name": "typecheck", "result": "ok", "seconds": 4.5, "startedAt": "x"}]
    (records / "20261130T070000Z-gate-1.json").write_text(json.dumps(gate), "utf-8")
    run = Runs(system.releases).begin(
        "rollout", "v42", environment="staging", driver="local", target="v42-aa", target_tag="v42", who="o", why="w"
    )
    journal = Journal(Runs(system.releases).folder(run.id), Masker())
    journal.append("intent", "gateway", service="gateway", text="gateway v41 → v42")
    async with console(browser, system, "#/release") as page:
        await expect(page.get_by_text("gateway v41 → v42")).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.locator(".command code").first).to_have_text("uniassist release resume")
        journal.append("effect", "gateway", service="gateway", found={"failed": "it didn't start"})
        await expect(page.locator(".notice.bad", has_text="it didn't start")).to_be_visible(timeout=PATIENCE_MS)
        journal.append("intent", "gateway", service="gateway", text="again")
        journal.append("observation", "gateway", service="gateway", text="healthy", found={"observed": {}})
        journal.append("end", "rollout", found={"exitCode": 0, "result": "done"})
        await expect(page.locator("section.panel header .tag", has_text="done")).to_be_visible(timeout=PATIENCE_MS)
        verify = gate | {"command": "release verify", "exitCode": 20, "endedAt": "2026-11-30T07:05:00.000Z"}
        verify["steps"] = [
            {"number": 1, "name": "smoke", "result": "failed", "seconds": 1.0, "next": "uniassist up"}
        ]
        (records / "20261130T070500Z-verify-1.json").write_text(json.dumps(verify), "utf-8")
        await page.locator("summary", has_text="verify").click()
        await expect(page.locator(".steps li", has_text="smoke")).to_contain_text("uniassist up")


async def test_every_page_is_readable_named_and_fits_a_phone_in_both_themes(
    browser: Browser, system: ConsoleSystem
) -> None:
    async with console(browser, system, "#/watch") as page:
        for width, name in itertools.product((1280, 360), PAGES):
            await page.set_viewport_size({"width": width, "height": 740})
            await page.evaluate("to => { location.hash = to; }", f"#/{name}")
            await page.locator(f"#main > ua-{name}").wait_for()
            await _settled(page)
            for theme in ("light", "dark"):
                await page.evaluate("to => { document.documentElement.dataset.theme = to; }", theme)
                assert await page.evaluate(CONTRASTS) == [], f"{name}, {theme}, {width}"
            assert await page.evaluate(NAMELESS) == [], f"{name}, {width}"
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} scrolls sideways: {wide}"


async def _settled(page: Page) -> None:
    """What the page asked for is there, and drawn."""
    await page.wait_for_load_state("networkidle")
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

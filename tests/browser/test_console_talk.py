"""The console's Talk: a plan and a reminder, over restarts; streamed text; text that would be markup."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect
from tests.browser.console_system import PATIENCE_MS, ConsoleSystem, console, console_system
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(700)]
ROWS = 10_000


@pytest.fixture(scope="module")
def system(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleSystem]:
    folder: Path = tmp_path_factory.mktemp("console-talk")
    with console_system(postgres_server, redis_server, folder, with_specialists=True) as running:
        yield running


@pytest.fixture
def session() -> str:
    return f"talk-{uuid.uuid4()}"


async def say(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Message").fill(text)
    await page.keyboard.press("Enter")


async def test_a_link_goes_with_a_message(browser: Browser, system: ConsoleSystem, session: str) -> None:
    async with console(browser, system, f"#/talk/{session}") as page:
        await page.get_by_role("button", name="Attach a link").click()
        field = page.get_by_role("textbox", name="Attach a link")
        await field.fill("javascript:alert(1)")
        await page.keyboard.press("Enter")
        await expect(page.locator(".attaching .wrong")).to_contain_text("begins with http")
        for url in ("https://example.org/a/cat.png", "https://example.org/b/notes.pdf"):
            await field.fill(url)
            await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Remove: notes.pdf").click()
        await say(page, "look at this")
        link = page.locator(".event.person a[target]")
        await expect(link).to_have_text("Attachment: cat.png", timeout=PATIENCE_MS)
        await expect(page.locator(".attaching")).to_be_hidden()
    [stored] = system.execute(
        "SELECT e.payload #>> '{input,attachments,0,type}' AS kind, "
        "e.payload #>> '{input,attachments,0,url}' AS url, "
        "jsonb_array_length(e.payload #> '{input,attachments}') AS count "
        "FROM timeline_events e WHERE session_id = %s AND seq = 1",
        session,
    )
    assert stored == {"kind": "image", "url": "https://example.org/a/cat.png", "count": 1}


async def shown_seqs(page: Page) -> list[int]:
    """Of the rows in sight, in their order."""
    return [int(seq) for seq in await page.eval_on_selector_all(".event", "all => all.map(one => one.dataset.seq)")]


async def whole(page: Page, system: ConsoleSystem, session: str) -> None:
    """The page has every event of the session once, in order, in sight and out of it."""

    async def caught_up() -> bool:
        stored = system.execute("SELECT max(seq) AS seq FROM timeline_events WHERE session_id = %s", session)
        last = int(str(stored[0]["seq"]))
        kept = await page.evaluate("document.querySelector('ua-talk').events.map((event) => event.seq)")
        assert kept == list(range(1, len(kept) + 1))
        return bool(kept[-1:] == [last])

    await eventually(caught_up, "the page has the last event", 60)
    seqs = await shown_seqs(page)
    assert seqs == list(range(seqs[0], seqs[-1] + 1))


async def test_a_conversation_through_a_plan_and_a_reminder_over_two_restarts_of_the_gateway(
    browser: Browser, system: ConsoleSystem, session: str
) -> None:
    async with console(browser, system, f"#/talk/{session}") as page:
        await say(page, "make me a plan")
        goal = page.get_by_label("Goal")
        await expect(goal).to_have_value("", timeout=PATIENCE_MS)
        state = page.locator("[data-state]")
        await expect(state).to_have_text("Live", timeout=PATIENCE_MS)

        await page.get_by_role("button", name="Submit").click()
        await expect(page.locator(".field .wrong").first).to_have_text("Please fill this in.")

        await asyncio.to_thread(system.gateway.stop)
        await expect(state).to_have_text("Not connected", timeout=PATIENCE_MS)
        await goal.fill("swim a mile")
        await asyncio.to_thread(system.gateway.start)
        await expect(state).to_have_text("Live", timeout=PATIENCE_MS)

        await page.get_by_role("button", name="Submit").click()
        await expect(page.locator(".event.person .text").last).to_contain_text("swim a mile", timeout=PATIENCE_MS)
        steps = page.locator(".event .numbered li:not(.check)")
        await expect(steps.first.locator(".when")).to_contain_text("today", timeout=PATIENCE_MS)
        await expect(page.locator(".event .numbered .check").first).to_contain_text("stop and look")
        shown = await steps.count()
        await whole(page, system, session)

        await say(page, "export my plan")
        link = page.locator(".event a[href$='.ics']")
        await expect(link).to_contain_text("swim a mile", timeout=PATIENCE_MS)
        async with aiohttp.ClientSession() as client, client.get(str(await link.get_attribute("href"))) as answer:
            calendar = await answer.text()
        assert calendar.count("BEGIN:VEVENT") == shown > 3

        await say(page, "remind me tomorrow at 9am to hand in the report")
        await expect(page.locator(".event .text", has_text="at 09:00: hand in the report")).to_be_visible(
            timeout=PATIENCE_MS
        )
        await asyncio.to_thread(system.gateway.stop)
        await expect(state).to_have_text("Not connected", timeout=PATIENCE_MS)
        system.execute("UPDATE reminders SET due_at = now() WHERE user_id = 'console' AND due_at IS NOT NULL")
        await asyncio.to_thread(system.gateway.start)
        await expect(page.locator(".card h4", has_text="Reminder: hand in the report")).to_have_count(
            1, timeout=PATIENCE_MS
        )
        await whole(page, system, session)
        assert await page.locator(".card h4", has_text="Reminder: hand in the report").count() == 1


async def test_why_a_provider_was_chosen_is_one_click_away(
    browser: Browser, system: ConsoleSystem, session: str
) -> None:
    async with console(browser, system, f"#/talk/{session}") as page:
        await say(page, "kw m:done end")
        summary = page.locator("details.routing summary")
        await expect(summary).to_contain_text("writer", timeout=PATIENCE_MS)
        await summary.click()
        await expect(page.locator("details.routing td", has_text="keywords: kw")).to_be_visible()
        await expect(page.locator("details.routing")).to_contain_text("What the session remembers")


async def test_a_streamed_answer_is_seen_while_it_is_written_and_then_once(
    browser: Browser, system: ConsoleSystem, session: str
) -> None:
    system.provider.let_go.clear()
    async with console(browser, system, f"#/talk/{session}") as page:
        await say(page, "kw d:m1:It_is_be d:m1:ing_written wait e:m1:finished-at-last end")
        await expect(page.locator(".draft .text")).to_have_text("It is being written", timeout=PATIENCE_MS)
        system.provider.let_go.set()
        await expect(page.get_by_text("finished-at-last", exact=True)).to_have_count(1, timeout=PATIENCE_MS)
        await expect(page.locator(".draft")).to_have_count(0)
        await expect(page.get_by_text("It is being written")).to_have_count(0)


async def test_without_a_stream_it_asks_every_two_seconds_says_so_and_heals_by_itself(
    browser: Browser, system: ConsoleSystem, session: str
) -> None:
    async with console(browser, system, "#/acts") as page:
        await page.route("**/v0/stream?*", lambda route: route.fulfill(status=503, body="{}"))
        await page.evaluate("to => { location.hash = to; }", f"#/talk/{session}")
        state = page.locator("[data-state]")
        await expect(state).to_have_text("Polling", timeout=PATIENCE_MS)
        await say(page, "kw m:by_asking end")
        await expect(page.get_by_text("by_asking", exact=True)).to_have_count(1, timeout=PATIENCE_MS)
        await page.unroute("**/v0/stream?*")
        await expect(state).to_have_text("Live", timeout=PATIENCE_MS)
        await expect(page.get_by_text("by_asking", exact=True)).to_have_count(1)


async def test_a_run_is_cancelled_and_its_unfinished_text_goes(
    browser: Browser, system: ConsoleSystem, session: str
) -> None:
    system.provider.let_go.clear()
    async with console(browser, system, f"#/talk/{session}") as page:
        await say(page, "kw d:m1:half_of_it wait end")
        await expect(page.locator(".draft .text")).to_have_text("half of it", timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Cancel the run").click()
        await expect(page.locator(".tag", has_text="cancelled")).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.locator(".draft")).to_have_count(0)
    system.provider.let_go.set()


async def test_what_a_provider_says_is_text_whatever_it_says(
    browser: Browser, system: ConsoleSystem, session: str
) -> None:
    hostile = "<img/src=x/onerror=document.title='pwned'><script>document.title='pwned'</script>"
    async with console(browser, system, f"#/talk/{session}") as page:
        await say(page, f"kw m:{hostile} m:[tap](javascript:document.title='pwned') end")
        said = page.locator(".event:not(.person) .text", has_text="<img/src=x").first
        await expect(said).to_have_text(hostile, timeout=PATIENCE_MS)
        await expect(page.locator(".event", has_text="javascript:document").last).to_be_visible()
        assert await page.locator(".event img, .event script, .event a[href^='javascript']").count() == 0
        assert "pwned" not in await page.title()


async def test_of_ten_thousand_events_only_those_in_sight_are_elements(
    browser: Browser, system: ConsoleSystem, session: str
) -> None:
    system.execute("INSERT INTO sessions (session_id, user_id, seq) VALUES (%s, 'reader', %s)", session, ROWS)
    system.execute(
        """INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)
        SELECT %s || n, 'trace', %s, 'reader', n, 1796000000000 + n * 1000, 'inbound',
               jsonb_build_object('input', jsonb_build_object('text', 'line ' || n))
        FROM generate_series(1, %s) n""",
        session,
        session,
        ROWS,
    )
    async with console(browser, system, f"#/talk/{session}") as page:
        feed = page.get_by_role("feed")
        await expect(feed.get_by_text(f"line {ROWS}", exact=True)).to_be_visible(timeout=PATIENCE_MS)
        seen = 0
        while not await page.locator(".event[data-seq='1']").count():  # ends: each page is of lower numbers
            await feed.evaluate("feed => { feed.scrollTop = 0; }")
            seen = max(seen, await page.locator(".event").count())
            await page.evaluate("new Promise(requestAnimationFrame)")
        assert seen < 150
        await page.get_by_role("button", name="Newest").click()
        await expect(feed.get_by_text(f"line {ROWS}", exact=True)).to_be_visible()

"""The API pages, in a real browser: they show the service's operations and load nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.async_api import Browser, Request
from tests.processes import ServiceProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(700)]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("gateway", "/v0/ingest"),
        ("provider-plan", "/v0/invoke"),
        ("adapter-wechat", "/wechat/webhook"),
        ("worker", "/health"),
    ],
)
async def test_the_api_page_lists_the_operations_and_loads_nothing_from_elsewhere(
    name: str,
    path: str,
    browser: Browser,
    service: Callable[..., ServiceProcess],
    database_url: str,
    redis_url: str,
) -> None:
    running = service(name, DATABASE_URL=database_url, REDIS_URL=redis_url)
    page = await browser.new_page()
    elsewhere: list[str] = []
    errors: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((running.url, "data:")):
            elsewhere.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(f"{running.url}/docs")
    operation = page.locator(f'.opblock-summary-path[data-path="{path}"]').first
    await operation.wait_for(timeout=20_000)
    assert name in await page.title()
    assert (elsewhere, errors) == ([], [])


async def test_an_operation_opens_and_shows_its_shape(
    browser: Browser, service: Callable[..., ServiceProcess], database_url: str, redis_url: str
) -> None:
    running = service("gateway", DATABASE_URL=database_url, REDIS_URL=redis_url)
    page = await browser.new_page()
    await page.goto(f"{running.url}/docs")
    await page.locator('.opblock-summary-path[data-path="/v0/ingest"]').click(timeout=20_000)
    body = page.locator(".opblock-body").first
    await body.wait_for(timeout=10_000)
    await page.wait_for_function("document.querySelector('.opblock-body').innerText.includes('sessionId')")
    assert "Idempotency-Key" in await body.inner_text()

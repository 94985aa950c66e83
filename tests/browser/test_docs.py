"""The API pages, in a real browser: they show the service's operations and load nothing from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

import jwt
import pytest
from playwright.async_api import Browser, Page, Request
from tests.processes import ServiceProcess

from uniassist.contracts import examples
from uniassist.web.auth import signing

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(700)]


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


async def tried(page: Page, path: str) -> Request:
    """The request that "Try it out" and "Execute" send of an operation as its page shows it."""
    operation = page.locator(".opblock", has=page.locator(f'.opblock-summary-path[data-path="{path}"]')).first
    await operation.locator(".opblock-summary-control").first.click(timeout=20_000)
    await operation.locator(".try-out__btn").click()
    async with page.expect_request(lambda request: path in request.url) as sent:
        await operation.locator(".execute").click()
    return await sent.value


async def test_a_token_given_to_authorize_lets_the_worked_example_in(
    browser: Browser, service: Callable[..., ServiceProcess], database_url: str, redis_url: str
) -> None:
    key = "app-token-key-of-the-tests-0123456789"
    running = service(
        "gateway",
        DATABASE_URL=database_url,
        REDIS_URL=redis_url,
        UNIASSIST_APP_AUTH="jwt",
        UNIASSIST_APP_JWT_KEY=key,
    )
    page = await browser.new_page()
    await page.goto(f"{running.url}/docs")
    await page.locator(".btn.authorize").first.click(timeout=20_000)
    shown = page.locator(".auth-container", has=page.get_by_text("appToken")).first
    token = jwt.encode({"sub": examples.INPUT.user_id, "exp": time.time() + 300}, key)
    await shown.locator("input").fill(token)
    await shown.locator(".btn.authorize").click()
    await page.locator(".btn-done").first.click()
    sent = await tried(page, "/v0/ingest")
    answer = await sent.response()
    assert sent.headers["authorization"] == f"Bearer {token}"
    assert answer is not None
    assert answer.status == 200, await answer.text()


async def test_the_headers_of_a_signature_can_be_given_too(
    browser: Browser, service: Callable[..., ServiceProcess], database_url: str, redis_url: str
) -> None:
    running = service("gateway", DATABASE_URL=database_url, REDIS_URL=redis_url)
    page = await browser.new_page()
    await page.goto(f"{running.url}/docs")
    await page.locator(".btn.authorize").first.click(timeout=20_000)
    for name in ("signature", "timestamp", "nonce"):
        shown = page.locator(".auth-container", has=page.locator("h4", has_text=name)).first
        await shown.locator("input").fill("1")
        await shown.locator(".btn.authorize").click()
    await page.locator(".btn-done").first.click()
    sent = await tried(page, "/v0/ingest")
    answer = await sent.response()
    assert {name for name in sent.headers if name.startswith("x-uniassist-")} == set(signing.HEADERS)
    assert answer is not None
    assert answer.status == 401, "a signature of 1 is none"

"""Calls to the platform: one token for all, each code read right, nothing repeated that may have arrived."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from tests.unheard import unheard
from tests.waiting import eventually

from uniassist.adapter_wechat.platform.client import FetchedMedium, MediaUnavailable, Platform
from uniassist.adapter_wechat.platform.codes import Verdict
from uniassist.adapter_wechat.platform.token import TokenKeeper, TokenUnavailable
from uniassist.web.calling.client import JsonClient
from uniassist.web.calling.foreign import AllowedHosts, ForeignUrls
from uniassist.wechat_simulator.api import MEDIA, SEND, TOKEN, TYPING, Fault
from uniassist.wechat_simulator.simulator import APP_ID, APP_SECRET, WechatSimulator

NO_URLS = ForeignUrls(AllowedHosts([]), limit_bytes=1)


@pytest.fixture
def wechat() -> Iterator[WechatSimulator]:
    with WechatSimulator(token="AAAAA") as started:
        started.account.wrote("o", "在吗")
        yield started


@pytest.fixture
async def keeper(wechat: WechatSimulator) -> AsyncIterator[TokenKeeper]:
    async with JsonClient() as client:
        made = TokenKeeper(client, wechat.url, APP_ID, APP_SECRET)
        yield made
        await made.stop()


@pytest.fixture
async def platform(wechat: WechatSimulator, keeper: TokenKeeper) -> AsyncIterator[Platform]:
    allowed = AllowedHosts([], origins=[wechat.url])
    async with (
        JsonClient() as client,
        JsonClient(answer_limit_bytes=4_000_000) as media,
        ForeignUrls(allowed, limit_bytes=4_000_000) as videos,
    ):
        yield Platform(client, media, keeper, wechat.url, videos=videos, marks_ai=True)


async def test_a_hundred_who_ask_at_once_fetch_one_token(wechat: WechatSimulator, keeper: TokenKeeper) -> None:
    wechat.api.delay_seconds = 0.1
    tokens = await asyncio.gather(*(keeper.get() for _ in range(100)))
    assert len(set(tokens)) == 1
    assert len(wechat.calls(TOKEN)) == 1


async def test_the_token_is_renewed_before_its_end_while_the_old_one_is_still_given(
    wechat: WechatSimulator, keeper: TokenKeeper
) -> None:
    wechat.account.token_seconds = 60
    first = await keeper.get()
    assert await keeper.get() == first

    async def renewed() -> bool:
        return await keeper.get() != first

    await eventually(renewed, "another token is given")


async def test_a_refused_token_is_asked_for_anew_and_forced_only_when_it_stays_the_same(
    wechat: WechatSimulator, keeper: TokenKeeper
) -> None:
    first = await keeper.get()
    wechat.account.revoke_tokens()
    second = await keeper.renew(first)
    assert second != first
    assert wechat.account.forced == []
    assert await keeper.renew(first) == second, "somebody has done it already"
    third = await keeper.renew(second)
    assert third not in (first, second)
    assert len(wechat.account.forced) == 1
    calls = len(wechat.calls(TOKEN))
    with pytest.raises(TokenUnavailable, match="30 seconds"):
        await keeper.renew(third)
    assert [call.body["force_refresh"] for call in wechat.calls(TOKEN)[calls:]] == [False]


async def test_after_a_failure_nobody_asks_for_a_while_and_everybody_hears_the_same(
    wechat: WechatSimulator, keeper: TokenKeeper
) -> None:
    wechat.faults.add(TOKEN, Fault("status", 502))
    for _ in range(5):
        with pytest.raises(TokenUnavailable):
            await keeper.get()
    assert len(wechat.calls(TOKEN)) == 1

    async def has_token() -> bool:
        try:
            return bool(await keeper.get())
        except TokenUnavailable:
            return False

    await eventually(has_token, "asked again after the pause")


async def test_a_message_arrives_with_the_mark_and_unescaped(wechat: WechatSimulator, platform: Platform) -> None:
    outcome = await platform.send_text("o", "你好 \U0001f389")
    assert (outcome.verdict, outcome.code) == (Verdict.SENT, 0)
    (shown,) = wechat.screen("o")
    assert (shown.text, shown.is_ai) == ("你好 \U0001f389", True)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (-1, Verdict.BUSY),
        (40164, Verdict.ACCOUNT),
        (61004, Verdict.ACCOUNT),
        (45002, Verdict.TOO_LONG),
        (45009, Verdict.RATE_LIMITED),
        (45011, Verdict.RATE_LIMITED),
        (45015, Verdict.WINDOW_OVER),
        (45047, Verdict.QUOTA_USED),
        (48001, Verdict.NOT_PERMITTED),
        (48002, Verdict.REFUSED),
        (40003, Verdict.REFUSED),
        (40007, Verdict.REFUSED),
        (99999, Verdict.REFUSED),
    ],
)
async def test_each_code_has_its_meaning_and_is_tried_once(
    wechat: WechatSimulator, platform: Platform, code: int, verdict: Verdict
) -> None:
    wechat.faults.add(SEND, Fault("code", code))
    outcome = await platform.send_text("o", "好")
    assert (outcome.verdict, outcome.code) == (verdict, code)
    assert "rid 6853-" in outcome.detail
    assert len(wechat.calls(SEND)) == 1


@pytest.mark.parametrize("code", [40001, 40014, 42001])
async def test_a_message_with_a_stale_token_is_sent_again_with_a_new_one(
    wechat: WechatSimulator, platform: Platform, code: int
) -> None:
    await platform.send_text("o", "一")
    wechat.account.revoke_tokens()
    wechat.faults.add(SEND, Fault("code", code))
    assert (await platform.send_text("o", "二")).verdict is Verdict.SENT
    assert wechat.texts("o") == ["一", "二"]


async def test_a_token_that_expired_by_the_platforms_clock_only_is_replaced(
    wechat: WechatSimulator, platform: Platform
) -> None:
    await platform.send_text("o", "一")
    wechat.clock.advance(7201)
    assert (await platform.send_text("o", "二")).verdict is Verdict.SENT


async def test_a_new_token_that_is_refused_too_is_not_tried_for_ever(
    wechat: WechatSimulator, platform: Platform
) -> None:
    wechat.faults.add(SEND, Fault("code", 40001), Fault("code", 40001))
    assert (await platform.send_text("o", "一")).verdict is Verdict.STALE_TOKEN
    assert len(wechat.calls(SEND)) == 2


@pytest.mark.parametrize(
    ("fault", "arrived"),
    [
        (Fault("accepted_then_dropped"), True),
        (Fault("dropped"), False),
        (Fault("status", 502), False),
        (Fault("garbage"), False),
    ],
)
async def test_a_send_without_a_readable_answer_is_unknown_and_not_repeated(
    wechat: WechatSimulator, platform: Platform, fault: Fault, arrived: bool
) -> None:
    wechat.faults.add(SEND, fault)
    assert (await platform.send_text("o", "一")).verdict is Verdict.UNKNOWN
    assert len(wechat.calls(SEND)) == 1
    assert wechat.texts("o") == (["一"] if arrived else [])


async def test_after_an_unknown_send_the_next_is_risked_only_when_the_platform_can_be_heard(
    wechat: WechatSimulator, platform: Platform
) -> None:
    await platform.send_text("o", "零")
    wechat.faults.add(SEND, Fault("dropped"))
    await platform.send_text("o", "一")
    wechat.faults.add(TOKEN, Fault("dropped"))
    assert (await platform.send_text("o", "二")).verdict is Verdict.UNSENT
    assert len(wechat.calls(SEND)) == 2, "二 never left"

    async def sent() -> bool:
        return (await platform.send_text("o", "二")).verdict is Verdict.SENT

    await eventually(sent, "the platform is heard again")


async def test_a_platform_that_nobody_listens_for_has_certainly_not_got_the_message(
    wechat: WechatSimulator, keeper: TokenKeeper
) -> None:
    await keeper.get()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with JsonClient() as client:
            platform = Platform(client, client, keeper, base_url, videos=NO_URLS, marks_ai=False)
            assert (await platform.send_text("o", "一")).verdict is Verdict.UNSENT


async def test_a_platform_that_silently_takes_no_connection_has_certainly_not_got_the_message(
    keeper: TokenKeeper,
) -> None:
    await keeper.get()
    with unheard() as base_url:
        async with JsonClient(connect_seconds=0.3) as client:
            platform = Platform(client, client, keeper, base_url, videos=NO_URLS, marks_ai=False)
            assert (await platform.send_text("o", "一")).verdict is Verdict.UNSENT


async def test_neither_token_nor_secret_reaches_the_log(wechat: WechatSimulator, platform: Platform) -> None:
    with structlog.testing.capture_logs() as lines:
        wechat.faults.add(TOKEN, Fault("status", 500))
        outcomes = [await platform.send_text("o", "一")]
        wechat.account.ip_is_allowed = False

        async def refused() -> bool:
            outcomes.append(await platform.send_text("o", "一"))
            return outcomes[-1].verdict is Verdict.ACCOUNT

        await eventually(refused, "the platform says that the address isn't allowed")
    assert any(line["log_level"] == "error" and line["errcode"] == 40164 for line in lines)
    said = f"{lines} {outcomes}"
    assert APP_SECRET not in said
    assert "access_token=" not in said


async def test_typing_is_shown_and_its_failure_troubles_nobody(wechat: WechatSimulator, platform: Platform) -> None:
    await platform.type("o", "Typing")
    await platform.type("o", "Typing")
    wechat.faults.add(TYPING, Fault("dropped"), Fault("garbage"))
    for _ in range(3):
        await platform.type("o", "CancelTyping")
    assert wechat.account.people["o"].typing == ["CancelTyping", "Typing", "CancelTyping"]


async def get(platform: Platform, media_id: str) -> FetchedMedium:
    return await platform.medium(media_id, may_be_video=True)


async def test_media_come_as_bytes_or_by_the_address_of_a_video(
    wechat: WechatSimulator, platform: Platform
) -> None:
    wechat.keep_medium("m-1", b"\xff\xd8 jpeg", "image/jpeg")
    wechat.keep_medium("m-2", b"....ftypmp42", "video/mp4")
    image, video = await get(platform, "m-1"), await get(platform, "m-2")
    assert (image.content, image.mime) == (b"\xff\xd8 jpeg", "image/jpeg")
    assert (video.content, video.mime) == (b"....ftypmp42", "video/mp4")


async def test_media_that_are_gone_are_told_from_a_platform_that_is_away(
    wechat: WechatSimulator, platform: Platform
) -> None:
    wechat.keep_medium("m-1", b"x", "image/png")
    wechat.faults.add(MEDIA, Fault("status", 502), Fault("status", 500), Fault("code", -1), Fault("code", 40001))
    for _ in range(3):
        with pytest.raises(MediaUnavailable) as away:
            await get(platform, "m-1")
        assert not away.value.is_final
    wechat.account.revoke_tokens()
    assert (await get(platform, "m-1")).content == b"x"
    wechat.clock.advance(3 * 24 * 3600 + 1)
    with pytest.raises(MediaUnavailable) as gone:
        await get(platform, "m-1")
    assert gone.value.is_final

"""The access token is fetched once for all who ask, renewed before it ends, and forced anew within the limits."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog

from uniassist.adapter_wechat.platform.codes import MISCONFIGURED, rid_of
from uniassist.contracts.base import Int64, Wire
from uniassist.web.calling.client import CallFailed, JsonClient

log = structlog.get_logger()

EARLY_SECONDS = 300.0
FORCED_PAUSE_SECONDS = 30.0
FORCED_A_DAY = 20
_DAY_SECONDS = 24 * 3600.0
_FETCH_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 60.0


class TokenUnavailable(Exception):
    """There is no token now. The message may be logged. code: the platform's errcode, when the platform refused."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code

    @property
    def needs_a_person(self) -> bool:
        return self.code in MISCONFIGURED


class _Answer(Wire, rename=None, kw_only=True, frozen=True):
    access_token: str | None = None
    expires_in: Int64 = 0
    errcode: Int64 = 0
    errmsg: str = ""


class TokenKeeper:
    """Keeps one process's token. Several processes get the same one, since `stable_token` gives one to all."""

    def __init__(self, client: JsonClient, base_url: str, app_id: str, app_secret: str) -> None:
        self._client = client
        self._url = f"{base_url}/cgi-bin/stable_token"
        self._app = {"grant_type": "client_credential", "appid": app_id, "secret": app_secret}
        self._token = ""
        self._ends_at = 0.0
        self._fetching = asyncio.Lock()
        self._failures = 0
        self._retry_at = 0.0
        self._last_failure = TokenUnavailable("not asked yet")
        self._forced: deque[float] = deque(maxlen=FORCED_A_DAY)
        self._early: asyncio.Task[None] | None = None

    async def get(self) -> str:
        """A token that is good as far as known. TokenUnavailable."""
        now = time.monotonic()
        if now >= self._ends_at:
            return await self._fetch_unless(lambda: time.monotonic() < self._ends_at)
        if now >= self._ends_at - EARLY_SECONDS and now >= self._retry_at and not self._is_early_under_way():
            self._early = asyncio.create_task(self._renew_early(), name="wechat-token")
        return self._token

    async def renew(self, refused: str) -> str:
        """Another token than the one that the platform refused. TokenUnavailable."""
        token = await self._fetch_unless(lambda: self._token != refused)
        if token != refused:
            return token
        async with self._fetching:
            if self._token == refused:
                self._count_forced()
                await self._fetch(force=True)
            return self._token

    async def check(self) -> None:
        """Ask the platform, whatever is known: TokenUnavailable when it can't be reached."""
        async with self._fetching:
            await self._fetch(force=False)

    async def stop(self) -> None:
        if self._early is not None:
            self._early.cancel()
            await asyncio.wait([self._early])

    def _is_early_under_way(self) -> bool:
        return self._early is not None and not self._early.done()

    async def _renew_early(self) -> None:
        before = self._token
        try:
            await self._fetch_unless(lambda: self._token != before)
        except TokenUnavailable as error:
            log.warning("the token could not be renewed yet", reason=str(error))

    async def _fetch_unless(self, is_done: Callable[[], bool]) -> str:
        """Fetch one, unless whoever fetched meanwhile has done it."""
        async with self._fetching:
            if not is_done():
                await self._fetch(force=False)
            return self._token

    def _count_forced(self) -> None:
        now = time.monotonic()
        if self._forced and now - self._forced[-1] < FORCED_PAUSE_SECONDS:
            raise TokenUnavailable("the token is refused, and was forced anew less than 30 seconds ago")
        if len(self._forced) == FORCED_A_DAY and now - self._forced[0] < _DAY_SECONDS:
            raise TokenUnavailable("the token is refused, and was forced anew 20 times in a day")
        self._forced.append(now)

    async def _fetch(self, *, force: bool) -> None:
        if time.monotonic() < self._retry_at:
            raise self._last_failure
        try:
            answer = await self._client.post_json(
                self._url, {**self._app, "force_refresh": force}, _Answer, timeout_seconds=_FETCH_SECONDS
            )
        except CallFailed as error:
            raise self._failed(TokenUnavailable(f"stable_token: {type(error).__name__}")) from None
        if not answer.access_token:
            raise self._failed(_refused(answer))
        self._failures = 0
        self._token = answer.access_token
        self._ends_at = time.monotonic() + max(answer.expires_in, 1)

    def _failed(self, failure: TokenUnavailable) -> TokenUnavailable:
        """Remembers the failure, so that everybody who asks during the pause hears it without a call."""
        self._failures += 1
        pause = _LONGEST_PAUSE_SECONDS if failure.needs_a_person else 0.5 * 2 ** min(self._failures, 7)
        self._retry_at = time.monotonic() + min(pause, _LONGEST_PAUSE_SECONDS)
        self._last_failure = failure
        return failure


def _refused(answer: _Answer) -> TokenUnavailable:
    rid = rid_of(answer.errmsg)
    shown = f"stable_token: errcode {answer.errcode}" + (f", rid {rid}" if rid else "")
    if answer.errcode in MISCONFIGURED:
        log.error(
            "the platform refuses this app: check WECHAT_APP_ID, WECHAT_APP_SECRET and the account's IP list",
            errcode=answer.errcode,
            rid=rid,
        )
    return TokenUnavailable(shown, answer.errcode)

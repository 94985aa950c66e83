"""Calls to the platform. Nothing of them is raised that holds the token: their URLs do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import structlog

from uniassist.adapter_wechat.platform.codes import Verdict, rid_of, verdict_of
from uniassist.adapter_wechat.platform.token import TokenKeeper, TokenUnavailable
from uniassist.contracts import codec
from uniassist.contracts.base import Int64, Wire
from uniassist.errors import UniAssistError
from uniassist.web.client import NEVER_CONNECTED, Answer, CallFailed, JsonClient

log = structlog.get_logger()

_SEND_SECONDS = 8.0
_TYPING_SECONDS = 2.0
_MEDIA_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """`code` None: there was no answer to read. `detail` may be shown to operators."""

    verdict: Verdict
    detail: str
    code: int | None = None


@dataclass(frozen=True)
class Medium:
    content: bytes
    mime: str


class MediaUnavailable(Exception):
    """`is_final`: asking again won't help."""

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final


class _Coded(Wire, rename=None, kw_only=True, frozen=True):
    errcode: Int64 = 0
    errmsg: str = ""
    video_url: str | None = None


class Platform:
    """`media_client` takes bigger answers. `marks_ai`: messages say that a machine wrote them."""

    def __init__(
        self,
        client: JsonClient,
        media_client: JsonClient,
        keeper: TokenKeeper,
        base_url: str,
        *,
        marks_ai: bool,
    ) -> None:
        self._client = client
        self._media_client = media_client
        self._keeper = keeper
        self._base_url = base_url
        self._marks_ai = marks_ai
        self._is_doubtful = False

    async def send_text(self, openid: str, text: str) -> Outcome:
        """One customer-service message. A refused token is replaced once; nothing else is tried twice."""
        body: dict[str, Any] = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        if self._marks_ai:
            body["aimsgcontext"] = {"is_ai_msg": 1}
        try:
            if self._is_doubtful:
                # The last message may be lost. Before the next one is risked, something that can be repeated.
                await self._keeper.check()
                self._is_doubtful = False
            token = await self._keeper.get()
            outcome = await self._send(token, body)
            if outcome.verdict is Verdict.STALE_TOKEN:
                outcome = await self._send(await self._keeper.renew(token), body)
        except TokenUnavailable as error:
            verdict = Verdict.ACCOUNT if error.needs_a_person else Verdict.UNSENT
            return Outcome(verdict, str(error), error.code)
        self._is_doubtful = outcome.verdict is Verdict.UNKNOWN
        return outcome

    async def type(self, openid: str, command: Literal["Typing", "CancelTyping"]) -> None:
        """Shows the person that somebody writes. It matters little: a failure is only noted."""
        try:
            answer = await self._post(
                "message/custom/typing",
                await self._keeper.get(),
                {"touser": openid, "command": command},
                _TYPING_SECONDS,
            )
        except (CallFailed, TokenUnavailable) as error:
            log.debug("no typing state", reason=type(error).__name__)
            return
        coded = _coded(answer)
        if coded is not None and coded.errcode:
            log.debug("no typing state", errcode=coded.errcode, rid=rid_of(coded.errmsg))

    async def medium(self, media_id: str) -> Medium:
        """What a person sent, while the platform keeps it. MediaUnavailable."""
        try:
            token = await self._keeper.get()
            answer = await self._get_medium(token, media_id)
            coded = _coded(answer)
            if coded is not None and verdict_of(coded.errcode) is Verdict.STALE_TOKEN:
                answer = await self._get_medium(await self._keeper.renew(token), media_id)
                coded = _coded(answer)
            if coded is not None and coded.video_url:
                answer = await self._get_video(coded.video_url)
                coded = None
        except (CallFailed, TokenUnavailable) as error:
            raise MediaUnavailable(type(error).__name__, is_final=False) from None
        if coded is not None:
            is_final = verdict_of(coded.errcode) is Verdict.REFUSED
            raise MediaUnavailable(f"errcode {coded.errcode}, rid {rid_of(coded.errmsg)}", is_final=is_final)
        if answer.status != 200:
            raise MediaUnavailable(f"status {answer.status}", is_final=False)
        return Medium(answer.body, answer.headers.get("content-type", "").split(";")[0].strip().lower())

    async def _send(self, token: str, body: dict[str, Any]) -> Outcome:
        try:
            answer = await self._post("message/custom/send", token, body, _SEND_SECONDS)
        except CallFailed as error:
            never_left = isinstance(error.__cause__, NEVER_CONNECTED)
            return Outcome(Verdict.UNSENT if never_left else Verdict.UNKNOWN, type(error).__name__)
        coded = _coded(answer)
        if coded is None:
            return Outcome(Verdict.UNKNOWN, f"status {answer.status}, no code")
        rid = rid_of(coded.errmsg)
        detail = "ok" if coded.errcode == 0 else f"errcode {coded.errcode}" + (f", rid {rid}" if rid else "")
        return Outcome(verdict_of(coded.errcode), detail, coded.errcode)

    async def _post(self, path: str, token: str, body: object, timeout_seconds: float) -> Answer:
        # A connection for each: on a kept one that the platform is just closing, a lost message and a refused
        # connection look the same.
        return await self._client.request(
            "POST",
            f"{self._base_url}/cgi-bin/{path}?access_token={quote(token, safe='')}",
            body=codec.encode(body),
            headers={"Connection": "close"},
            timeout_seconds=timeout_seconds,
        )

    async def _get_medium(self, token: str, media_id: str) -> Answer:
        query = f"access_token={quote(token, safe='')}&media_id={quote(media_id, safe='')}"
        return await self._media_client.request(
            "GET", f"{self._base_url}/cgi-bin/media/get?{query}", timeout_seconds=_MEDIA_SECONDS
        )

    async def _get_video(self, url: str) -> Answer:
        if urlsplit(url).scheme not in ("http", "https"):
            raise MediaUnavailable("video_url: expected http or https", is_final=True)
        return await self._media_client.request("GET", url, timeout_seconds=_MEDIA_SECONDS)


def _coded(answer: Answer) -> _Coded | None:
    """The answer's code, when it is JSON with one (media are bytes)."""
    if answer.status != 200 or answer.body[:1] != b"{":
        return None
    try:
        return codec.decode(answer.body, _Coded)
    except UniAssistError:
        return None

"""Calls to the platform. Their URLs hold the token, so no error that is raised here holds a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import structlog

from uniassist.adapter_wechat.platform.codes import Verdict, rid_of, verdict_of
from uniassist.adapter_wechat.platform.token import TokenKeeper, TokenUnavailable
from uniassist.contracts import codec
from uniassist.contracts.base import Int64, Wire
from uniassist.errors import UniAssistError
from uniassist.web.calling.client import NEVER_CONNECTED, Answer, CallFailed, JsonClient
from uniassist.web.calling.foreign import ForeignUrls, Refused

log = structlog.get_logger()

_SEND_SECONDS = 8.0
_TYPING_SECONDS = 2.0
_MEDIA_SECONDS = 30.0
# Of errors only: where a video is, is believed in application/json alone.
_ERROR_TYPES = ("application/json", "text/plain")


@dataclass(frozen=True)
class SendOutcome:
    """What became of a message.

    detail: may be shown to operators.
    code: the platform's errcode; None when there was no answer to read.
    """

    verdict: Verdict
    detail: str
    code: int | None = None


@dataclass(frozen=True)
class FetchedMedium:
    content: bytes
    mime: str


class MediaUnavailable(Exception):
    """A medium wasn't handed out. is_final: asking again won't help."""

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final


class _Coded(Wire, rename=None, kw_only=True, frozen=True):
    errcode: Int64 = 0
    errmsg: str = ""
    video_url: str | None = None


class Platform:
    """The platform's API for one account.

    media_client: takes bigger answers.
    videos: fetches where the platform says that a video is.
    keeper: of the account's access token.
    marks_ai: whether messages say that a machine wrote them.
    """

    def __init__(
        self,
        client: JsonClient,
        media_client: JsonClient,
        keeper: TokenKeeper,
        base_url: str,
        *,
        videos: ForeignUrls,
        marks_ai: bool,
    ) -> None:
        self._client = client
        self._videos = videos
        self._media_client = media_client
        self._keeper = keeper
        self._base_url = base_url
        self._marks_ai = marks_ai
        self._is_doubtful = False

    async def send_text(self, openid: str, text: str) -> SendOutcome:
        """One customer-service message. A refused token is replaced once; nothing else is tried twice."""
        body: dict[str, Any] = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        if self._marks_ai:
            body["aimsgcontext"] = {"is_ai_msg": 1}
        try:
            if self._is_doubtful:
                # The last message may be lost. A call that can be repeated goes before the next one is risked.
                await self._keeper.check()
                self._is_doubtful = False
            token = await self._keeper.get()
            outcome = await self._send(token, body)
            if outcome.verdict is Verdict.STALE_TOKEN:
                outcome = await self._send(await self._keeper.renew(token), body)
        except TokenUnavailable as error:
            verdict = Verdict.ACCOUNT if error.needs_a_person else Verdict.UNSENT
            return SendOutcome(verdict, str(error), error.code)
        self._is_doubtful = outcome.verdict is Verdict.UNKNOWN
        return outcome

    async def type(self, openid: str, command: Literal["Typing", "CancelTyping"]) -> None:
        """Shows the person that somebody writes. It matters little, so a failure is only noted."""
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

    async def medium(self, media_id: str, *, may_be_video: bool) -> FetchedMedium:
        """What a person sent, while the platform keeps it. MediaUnavailable.

        may_be_video: only then is it believed when the answer says that the medium is elsewhere.
        """
        try:
            token = await self._keeper.get()
            answer = await self._get_medium(token, media_id)
            coded = _coded_medium(answer)
            if coded is not None and verdict_of(coded.errcode) is Verdict.STALE_TOKEN:
                answer = await self._get_medium(await self._keeper.renew(token), media_id)
                coded = _coded_medium(answer)
            if coded is not None and coded.video_url and may_be_video and _mime(answer) == "application/json":
                answer = await self._videos.get(coded.video_url, timeout_seconds=_MEDIA_SECONDS)
                coded = None
        except (CallFailed, TokenUnavailable) as error:
            raise MediaUnavailable(type(error).__name__, is_final=False) from None
        except Refused as error:
            raise MediaUnavailable(f"video_url: {error}", is_final=True) from None
        if coded is not None and coded.errcode:
            is_final = verdict_of(coded.errcode) is Verdict.REFUSED
            raise MediaUnavailable(f"errcode {coded.errcode}, rid {rid_of(coded.errmsg)}", is_final=is_final)
        if answer.status != 200:
            raise MediaUnavailable(f"status {answer.status}", is_final=False)
        if not _is_medium(answer):
            raise MediaUnavailable("the answer holds no medium", is_final=False)
        return FetchedMedium(answer.body, _mime(answer))

    async def _send(self, token: str, body: dict[str, Any]) -> SendOutcome:
        try:
            answer = await self._post("message/custom/send", token, body, _SEND_SECONDS)
        except CallFailed as error:
            never_left = isinstance(error.__cause__, NEVER_CONNECTED)
            return SendOutcome(Verdict.UNSENT if never_left else Verdict.UNKNOWN, type(error).__name__)
        coded = _coded(answer)
        if coded is None:
            return SendOutcome(Verdict.UNKNOWN, f"status {answer.status}, no code")
        rid = rid_of(coded.errmsg)
        detail = "ok" if coded.errcode == 0 else f"errcode {coded.errcode}" + (f", rid {rid}" if rid else "")
        return SendOutcome(verdict_of(coded.errcode), detail, coded.errcode)

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


def _mime(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_medium(answer: Answer) -> bool:
    """Whether it says that it holds what people send: no page, no document."""
    mime = _mime(answer)
    return not mime.startswith("text/") and "json" not in mime and "xml" not in mime and "html" not in mime


def _coded_medium(answer: Answer) -> _Coded | None:
    """Of an answer that says it isn't the medium: bytes that people sent are never read as the platform's words."""
    if _mime(answer) not in _ERROR_TYPES or "content-disposition" in answer.headers:
        return None
    return _coded(answer)


def _coded(answer: Answer) -> _Coded | None:
    """The answer's code, when it is JSON with one."""
    if answer.status != 200 or answer.body[:1] != b"{":
        return None
    try:
        return codec.decode(answer.body, _Coded)
    except UniAssistError:
        return None

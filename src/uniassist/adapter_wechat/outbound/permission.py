"""Whether this account may send customer-service messages at all: the platform says so, and may change its mind."""

from __future__ import annotations

import time
from typing import Literal

import structlog

from uniassist.adapter_wechat.platform.client import Platform, SendOutcome
from uniassist.adapter_wechat.platform.codes import Verdict

log = structlog.get_logger()

ASK_AGAIN_SECONDS = 3600.0


class Permission:
    """`platform` None: there is no app id or no secret, so passive replies only."""

    def __init__(self, platform: Platform | None) -> None:
        self._platform = platform
        self._denied_until = 0.0

    @property
    def platform(self) -> Platform | None:
        return self._platform

    @property
    def may_send(self) -> bool:
        return self._platform is not None and time.monotonic() >= self._denied_until

    def deny(self, reason: str) -> None:
        """48001: asked again after a while, since an account may be verified meanwhile."""
        if self.may_send:
            log.warning(
                "this account may not send customer-service messages: passive replies only",
                reason=reason,
                asked_again_in_seconds=ASK_AGAIN_SECONDS,
            )
        self._denied_until = time.monotonic() + ASK_AGAIN_SECONDS

    async def send(self, openid: str, text: str) -> SendOutcome:
        if self._platform is None:
            return SendOutcome(Verdict.NOT_PERMITTED, "no app id or secret")
        return await self._platform.send_text(openid, text)

    async def type(self, openid: str, command: Literal["Typing", "CancelTyping"]) -> None:
        if self._platform is not None and self.may_send:
            await self._platform.type(openid, command)

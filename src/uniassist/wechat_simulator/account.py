"""The account's rules: tokens, who may be written to and how often. The clock can be moved."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal

TOKEN_SECONDS = 7200
MESSAGE_WINDOW_SECONDS = 48 * 3600
EVENT_WINDOW_SECONDS = 60
MESSAGE_QUOTA, EVENT_QUOTA = 5, 3
MAX_TEXT_BYTES = 2048
MEDIA_SECONDS = 3 * 24 * 3600

Via = Literal["passive", "service", "notice"]


class Refusal(Exception):
    """An answer with `errcode`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Shown:
    """What a person saw; `notice` is the platform's own: the account is out of service."""

    via: Via
    text: str
    at: float
    kind: str = "text"
    is_ai: bool = False


@dataclass(frozen=True)
class Wrote:
    """What a person wrote themselves, as their phone shows it."""

    text: str
    at: float


@dataclass
class SimulatedPerson:
    follows: bool = True
    blocks: bool = False
    message_at: float = float("-inf")
    message_sends: int = 0
    event_at: float = float("-inf")
    event_sends: int = 0
    screen: list[Shown] = field(default_factory=list)
    wrote: list[Wrote] = field(default_factory=list)
    typing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class UploadedMedium:
    content: bytes
    mime: str
    stored_at: float


class Clock:
    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds


class SimulatedAccount:
    """`may_send` False: an unverified account, passive replies only."""

    def __init__(self, app_id: str, app_secret: str) -> None:
        self.app_id = app_id
        self.app_secret = app_secret
        self.clock = Clock()
        self.may_send = True
        self.ip_is_allowed = True
        self.people: dict[str, SimulatedPerson] = defaultdict(SimulatedPerson)
        self.media: dict[str, UploadedMedium] = {}
        self.token_seconds = TOKEN_SECONDS
        self.tokens_issued = 0
        self.forced: list[float] = []
        self._tokens: dict[str, float] = {}
        self._current = ""
        self._refused = ""
        self._rids = itertools.count(1)

    def rid(self) -> str:
        return f"rid: 6853-{next(self._rids):08x}-0badcafe"

    def token(self, asked: dict[str, Any]) -> dict[str, Any]:
        now = self.clock.now()
        self._check_caller()
        if asked.get("grant_type") != "client_credential":
            raise Refusal(40002, "invalid grant_type")
        if asked.get("appid") != self.app_id:
            raise Refusal(40013, "invalid appid")
        if asked.get("secret") != self.app_secret:
            raise Refusal(40125, "invalid appsecret")
        if asked.get("force_refresh") is True:
            self._force(now)
        elif self._tokens.get(self._current, 0.0) - now > 300:
            return {"access_token": self._current, "expires_in": int(self._tokens[self._current] - now)}
        elif self._current in self._tokens:  # both are good for five minutes
            self._tokens[self._current] = min(self._tokens[self._current], now + 300)
        self._current = secrets.token_hex(256)
        self._tokens[self._current] = now + self.token_seconds
        self.tokens_issued += 1
        return {"access_token": self._current, "expires_in": self.token_seconds}

    def revoke_tokens(self) -> None:
        """As when somebody resets the secret, or fetches a token in the old way: at once, and unannounced."""
        self._tokens.clear()
        self._current = ""

    def refuse_current_token(self) -> None:
        """The token that `stable_token` still hands out is refused: only a forced refresh helps."""
        self._refused = self._current

    def check_token(self, token: str | None) -> None:
        self._check_caller()
        if not token:
            raise Refusal(41001, "access_token missing")
        expires_at = self._tokens.get(token)
        if expires_at is None or token == self._refused:
            raise Refusal(40001, "invalid credential, access_token is invalid or not latest")
        if expires_at <= self.clock.now():
            raise Refusal(42001, "access_token expired")

    def send(self, asked: dict[str, Any], *, escaped: bool) -> None:
        """A customer-service message, or a Refusal. `escaped`: the body had \\u escapes, which people then see."""
        openid, kind = asked.get("touser"), asked.get("msgtype")
        if not self.may_send:
            raise Refusal(48001, "api unauthorized")
        if not isinstance(openid, str) or openid not in self.people:
            raise Refusal(40003, "invalid openid")
        if kind not in ("text", "image", "voice", "news", "msgmenu"):
            raise Refusal(40008, "invalid message type")
        body = asked.get(kind)
        text = body.get("content") if isinstance(body, dict) else None
        if kind == "text" and (not isinstance(text, str) or not text):
            raise Refusal(44004, "empty content")
        if kind == "text" and len(str(text).encode()) > MAX_TEXT_BYTES:
            raise Refusal(45002, "content size out of limit")
        if kind in ("image", "voice") and not (isinstance(body, dict) and body.get("media_id") in self.media):
            raise Refusal(40007, "invalid media_id")
        self._spend(self.people[openid])
        context = asked.get("aimsgcontext")
        is_ai = isinstance(context, dict) and context.get("is_ai_msg") == 1
        shown = str(text) if not escaped else ascii(text)
        self.people[openid].screen.append(Shown("service", shown, self.clock.now(), str(kind), is_ai))

    def type(self, asked: dict[str, Any]) -> None:
        if not self.may_send:
            raise Refusal(48001, "api unauthorized")
        if asked.get("touser") not in self.people:
            raise Refusal(40003, "invalid openid")
        if asked.get("command") not in ("Typing", "CancelTyping"):
            raise Refusal(40097, "invalid args")
        person = self.people[asked["touser"]]
        if asked["command"] == "Typing" and person.typing[-1:] == ["Typing"]:
            raise Refusal(45081, "already in the typing status")
        person.typing.append(asked["command"])

    def medium(self, media_id: str | None) -> UploadedMedium:
        found = self.media.get(media_id or "")
        if found is None or self.clock.now() > found.stored_at + MEDIA_SECONDS:
            raise Refusal(40007, "invalid media_id")
        return found

    def wrote(self, openid: str, text: str) -> None:
        person = self.people[openid]
        person.wrote.append(Wrote(text, self.clock.now()))
        person.message_at, person.message_sends, person.follows = self.clock.now(), 0, True
        person.typing.append("CancelTyping")

    def acted(self, openid: str) -> None:
        """A follow, a scan or a click."""
        person = self.people[openid]
        person.event_at, person.event_sends = self.clock.now(), 0

    def sends_left(self, person: SimulatedPerson) -> tuple[int, int]:
        """How many messages may still come: after an act, and after a message."""
        now = self.clock.now()
        after_act = EVENT_QUOTA - person.event_sends if now - person.event_at <= EVENT_WINDOW_SECONDS else 0
        in_window = now - person.message_at <= MESSAGE_WINDOW_SECONDS
        return after_act, MESSAGE_QUOTA - person.message_sends if in_window else 0

    def _spend(self, person: SimulatedPerson) -> None:
        if not person.follows:
            raise Refusal(43004, "require subscribe")
        if person.blocks:
            raise Refusal(48002, "user block this account")
        if self.sends_left(person)[0] > 0:
            person.event_sends += 1
            return
        if self.clock.now() - person.message_at > MESSAGE_WINDOW_SECONDS:
            raise Refusal(45015, "response out of time limit or subscription is canceled")
        if person.message_sends >= MESSAGE_QUOTA:
            raise Refusal(45047, "out of response count limit")
        person.message_sends += 1

    def _force(self, now: float) -> None:
        self.forced = [at for at in self.forced if now - at < 24 * 3600]
        if self.forced and now - self.forced[-1] < 30:
            raise Refusal(45011, "force_refresh too often")
        if len(self.forced) >= 20:
            raise Refusal(45009, "reach max api daily quota limit")
        self.forced.append(now)
        self._tokens.clear()

    def _check_caller(self) -> None:
        if not self.ip_is_allowed:
            raise Refusal(40164, "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist")

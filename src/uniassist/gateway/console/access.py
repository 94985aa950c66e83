"""Who may look and who may act: a token of ours, or a person whom a trusted proxy names.

A call that changes something also needs the act token, which only a page of the same origin can have read; and no
call is answered that a browser makes for another origin's page.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from starlette.requests import Request

from uniassist.errors import InvalidOperatorToken, MissingRole
from uniassist.web import requests
from uniassist.web.client_address import ClientAddresses
from uniassist.web.operations import Credentials, Parameter, bearer_scheme

Role: TypeAlias = Literal["read", "act"]
Via: TypeAlias = Literal["token", "proxy", "this machine"]
ACT_TOKEN_MS = 3600 * 1000
ANYBODY = "*"
STALE, CROSS_ORIGIN = "STALE_ACT_TOKEN", "CROSS_ORIGIN"
_LONGEST_NAME = 128

_SITE = Parameter(
    "Sec-Fetch-Site",
    "header",
    "Browsers say it; of another site's page nothing is taken.",
    schema={"type": "string"},
)
_ACT = Parameter(
    "x-console-act",
    "header",
    "The actToken of GET /console/v0/me, good for an hour or two.",
    required=True,
    schema={"type": "string"},
)
READS = (_SITE,)
ACTS = (_SITE, _ACT)
CONSOLE = Credentials(
    (
        (
            bearer_scheme(
                "consoleToken",
                "One of UNIASSIST_CONSOLE_TOKENS. Not needed behind a proxy that names its users, nor in dev.",
            ),
        ),
        (),
    ),
    (InvalidOperatorToken, MissingRole),
)


@dataclass(frozen=True)
class Known:
    """Somebody who may show a token."""

    name: str
    role: Role
    token: str = field(repr=False)


@dataclass(frozen=True)
class Who:
    """Whoever was let in. `via`: by what."""

    name: str
    role: Role
    via: Via


class Access:
    """Tells operators apart.

    known: by their tokens.
    user_header: in lower case, in which a proxy names its user; None: no proxy is believed.
    actors: of those, who may act; `*` for all.
    is_open: this machine's own pages and programs need nothing.
    secret: what act tokens are sealed with; the same for all gateways of a system.
    """

    def __init__(
        self,
        *,
        known: Sequence[Known],
        user_header: str | None,
        actors: Collection[str],
        is_open: bool,
        proxies: ClientAddresses,
        secret: str,
    ) -> None:
        self._known = known
        self._user_header = user_header.encode() if user_header is not None else None
        self._actors = frozenset(actors)
        self._is_open = is_open
        self._proxies = proxies
        self._key = hashlib.sha256(b"uniassist console 1 " + secret.encode()).digest()

    def reader(self, request: Request) -> Who:
        """Who may look. InvalidOperatorToken; MissingRole for another site's page."""
        _check_site(request)
        token = requests.bearer_token(request)
        if token is not None:
            return self._by_token(token)
        if (name := self._named_by_proxy(request)) is not None:
            may_act = bool(self._actors & {name, ANYBODY})
            return Who(name, "act" if may_act else "read", "proxy")
        if self._is_open and _is_local(request):
            return Who("dev", "act", "this machine")
        raise InvalidOperatorToken("Authorization: expected Bearer and a token of UNIASSIST_CONSOLE_TOKENS")

    def actor(self, request: Request, now_ms: int) -> Who:
        """Who may act, and shows the act token. InvalidOperatorToken, MissingRole."""
        who = self.reader(request)
        if who.role != "act":
            raise MissingRole(f"Authorization: {who.name} may read only; this needs the role act")
        shown = (requests.header(request, _ACT.name) or "").encode()
        hours = (now_ms // ACT_TOKEN_MS, now_ms // ACT_TOKEN_MS - 1)
        good = [hmac.compare_digest(shown, self._sealed(who, hour)) for hour in hours]
        if not any(good):
            raise MissingRole(f"{_ACT.name}: expected a fresh actToken of GET /console/v0/me", code=STALE)
        return who

    def act_token(self, who: Who, now_ms: int) -> str:
        """What the acts of this hour and the next show."""
        return self._sealed(who, now_ms // ACT_TOKEN_MS).decode("ascii")

    def _sealed(self, who: Who, hour: int) -> bytes:
        said = f"{who.via}\n{who.name}\n{hour}".encode()
        return hmac.new(self._key, said, "sha256").hexdigest().encode("ascii")

    def _by_token(self, token: str) -> Who:
        found = None
        for each in self._known:  # always all of them, so that the time taken doesn't tell which one matched
            if hmac.compare_digest(token.encode(), each.token.encode()):
                found = each
        if found is None:
            raise InvalidOperatorToken("Authorization: no such console token")
        return Who(found.name, found.role, "token")

    def _named_by_proxy(self, request: Request) -> str | None:
        if self._user_header is None or not self._proxies.is_from_proxy(request):
            return None
        values = [value for name, value in request.scope["headers"] if name == self._user_header]
        if len(values) != 1:
            return None
        name = values[0].decode("utf-8", "replace").strip()
        return name if 0 < len(name) <= _LONGEST_NAME and name.isprintable() else None


def _check_site(request: Request) -> None:
    """A page of another origin gets nothing, whatever the browser would send along for it."""
    if requests.header(request, _SITE.name) not in (None, "same-origin", "none"):
        raise MissingRole("Sec-Fetch-Site: the console answers pages of its own origin only", code=CROSS_ORIGIN)


def _is_local(request: Request) -> bool:
    """By its address, and by the name that it was asked under: a foreign name may be made to lead here."""
    client = request.scope.get("client")
    host = request.url.hostname or ""
    try:
        is_here = client is not None and ipaddress.ip_address(client[0]).is_loopback
        return is_here and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False

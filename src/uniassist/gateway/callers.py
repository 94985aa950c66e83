"""Who calls: a channel with its signature, an app with its token or a ticket, a provider with its own."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from starlette.requests import Request

from uniassist.errors import (
    InvalidAppToken,
    InvalidProviderToken,
    InvalidSignature,
    MissingScope,
    RateLimited,
    WrongUser,
)
from uniassist.gateway.bounds.bounds import Bounds
from uniassist.gateway.turns.access import Caller
from uniassist.gateway.turns.ids import now_ms
from uniassist.web import requests
from uniassist.web.auth import signing
from uniassist.web.auth.app_tokens import AppToken, AppTokens
from uniassist.web.bodies import check_size
from uniassist.web.operations import Credentials, Parameter, bearer_scheme, header_scheme

_APP_TOKEN = bearer_scheme(
    "appToken",
    "An app user's JSON Web Token, at most 8 KiB. Needed where UNIASSIST_APP_AUTH is jwt, and ignored elsewhere. "
    "Every userId must equal its sub, or the claim that UNIASSIST_APP_JWT_USER_CLAIM names.",
)
_PROVIDER_TOKEN = bearer_scheme("providerToken", "A provider's own token, or the one that all of them share.")
_SIGNATURE = (
    header_scheme(
        "signature",
        signing.SIGNATURE_HEADER,
        "Hex HMAC-SHA256 under the channel's secret, in form 2 of timestamp.nonce.METHOD.path?query.body; in form "
        "1 of timestamp.nonce.body, where a GET's body is its path and query.",
    ),
    header_scheme("timestamp", signing.TIMESTAMP_HEADER, "Unix milliseconds, at most 5 minutes off."),
    header_scheme("nonce", signing.NONCE_HEADER, "Used once; 1 to 256 visible ASCII characters, no dot."),
)
_TEXT = {"type": "string"}
_VERSION = Parameter(signing.VERSION_HEADER, "header", "2: the second form. 1, or none: the first.", schema=_TEXT)
# Standard Webhooks sign no route, so they are taken only where no body of another route would pass.
_WEBHOOK = (
    Parameter(
        signing.WEBHOOK_ID_HEADER, "header", "Of the message: repeated under it, it is one input.", schema=_TEXT
    ),
    Parameter(signing.WEBHOOK_TIMESTAMP_HEADER, "header", "Unix seconds, at most 5 minutes off.", schema=_TEXT),
    Parameter(
        signing.WEBHOOK_SIGNATURE_HEADER,
        "header",
        "Standard Webhooks, in the signature's place: v1,<base64 HMAC-SHA256 of id.timestamp.body>, several with "
        "blanks between.",
        schema=_TEXT,
    ),
)
# What a call by CLIENTS or READERS reads beside; MESSAGES where Standard Webhooks are taken as well.
SIGNED = (_VERSION,)
MESSAGES = (_VERSION, *_WEBHOOK)
# An app, a channel, or an app where no token is asked for.
READERS = Credentials(((_APP_TOKEN,), _SIGNATURE, ()), (InvalidAppToken, InvalidSignature, RateLimited))
# Who speaks a front's protocol: an app, never a channel.
APPS = Credentials(((_APP_TOKEN,), ()), (InvalidAppToken, RateLimited))
CLIENTS = Credentials(READERS.alternatives, (*READERS.problems, WrongUser))
PROVIDERS = Credentials(((_PROVIDER_TOKEN,),), (InvalidProviderToken, MissingScope, RateLimited))
SCOPES = Parameter(
    "x-provider-scopes",
    "header",
    "Comma or space separated; narrows what the token grants.",
    schema={"type": "string"},
    example="context:read, events:write",
)

GRANTED = frozenset({"context:read", "events:write"})


@dataclass(frozen=True)
class Grant:
    """A provider token.

    `scopes`: what it grants.
    `provider_id`: whose it is; None: all providers share it.
    """

    token: str = field(repr=False)
    scopes: frozenset[str]
    provider_id: str | None = None


Grants: TypeAlias = Callable[[], Sequence[Grant]]


@dataclass(frozen=True)
class Shown:
    """What a client shows before its body is read.

    `signature`: not checked yet, since it is of the body.
    `token`: a good one; None beside no signature: apps need none.
    """

    signature: signing.Signature | None = None
    token: AppToken | None = None


@dataclass(frozen=True)
class Writer:
    """Who writes.

    `nonce`: what its signature uses up; None: unsigned.
    `message_id`: by which a channel repeats the same message; None: it has no such.
    """

    caller: Caller
    nonce: str | None = None
    message_id: str | None = None


class Callers:
    """Tells callers apart by what they show.

    `adapter_secrets`: those that a signature may be made with; `forms`: how.
    `app_tokens`: None: apps need no token (UNIASSIST_APP_AUTH=off).
    `grants`: the provider tokens of the moment.
    `bounds`: on how often an address may ask.
    """

    def __init__(
        self,
        adapter_secrets: Sequence[str],
        app_tokens: AppTokens | None,
        grants: Grants,
        bounds: Bounds,
        forms: Collection[signing.Form] = signing.FORMS,
    ) -> None:
        self._adapter_secrets = adapter_secrets
        self._app_tokens = app_tokens
        self._grants = grants
        self._bounds = bounds
        self._forms = frozenset(forms)

    async def shown(self, request: Request) -> Shown:
        """What a client shows, before its body is read: a stranger's costs nothing.

        PayloadTooLarge, RateLimited.
        """
        self.check_asked(request)
        headers = requests.signature_headers(request)
        if not signing.is_signed(headers):
            return Shown(token=await self._app(request))
        forms = self._forms if requests.takes_webhooks(request) else self._forms - {"webhooks"}
        return Shown(signature=signing.read(headers, now_ms(), forms))

    async def app(self, request: Request) -> AppToken | None:
        """The app's token, before its body is read; None: apps need none. PayloadTooLarge, RateLimited."""
        self.check_asked(request)
        return await self._app(request)

    def check_asked(self, request: Request) -> None:
        """The size that it says, and how often its address asks, whoever it is. PayloadTooLarge, RateLimited."""
        check_size(request)
        self._bounds.check_address(request)

    def signer(self, shown: Shown, request: Request, body: bytes) -> Writer | None:
        """Who signed the body, before anything of it is believed; None: nobody."""
        if shown.signature is None:
            return None
        shown.signature.check(self._adapter_secrets, requests.target(request), body)
        return Writer(Caller(signed=True), shown.signature.nonce, shown.signature.message_id)

    def writer(self, shown: Shown, signer: Writer | None, user_id: str, *, must_sign: bool = False) -> Writer:
        """Who writes in `user_id`'s name. InvalidSignature, WrongUser."""
        if signer is not None:
            return signer
        if must_sign:
            raise InvalidSignature("x-uniassist-signature: required for every source but app")
        token = shown.token
        if token is None:
            return Writer(Caller(signed=False))
        if user_id != token.user_id:
            raise WrongUser("userId: expected that of the app token")
        return Writer(Caller(signed=False, subject=token.subject))

    async def reader(self, request: Request) -> AppToken | None:
        """Whose sessions may be read; None: anyone's.

        A channel signs the request's target. Its nonce isn't used up, since nothing is written: within five minutes
        the same read may be repeated.
        """
        shown = await self.shown(request)
        self.signer(shown, request, b"")
        return shown.token

    def check_scope(self, request: Request, scope: str, *, unnamed: Literal["granted", "refused"]) -> str | None:
        """Whose token the request shows, once it grants `scope`; None: the token that all providers share.

        The header can only narrow what the token grants. `unnamed`: what its absence means, which the contract has
        differently for each call.
        """
        self.check_asked(request)
        grant = self._grant(requests.bearer_token(request))
        named = requests.header(request, SCOPES.name)
        if scope not in grant.scopes:
            raise MissingScope(f"Authorization: this token doesn't grant {scope}")
        if named is None and unnamed == "refused":
            raise MissingScope(f"x-provider-scopes: required, with {scope} or * in it")
        if named is not None and not {scope, "*"} & set(named.replace(",", " ").split()):
            raise MissingScope(f"x-provider-scopes: expected it to hold {scope} or *")
        return grant.provider_id

    def _grant(self, token: str | None) -> Grant:
        found = None
        for grant in self._grants():  # always all of them, so that the time taken doesn't tell which one matched
            if token is not None and hmac.compare_digest(token.encode(), grant.token.encode()):
                found = grant
        if found is None:
            raise InvalidProviderToken("Authorization: expected Bearer and a valid provider token")
        return found

    async def _app(self, request: Request) -> AppToken | None:
        token = await self._token(request)
        if token is not None:
            self._bounds.check_subject(token.subject)  # of what is refused later, too
        return token

    async def _token(self, request: Request) -> AppToken | None:
        return None if self._app_tokens is None else await self._app_tokens.read(requests.bearer_token(request))

"""Who calls: a channel with its signature, an app with its token, a provider with its own."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from uniassist.errors import InvalidProviderToken, InvalidSignature, MissingScope
from uniassist.gateway.access import Caller
from uniassist.gateway.ids import now_ms
from uniassist.web import requests, signing
from uniassist.web.app_tokens import AppTokens

GRANTED = frozenset({"context:read", "events:write"})


@dataclass(frozen=True)
class Grant:
    """A token, what it grants, and whose it is; `provider_id` None: any provider's."""

    token: str = field(repr=False)
    scopes: frozenset[str]
    provider_id: str | None = None


Grants: TypeAlias = Callable[[], Sequence[Grant]]


class Callers:
    """`app_tokens` None: apps need no token (UNIASSIST_APP_AUTH=off)."""

    def __init__(self, adapter_secrets: Sequence[str], app_tokens: AppTokens | None, grants: Grants) -> None:
        self._adapter_secrets = adapter_secrets
        self._app_tokens = app_tokens
        self._grants = grants

    def writer(self, request: Request, body: bytes, *, must_sign: bool) -> tuple[Caller, str | None]:
        """The caller, and the nonce that its signature uses up (None: unsigned)."""
        headers = request.scope["headers"]
        if signing.is_signed(headers):
            return Caller(signed=True), signing.verify(headers, body, self._adapter_secrets, now_ms())
        if must_sign:
            raise InvalidSignature("x-uniassist-signature: required for every source but app")
        return Caller(signed=False, subject=self._subject(request)), None

    def reader(self, request: Request) -> str | None:
        """Whose sessions may be read; None: any. A channel signs the request's target (see `_target`) as the body.

        Nothing is written, so the nonce isn't used up: within its five minutes the same read may be repeated.
        """
        headers = request.scope["headers"]
        if not signing.is_signed(headers):
            return self._subject(request)
        signing.verify(headers, _target(request), self._adapter_secrets, now_ms())
        return None

    def check_scope(self, request: Request, scope: str, *, unnamed: Literal["granted", "refused"]) -> str | None:
        """The header can only narrow what the token grants; the contract wants it named for some calls only.

        Returns the provider whose own token it is; None for the token that all providers share.
        """
        grant = self._grant(requests.bearer_token(request))
        named = requests.header(request, "x-provider-scopes")
        if scope not in grant.scopes:
            raise MissingScope(f"Authorization: this token doesn't grant {scope}")
        if named is None and unnamed == "refused":
            raise MissingScope(f"x-provider-scopes: required, with {scope} or * in it")
        if named is not None and not {scope, "*"} & set(named.replace(",", " ").split()):
            raise MissingScope(f"x-provider-scopes: expected it to hold {scope} or *")
        return grant.provider_id

    def _grant(self, token: str | None) -> Grant:
        found = None
        for grant in self._grants():  # all of them, always: the time taken doesn't tell which one matched
            if token is not None and hmac.compare_digest(token.encode(), grant.token.encode()):
                found = grant
        if found is None:
            raise InvalidProviderToken("Authorization: expected Bearer and a valid provider token")
        return found

    def _subject(self, request: Request) -> str | None:
        return None if self._app_tokens is None else self._app_tokens.subject(requests.bearer_token(request))


def _target(request: Request) -> bytes:
    """Path and query, the query encoded as `urlencode` does: clients and proxies re-encode it on the way."""
    path: bytes = request.scope["raw_path"]
    fields = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return path + (b"?" + urlencode(fields).encode("ascii") if fields else b"")

"""The providers file: who there is, what they listen for, where they are. A bad file is refused as a whole."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from uniassist.contracts.language import language
from uniassist.errors import SettingsError
from uniassist.gateway import routing
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX

_SHORTEST_TOKEN = 16

_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class Words(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The same in both languages."""

    zh: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    en: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

    def said(self, locale: str | None) -> str:
        return self.en if language(locale) == "en" else self.zh


class _Entry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    keywords: Annotated[list[Annotated[str, msgspec.Meta(min_length=1)]], msgspec.Meta(min_length=1)]
    name: Words | None = None
    example: Words | None = None
    base_url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+$")] | None = None
    base_url_env: str | None = None
    concurrency: _Count = 32
    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=600_000)] | None = None
    token_env: str | None = None
    access_token_env: str | None = None
    scopes: list[Literal["context:read", "events:write"]] = []


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    provider: Annotated[list[_Entry], msgspec.Meta(min_length=1, max_length=100)]


@dataclass(frozen=True)
class Access:
    """What a provider shows us to be let in, and what for."""

    token: str = field(repr=False)
    scopes: frozenset[str]


@dataclass(frozen=True)
class Provider:
    """`base_url` None: routes, but its runs say that it isn't connected. `timeout_seconds`: of one call.

    `token` is what we show it with each call.
    """

    provider_id: str
    keywords: tuple[str, ...]
    base_url: str | None
    concurrency: int
    timeout_seconds: float
    token: str | None = field(default=None, repr=False)
    access: Access | None = None
    words: Words | None = None
    example_words: Words | None = None

    def name(self, locale: str | None) -> str:
        """As people read it."""
        return self.words.said(locale) if self.words is not None else self.provider_id

    def example(self, locale: str | None) -> str:
        """A message that it would take."""
        return self.example_words.said(locale) if self.example_words is not None else self.keywords[0]


@dataclass(frozen=True)
class Catalogue:
    """All providers, in the order of the file."""

    providers: tuple[Provider, ...]

    def get(self, provider_id: str) -> Provider | None:
        return next((each for each in self.providers if each.provider_id == provider_id), None)

    def name(self, provider_id: str, locale: str | None) -> str:
        provider = self.get(provider_id)
        return provider.name(locale) if provider is not None else provider_id

    @cached_property
    def rules(self) -> tuple[routing.Provider, ...]:
        return tuple(routing.Provider(each.provider_id, each.keywords) for each in self.providers)


def parse(
    source: str,
    *,
    name: str,
    base_urls: Mapping[str, str | None],
    timeout_ms: int,
    tokens: Mapping[str, str] = MappingProxyType({}),
) -> Catalogue:
    """`base_urls`, `tokens`: variable → value, for entries that name one. SettingsError names file and field."""
    try:
        entries = msgspec.convert(tomllib.loads(source), _File).provider
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{name}: {error}") from None
    ids = [entry.id for entry in entries]
    if twice := {each for each in ids if ids.count(each) > 1} | ({routing.BUILTIN} & set(ids)):
        raise SettingsError(f"{name}: provider ids must be there once and not be reserved: {sorted(twice)}")
    providers = []
    for entry in entries:
        if entry.base_url_env is not None and entry.base_url_env not in base_urls:
            known = ", ".join(base_urls)
            raise SettingsError(f"{name}: {entry.id}.base_url_env: expected one of {known}")
        url = entry.base_url or (base_urls[entry.base_url_env] if entry.base_url_env else None)
        providers.append(
            Provider(
                entry.id,
                tuple(entry.keywords),
                url.rstrip("/") if url else None,
                entry.concurrency,
                (entry.timeout_ms or timeout_ms) / 1000,
                _token(name, entry, "token_env", entry.token_env, tokens),
                _access(name, entry, tokens),
                entry.name,
                entry.example,
            )
        )
    return Catalogue(tuple(providers))


def _token(name: str, entry: _Entry, member: str, variable: str | None, tokens: Mapping[str, str]) -> str | None:
    """A secret is named in the file, and kept in the environment."""
    if variable is None:
        return None
    if not variable.startswith(PROVIDER_TOKEN_PREFIX):
        raise SettingsError(
            f"{name}: {entry.id}.{member}: expected a variable that starts with {PROVIDER_TOKEN_PREFIX}"
        )
    token = tokens.get(variable, "")
    if len(token) < _SHORTEST_TOKEN:
        raise SettingsError(
            f"{name}: {entry.id}.{member}: {variable} must be set, to {_SHORTEST_TOKEN} characters or more"
        )
    return token


def _access(name: str, entry: _Entry, tokens: Mapping[str, str]) -> Access | None:
    token = _token(name, entry, "access_token_env", entry.access_token_env, tokens)
    if (token is None) != (not entry.scopes):
        raise SettingsError(f"{name}: {entry.id}.scopes: expected together with access_token_env")
    return Access(token, frozenset(entry.scopes)) if token is not None else None

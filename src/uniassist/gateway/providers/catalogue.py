"""The providers file: who there is, what they listen for, where they are. A bad file is refused as a whole."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec

from uniassist.contracts.language import language
from uniassist.errors import SettingsError
from uniassist.gateway.providers import routing
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX

DEFAULT_KIND = "uniassist"
LONGEST_STREAM_MS = RUN_MS = 24 * 3600 * 1000
LONGEST_RUN_MS = 30 * 24 * 3600 * 1000
_SHORTEST_TOKEN = 16

_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class Words(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The same words in both languages."""

    zh: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    en: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

    def said(self, locale: str | None) -> str:
        return self.en if language(locale) == "en" else self.zh


_Keywords = Annotated[list[Annotated[str, msgspec.Meta(min_length=1)]], msgspec.Meta(min_length=1)]


class _ByLanguage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Keywords as a table: a text may have them in either language, whichever it is written in."""

    zh: _Keywords | None = None
    en: _Keywords | None = None

    @property
    def all(self) -> list[str]:
        return [*(self.zh or ()), *(self.en or ())]


class _Entry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    keywords: _Keywords | _ByLanguage | None = None
    kind: str = DEFAULT_KIND
    fallback: bool = False
    description: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None
    name: Words | None = None
    example: Words | None = None
    base_url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+$")] | None = None
    base_url_env: str | None = None
    concurrency: _Count = 32
    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=600_000)] | None = None
    idle_timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=3_600_000)] = 30_000
    total_timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_STREAM_MS)] = 600_000
    run_timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_RUN_MS)] = RUN_MS
    token_env: str | None = None
    api_key_env: str | None = None
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
    """One entry of the providers file.

    `base_url`: None: it routes, but its runs say that it isn't connected.
    `concurrency`: calls at once.
    `timeout_seconds`: of one call, until its answer is there or begins to be streamed.
    `idle_timeout_seconds`, `total_timeout_seconds`: of a streamed answer, between its frames and for all of it.
    `token`: what we show it with each call.
    `access`: what it shows us; None: only the token that all providers share.
    `words`: its name, as people read it.
    `example_words`: a message that it would take.
    `run_timeout_ms`: how long a run may stay open after its answer.
    `kind`: how it is asked; `options`: what only that kind knows.
    `is_fallback`: it takes what nobody is selected for.
    `description`: what it does, for a chat that hands over to it.
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
    idle_timeout_seconds: float = 30.0
    total_timeout_seconds: float = 600.0
    kind: str = DEFAULT_KIND
    options: msgspec.Struct | None = None
    is_fallback: bool = False
    run_timeout_ms: int = RUN_MS
    description: str | None = None

    def name(self, locale: str | None) -> str:
        """As people read it."""
        return self.words.said(locale) if self.words is not None else self.provider_id

    def example(self, locale: str | None) -> str:
        """A message that it would take."""
        if self.example_words is not None:
            return self.example_words.said(locale)
        return self.keywords[0] if self.keywords else self.name(locale)


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
    def fallback(self) -> Provider | None:
        """Who takes what nobody is selected for. None: nobody is named, or it isn't connected."""
        return next((each for each in self.providers if each.is_fallback and each.base_url is not None), None)

    @cached_property
    def specialists(self) -> tuple[Provider, ...]:
        """Who is connected and listens for something."""
        return tuple(each for each in self.providers if each.base_url is not None and each.keywords)

    @cached_property
    def connected(self) -> tuple[str, ...]:
        """The ids of all that can be called."""
        return tuple(each.provider_id for each in self.providers if each.base_url is not None)

    @cached_property
    def rules(self) -> tuple[routing.RoutingRule, ...]:
        return tuple(routing.RoutingRule(each.provider_id, each.keywords) for each in self.providers)


def parse(
    source: str,
    *,
    name: str,
    base_urls: Mapping[str, str | None],
    timeout_ms: int,
    tokens: Mapping[str, str | None] = MappingProxyType({}),
    options: Mapping[str, type[msgspec.Struct] | None] = MappingProxyType({DEFAULT_KIND: None}),
) -> Catalogue:
    """The catalogue that a providers file says. SettingsError names the file and the field at fault.

    `source`: the file's text; `name`: what errors call it.
    `base_urls`, `tokens`: variable → value, for entries that name one; None: it may be empty, and is.
    `timeout_ms`: of a call, where the entry has none.
    `options`: kind → the shape of what only entries of that kind have; None: nothing.
    """
    try:
        document = tomllib.loads(source)
        own = _own_options(document, options)
        entries = msgspec.convert(document, _File).provider
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{name}: {error}") from None
    ids = [entry.id for entry in entries]
    if twice := {each for each in ids if ids.count(each) > 1} | ({routing.BUILTIN} & set(ids)):
        raise SettingsError(f"{name}: provider ids must be there once and not be reserved: {sorted(twice)}")
    if len([entry for entry in entries if entry.fallback]) > 1:
        raise SettingsError(f"{name}: fallback: expected at most one provider with it")
    providers = []
    for entry, given in zip(entries, own, strict=True):
        if entry.base_url_env is not None and entry.base_url_env not in base_urls:
            known = ", ".join(base_urls)
            raise SettingsError(f"{name}: {entry.id}.base_url_env: expected one of {known}")
        url = entry.base_url or (base_urls[entry.base_url_env] if entry.base_url_env else None)
        providers.append(
            Provider(
                entry.id,
                _keywords(name, entry),
                url.rstrip("/") if url else None,
                entry.concurrency,
                (entry.timeout_ms or timeout_ms) / 1000,
                _shown_token(name, entry, tokens),
                _access(name, entry, tokens),
                entry.name,
                entry.example,
                entry.idle_timeout_ms / 1000,
                entry.total_timeout_ms / 1000,
                entry.kind,
                _options(name, entry, given, options),
                entry.fallback,
                entry.run_timeout_ms,
                entry.description,
            )
        )
    return Catalogue(tuple(providers))


def _own_options(
    document: dict[str, Any], options: Mapping[str, type[msgspec.Struct] | None]
) -> list[dict[str, Any]]:
    """Takes out of each entry what only its kind knows, so that the rest can be read strictly."""
    taken: list[dict[str, Any]] = []
    entries = document.get("provider")
    for entry in entries if isinstance(entries, list) else []:
        shape = options.get(str(entry.get("kind", DEFAULT_KIND))) if isinstance(entry, dict) else None
        known = {each.encode_name for each in msgspec.structs.fields(shape)} if shape is not None else set()
        taken.append({member: entry.pop(member) for member in known & entry.keys()} if known else {})
    return taken


def _options(
    name: str, entry: _Entry, given: dict[str, Any], options: Mapping[str, type[msgspec.Struct] | None]
) -> msgspec.Struct | None:
    if entry.kind not in options:
        raise SettingsError(f"{name}: {entry.id}.kind: expected one of {', '.join(options)}")
    shape = options[entry.kind]
    try:
        return msgspec.convert(given, shape) if shape is not None else None
    except msgspec.ValidationError as error:
        raise SettingsError(f"{name}: {entry.id}: {error}") from None


def _keywords(name: str, entry: _Entry) -> tuple[str, ...]:
    found = entry.keywords.all if isinstance(entry.keywords, _ByLanguage) else entry.keywords
    if entry.fallback and entry.keywords is None:
        return ()
    if not found:
        raise SettingsError(f"{name}: {entry.id}.keywords: expected some, in zh or en")
    return tuple(dict.fromkeys(found))


def _token(
    name: str, entry: _Entry, member: str, variable: str | None, tokens: Mapping[str, str | None]
) -> str | None:
    """A secret is named in the file, and kept in the environment."""
    if variable is None:
        return None
    if not variable.startswith(PROVIDER_TOKEN_PREFIX):
        raise SettingsError(
            f"{name}: {entry.id}.{member}: expected a variable that starts with {PROVIDER_TOKEN_PREFIX}"
        )
    if variable.endswith("_FILE"):
        raise SettingsError(
            f"{name}: {entry.id}.{member}: expected a variable without _FILE at its end: it names a secret's file"
        )
    token = tokens.get(variable, "")
    if token is None:
        return None
    if len(token) < _SHORTEST_TOKEN:
        raise SettingsError(
            f"{name}: {entry.id}.{member}: {variable} must be set, to {_SHORTEST_TOKEN} characters or more"
        )
    return token


def _shown_token(name: str, entry: _Entry, tokens: Mapping[str, str | None]) -> str | None:
    """The same secret under two names: ours, and that of who sells models."""
    if entry.token_env is not None and entry.api_key_env is not None:
        raise SettingsError(f"{name}: {entry.id}: expected token_env or api_key_env, not both")
    if entry.api_key_env is not None:
        return _token(name, entry, "api_key_env", entry.api_key_env, tokens)
    return _token(name, entry, "token_env", entry.token_env, tokens)


def _access(name: str, entry: _Entry, tokens: Mapping[str, str | None]) -> Access | None:
    token = _token(name, entry, "access_token_env", entry.access_token_env, tokens)
    if (token is None) != (not entry.scopes):
        raise SettingsError(f"{name}: {entry.id}.scopes: expected together with access_token_env")
    return Access(token, frozenset(entry.scopes)) if token is not None else None

"""The providers as they are now: the file read again when it changes, their manifests looked at now and then.

A bad file is refused as a whole, said once, and the one before goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

import structlog

from uniassist.errors import SettingsError
from uniassist.gateway.providers import catalogue, keywords
from uniassist.gateway.providers.catalogue import Catalogue, Provider
from uniassist.gateway.providers.kinds.kind import Kind
from uniassist.lifecycle import Loop

log = structlog.get_logger()

LOOK_SECONDS = 2.0
SETTLED_SECONDS = 0.2  # a file that is the same for so long isn't being written: half of one may be right, too
MANIFEST_SECONDS = 60.0


class ProviderRegistry:
    """The catalogue of the moment, and the loops that keep it so. SettingsError when the first reading fails.

    `path` None: the package's own file, which doesn't change.
    `base_urls`, `tokens`: variable → value, for entries that name one.
    `timeout_ms`: of a call, where the entry has none.
    `on_checked`: called with a provider's id and whether its manifest is right, after each look at it.
    """

    def __init__(
        self,
        path: str | None,
        *,
        base_urls: Mapping[str, str | None],
        tokens: Mapping[str, str | None],
        timeout_ms: int,
        kinds: Mapping[str, Kind],
        on_checked: Callable[[str, bool], None],
    ) -> None:
        self._path = path
        self._base_urls = base_urls
        self._tokens = tokens
        self._timeout_ms = timeout_ms
        self._kinds = kinds
        self._on_checked = on_checked
        self._manifest_is_right: dict[str, bool] = {}
        self._source = self._read()
        self.catalogue: Catalogue = self._parse(self._source)
        self._refused: str | None = None
        self._loops = (Loop("providers-file", self._look_once), Loop("manifests", self._check_once))

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def manifest_is_right(self, provider_id: str) -> bool | None:
        """What the last look at it found; None: it wasn't looked at yet."""
        return self._manifest_is_right.get(provider_id)

    async def stop(self) -> None:
        await asyncio.gather(*(loop.stop(0.5) for loop in self._loops))

    def _read(self) -> str:
        try:
            if self._path is None:
                return files("uniassist.gateway.providers").joinpath("providers.toml").read_text("utf-8")
            return Path(self._path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"UNIASSIST_PROVIDERS_FILE: can't read {self._path}: {error}") from None

    def _parse(self, source: str) -> Catalogue:
        parsed = catalogue.parse(
            source,
            name=self._path or "providers.toml",
            base_urls=self._base_urls,
            tokens=self._tokens,
            timeout_ms=self._timeout_ms,
            options={name: kind.options for name, kind in self._kinds.items()},
        )
        for rule in parsed.rules:
            keywords.prepare(rule.keywords)
        return parsed

    async def _look_once(self) -> float:
        if self._path is None:
            return 3600.0
        try:
            source = await asyncio.to_thread(self._read)
            if source not in (self._source, self._refused):
                await asyncio.sleep(SETTLED_SECONDS)
                if source != await asyncio.to_thread(self._read):
                    return SETTLED_SECONDS
        except SettingsError as error:
            self._refuse("", error)
            return LOOK_SECONDS
        if source == self._source:
            self._refused = None
        elif source != self._refused:
            self._take(source)
        return LOOK_SECONDS

    def _take(self, source: str) -> None:
        try:
            self.catalogue = self._parse(source)
        except SettingsError as error:
            self._refuse(source, error)
            return
        self._source, self._refused = source, None
        log.warning("providers file read again", providers=[each.provider_id for each in self.catalogue.providers])
        self._loops[1].wake()

    def _refuse(self, source: str, error: SettingsError) -> None:
        if source != self._refused:
            log.error("providers file refused, the one before goes on", error=str(error))
        self._refused = source

    async def _check_once(self) -> float:
        connected = [provider for provider in self.catalogue.providers if provider.base_url is not None]
        await asyncio.gather(*(self._check(provider) for provider in connected))
        return MANIFEST_SECONDS

    async def _check(self, provider: Provider) -> None:
        """Says what is wrong; calls are made all the same: the breaker judges those."""
        wrong = await self._kinds[provider.kind].look(provider)
        is_right = wrong is None
        was_right = self._manifest_is_right.get(provider.provider_id)
        self._manifest_is_right[provider.provider_id] = is_right
        self._on_checked(provider.provider_id, is_right)
        if was_right is not is_right and wrong is not None:
            log.warning("provider's manifest", provider=provider.provider_id, wrong=wrong)

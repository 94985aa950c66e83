"""A JSON Web Key Set (RFC 7517) from a file or a URL: read now and then, and when a token names a key it lacks.

What was read last stays good while it can't be read again, so that an identity provider's outage locks nobody out.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from uniassist.contracts import codec
from uniassist.errors import InvalidRequest, PayloadTooLarge, SettingsError, Unavailable
from uniassist.lifecycle import Loop
from uniassist.web.auth.app_keys import AppKey, UnusableKey, from_set
from uniassist.web.calling.client import BadAnswer, CallFailed, JsonClient

log = structlog.get_logger()

REFRESH_SECONDS = 300.0
FILE_REFRESH_SECONDS = 10.0
# Anybody may show a token with a key id of his own: however many do, the source is asked no more often.
LOOK_AGAIN_SECONDS = 5.0
READ_SECONDS = 3.0


class StoredKeySet:
    """The keys of `source`, a file's path or an http URL. `start` before the first look.

    `client`: for a URL.
    """

    def __init__(self, source: str, client: JsonClient) -> None:
        self._source = source
        self._is_url = source.startswith(("http://", "https://"))
        self._client = client
        self._keys: tuple[AppKey, ...] = ()
        self._looked_at = -math.inf  # the loop's time
        self._looking = asyncio.Lock()
        self._refresh = Loop("key-set", self._refresh_once)

    async def start(self) -> None:
        """SettingsError for a file that is no key set; a URL may come later, as other services do."""
        if not self._is_url:
            try:
                await self._read()
            except (OSError, UnusableKey, InvalidRequest, PayloadTooLarge) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise SettingsError(f"UNIASSIST_APP_JWT_JWKS: the file {reason}") from None
        self._refresh.start()

    async def stop(self) -> None:
        await self._refresh.stop(1.0)

    async def keys(self) -> Sequence[AppKey]:
        if not self._keys:
            await self.look_again()
        if not self._keys:
            raise Unavailable("Authorization: the keys of app tokens can't be read at this time; try again")
        return self._keys

    async def look_again(self) -> bool:
        before = self._keys
        async with self._looking:  # who waited finds it done
            if asyncio.get_running_loop().time() - self._looked_at >= LOOK_AGAIN_SECONDS:
                try:
                    await self._read()
                except Exception as error:  # said, and tried again by the loop
                    log.warning("the key set can't be read", reason=str(error) or type(error).__name__)
            return self._keys is not before

    async def _refresh_once(self) -> float:
        async with self._looking:
            await self._read()
        return REFRESH_SECONDS if self._is_url else FILE_REFRESH_SECONDS

    async def _read(self) -> None:
        self._looked_at = asyncio.get_running_loop().time()
        raw = await self._fetched() if self._is_url else await asyncio.to_thread(Path(self._source).read_bytes)
        usable, refused = from_set(codec.decode(raw, dict[str, Any]))
        if not usable:
            raise UnusableKey(f"has no usable key: {'; '.join(refused) or 'keys is empty'}")
        if usable != self._keys:
            for reason in refused:
                log.warning("a key of the set isn't taken", reason=reason)
            self._keys = usable

    async def _fetched(self) -> bytes:
        try:
            answer = await self._client.request("GET", self._source, timeout_seconds=READ_SECONDS)
        except CallFailed as error:  # whose words hold the URL, and the URL perhaps a secret
            raise BadAnswer(f"the key set's URL: {type(error).__name__}") from None
        if answer.status != 200:
            raise BadAnswer(f"the key set's URL answered {answer.status}")
        return answer.body

"""Where media are kept: a folder of this machine, or any place that fsspec knows by its URL."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec

from uniassist.errors import SettingsError
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import media as wechat_media

_CALL_SECONDS = 30.0


class MediaStore:
    """Files by a name that tells nothing of the person. A file is written whole or not at all.

    place: a folder, or a URL such as s3://bucket/wechat. SettingsError when nothing here can write there.
    """

    def __init__(self, place: str) -> None:
        try:
            self._files, root = fsspec.url_to_fs(place)
        except (ValueError, ImportError) as error:
            raise SettingsError(
                f"WECHAT_MEDIA_DIR: expected a folder or a URL that fsspec knows; {error}"
            ) from None
        self._root = str(root).rstrip("/")
        self._is_local = "file" in _protocols(self._files)

    def uri(self, name: str) -> str:
        path = self._path(name)
        return Path(path).as_uri() if self._is_local else str(self._files.unstrip_protocol(path))

    async def write(self, name: str, content: bytes) -> None:
        async with asyncio.timeout(_CALL_SECONDS):
            await asyncio.to_thread(self._write, self._path(name), content)

    async def remove(self, names: Sequence[str]) -> None:
        """Delete files. One that isn't there is no error."""
        async with asyncio.timeout(_CALL_SECONDS):
            await asyncio.to_thread(self._remove, names)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _write(self, path: str, content: bytes) -> None:
        if not self._is_local:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, content)  # object stores show a file when it is complete
            return
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = f"{path}.{os.getpid()}.part"
        self._files.pipe_file(unfinished, content)
        self._files.mv(unfinished, path)

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._files.rm_file(self._path(name))


async def remove_left(pool: Pool, files: MediaStore, names: Sequence[str]) -> None:
    """Delete files of people who left, and then their names. What a killed adapter leaves is found again."""
    await files.remove(names)
    await wechat_media.forget_left_media(pool, names)


def _protocols(files: Any) -> tuple[str, ...]:
    found = files.protocol
    return (found,) if isinstance(found, str) else tuple(found)

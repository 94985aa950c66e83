"""A medium to send, and where the adapter kept it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

JPEG = b"\xff\xd8\xff\xe0 a photo"


def file_of(uri: str | None) -> Path:
    assert uri is not None
    return Path(unquote(urlsplit(uri).path))

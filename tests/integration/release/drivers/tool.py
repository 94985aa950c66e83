"""The release tool, as far as a test wants to kill it: `python -m … NAME FOLDER PORT TAG`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.integration.release.drivers.places import SERVICE, Place


def main(name: str, folder: str, port: str, tag: str) -> None:
    place = Place(name, Path(folder), port=int(port))
    asyncio.run(place.driver().deploy(SERVICE, place.release(tag)))


if __name__ == "__main__":
    main(*sys.argv[1:])

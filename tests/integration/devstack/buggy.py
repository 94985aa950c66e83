"""The same executable with a bug that has the environment's values in its message."""

from __future__ import annotations

import os

from uniassist.cli import main
from uniassist.worker import app


def _fail() -> None:
    raise RuntimeError(f"can't go on with {os.environ['REDIS_URL']}")


app.main = _fail

if __name__ == "__main__":
    main.main()

"""Builds a wheel with the source's own build backend: `python -P backend.py SOURCE INTO`, as PEP 517 has it.

What `pip wheel --no-build-isolation` does, without pip's two processes more and the second of theirs.
"""

from __future__ import annotations

import os
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

_DEFAULT = "setuptools.build_meta"


def main(source: Path, into: Path) -> None:
    os.dup2(2, 1)  # what a backend says comes before how it fails
    asked = tomllib.loads((source / "pyproject.toml").read_text("utf-8")).get("build-system", {})
    os.chdir(source)
    sys.path[:0] = [str(source / each) for each in asked.get("backend-path", ())]
    module, _, attributes = asked.get("build-backend", _DEFAULT).partition(":")
    backend: Any = import_module(module)
    for name in filter(None, attributes.split(".")):
        backend = getattr(backend, name)
    backend.build_wheel(str(into))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

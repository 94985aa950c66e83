"""Where a file is, as short as it can be copied from here."""

from __future__ import annotations

from pathlib import Path


def place(path: Path) -> str:
    """From the working directory on where the path lies below it, else the path as it is."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # elsewhere, or the working directory is gone
        return str(path)

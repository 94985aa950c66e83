"""Which language a person is answered in: the catalogues of all services keep Chinese and English side by side."""

from __future__ import annotations

from typing import Literal

Language = Literal["zh", "en"]


def language(locale: str | None) -> Language:
    """English for an English locale, else Chinese."""
    return "en" if locale is not None and locale.lower().replace("_", "-").split("-")[0] == "en" else "zh"

"""Which language a person is answered in: the catalogues of all services keep Chinese and English side by side.

Their locale says it when it is given; else the script of what they write; else what they spoke last.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

Language = Literal["zh", "en"]

_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w.-]+", re.IGNORECASE)
_HAN = re.compile(r"[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_CODE = re.compile(r"(?<!\w)\w*[\d_]\w*", re.ASCII)  # V1001_TODAY, A4: names of things, in any language
_LONGEST_LOCALE = 64  # characters; of a longer one no more is read, nor kept
_READ_CHARACTERS = 2000  # so much of a text tells its language
_NO_LOCALE = {"", "und", "mul", "c", "posix"}
# What people write whose language is another one.
_LOANS = {"ok", "okay", "hi", "hello", "hey", "bye", "byebye", "yes", "no", "yeah", "thx", "thanks", "cool", "wow"}


def language(locale: str | None) -> Language:
    """English for an English locale, else Chinese."""
    return "en" if _tag(locale) == "en" else "zh"


def written_in(text: str) -> Language | None:
    """By the script of `text`: Chinese, or any other as English. None where no word is in it.

    A Chinese character counts as much as a word of another script.
    """
    han, others = _counted(text)
    if not han and not others:
        return None
    return "zh" if len(han) >= len(others) else "en"


def spoken(locale: str | None, text: str | None, last: str | None, *, default: Language = "en") -> str | None:
    """The locale to answer in: the one given, else by the text, else the last one. None: nothing tells.

    `last`: what was spoken before in the session. It stays where the text's language is the same, and where the
    text is a word that anybody uses ("ok", "PPT").
    `default`: what such a word counts for when there is no last one.
    """
    if locale is not None and _tag(locale) not in _NO_LOCALE:
        return locale
    found = written_in(text or "")
    if found is None:
        return last
    if _could_be_anyones(text or ""):
        return last or default
    return last if last is not None and language(last) == found else found


def _tag(locale: str | None) -> str:
    return _first(locale[:_LONGEST_LOCALE]) if locale is not None else ""


@lru_cache(maxsize=64)
def _first(locale: str) -> str:
    return re.split(r"[-_.@]", locale.strip().lower())[0]


@lru_cache(maxsize=64)  # asked twice of each message
def _counted(text: str) -> tuple[list[str], list[str]]:
    """The Chinese characters, and the words of other scripts. Not to be changed."""
    text = _CODE.sub(" ", _ADDRESS.sub(" ", text[:_READ_CHARACTERS]))
    return _HAN.findall(text), _WORD.findall(_HAN.sub(" ", text))


def _could_be_anyones(text: str) -> bool:
    han, others = _counted(text)
    return not han and len(others) == 1 and (others[0].isupper() or others[0].lower() in _LOANS)

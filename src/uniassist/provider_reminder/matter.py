"""What to remind of: the words of a request without those that ask for it, and without its times. Pure."""

from __future__ import annotations

import re

from uniassist.contracts.scripts import simplified

MAX_LENGTH = 500

# Places in `simplified` text are those of the text itself.
_ASKING_ZH = (
    r"(?:记得)?(?:再|准时|按时|到时候?)?(?:提醒|通知|喊|叫)(?:一下|一声)?(?:我们?|咱们?)(?:一下|一声)?(?:记得)?"
    r"|别(?:让我)?忘了(?:提醒我)?|提醒(?:一下)?(?=[：:，, ])|^提醒(?!的|列表|事项)"
)
_ASKING_EN = (
    r"\b(?:please\s+)?(?:remind|ping|wake|alert|notify|nudge)\s+(?:me|us)(?:\s+up)?(?:\s+again)?"
    r"(?:\s+(?:to|about|of|that|for|when))?\b"
    r"|\b(?:set|create|add|make|give me|i need)\s+(?:up\s+)?(?:a|an|another|one)?\s*(?:reminder|alarm|to-?do)\b"
    r"(?:\s+(?:to|about|for|that|of))?"
    r"|\b(?:do not|don'?t)\s+(?:let me\s+)?forget(?:\s+(?:to|about))?\b"
    r"|\breminder\s*(?::|to\b|about\b|for\b)"
)
ASKING = re.compile(f"{_ASKING_ZH}|{_ASKING_EN}", re.IGNORECASE)
_WAKE = re.compile(r"\bwake\s+(?:me|us)(?:\s+up)?\b", re.IGNORECASE)
_NOUN_ZH = re.compile(r"(?:的)?(?:提醒|闹钟|待办)$")
_BEFORE_ZH = re.compile(
    r"^(?:[，,。：:、\s]|请|麻烦|帮我|帮忙|能不能|可以|你|给我|我(?!们)|到时候?|记得|设置?|[定订](?=一?[个下]|提醒|闹钟)|加|建|新建|添加|一个|个"
    r"|待办事?项?|记录一?下?|记一?下|备忘|通知|在|于|(?:前|提醒|闹钟)(?=[，,]))+(?![约机船位金])"
)
_EDGES = re.compile(
    r"^(?:[\s，,。.!！?？:：;；、]|(?:and|then|to|about|that|of|please|pls|hey|hi|can you|could you|would you"
    r"|for|at|on|by|in|before|to-?do)\b)+"
    r"|(?:[\s，,。.!！?？:：;；、]"
    r"|\b(?:please|pls|at|on|by|for|(?<!check )(?<!hand )(?<!log )(?<!sign )in|to|and|before|thanks|thank you"
    r"|from|starting|again)"
    r"|(?:吧|哦|啊|呀|谢谢|好吗|可以吗|行吗))+$",
    re.IGNORECASE,
)


def asking(text: str) -> re.Match[str] | None:
    """The words that ask to be reminded."""
    return ASKING.search(simplified(text))


def matter_of(text: str) -> str:
    """`text`: without its times. What stands behind the words that ask; where nothing does, what stands before."""
    found = asking(text)
    if found is None:
        return cleaned(text)
    behind = cleaned(text[found.end() :])
    if behind:
        return behind
    before = cleaned(text[: found.start()])
    if not before and _WAKE.search(text) is not None:
        return "wake up"
    return before


def cleaned(text: str) -> str:
    text = " ".join(text.split())
    for _ in range(4):  # what is at an edge may uncover more
        plain = simplified(text)
        begin = _BEFORE_ZH.match(plain)
        text = text[begin.end() :] if begin is not None else text
        text = _EDGES.sub("", _EDGES.sub("", text))
        noun = _NOUN_ZH.search(simplified(text))
        shorter = text[: noun.start()] if noun is not None else text
        if shorter == text and begin is None:
            break
        text = shorter
    # what stood on both sides of a time in Chinese stands together
    text = re.sub(r"(?<=[\u4e00-\u9fff，。]) (?=[\u4e00-\u9fff，。])", "", text)
    return text[:MAX_LENGTH]

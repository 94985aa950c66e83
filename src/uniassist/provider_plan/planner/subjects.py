"""Where the place or the subject stands in a goal, so that another can take its place."""

from __future__ import annotations

import re

SUBJECTS: tuple[re.Pattern[str], ...] = (
    re.compile(
        r"[去到](?P<subject>[^去到玩旅的，,\s]{1,12}?)(?=玩|旅|度假|看|出差|自驾|露营|[一二两三四五六七八九十\d]+[天日]|的|$)"
    ),
    re.compile(
        r"^(?P<subject>[^去到玩旅的，,\s]{1,8}?)(?=[一二两三四五六七八九十\d]+[天日]游|之旅|旅行|旅游|自驾|[一二两三四五六七八九十\d]日游)"
    ),
    re.compile(r"(?:学会?|学习|练习?)(?P<subject>[^，,\s]{1,12})$"),
    re.compile(
        r"\b(?:trip|travel|go|going|visit|holiday|vacation|weekend|move|moving|days|week)\s+(?:to|in|around)\s+(?P<subject>(?:[A-Z][\w'-]*\s?)+(?<!\s))"
    ),
    re.compile(r"\bvisit\s+(?P<subject>(?:[A-Z][\w'-]*\s?)+(?<!\s))"),
    re.compile(r"\b(?:learn to|learn|study|practi[sc]e)\s+(?P<subject>\w[\w -]*)$", re.IGNORECASE),
)

"""What chat interfaces ask a model for on the side: a conversation's title, its tags, what to ask next. Pure.

Open WebUI and LibreChat send these to the same endpoint, with a prompt of their own that quotes the conversation,
and Open WebUI under the conversation's own id. Nobody said that: it isn't written to a session and reaches no
provider. A title is how the person began; of the rest there is nothing to tell.
"""

from __future__ import annotations

import json
import re

from uniassist.gateway.fronts.openai.shapes import ChatRequest

LONGEST_TITLE = 40  # characters
_WEBUI, _QUOTED, _OUTPUT = "### Task:", "<chat_history>", "### Output"
_MEMBER = re.compile(r'"(\w{1,40})"\s*:\s*(\[|")')  # of the JSON that is wanted: a list, or a text
_LIBRECHAT = (
    "Provide a concise, 5-word-or-less title for the conversation",
    "Analyze this conversation and provide:\n1. The detected language",
    "Please generate a concise title (max 40 characters) for a conversation",
)
# Blank lines aren't passed over: a text of nothing else would be read from each of them to its end.
_SPEAKS = re.compile(r"^[ \t]*(?:USER|User|Human):", re.MULTILINE)
_PERSON = re.compile(rf"{_SPEAKS.pattern}[ \t]*(\S.*)$", re.MULTILINE)


def side_answer(asked: ChatRequest) -> str | None:
    """None: it is a person's message."""
    said = [each for each in asked.messages if each.role not in ("system", "developer")]
    if len(said) != 1 or not isinstance(said[0].content, str):
        return None
    text = said[0].content.lstrip()
    if text.startswith(_LIBRECHAT) and _SPEAKS.search(text) is not None:
        return _title(text)  # without a conversation to quote, it is a person who asks that
    if not text.startswith(_WEBUI) or _QUOTED not in text or _OUTPUT not in text:
        return None  # what is looked up for a message is put around it in the same way, without these
    member = _MEMBER.search(text.partition(_OUTPUT)[2].partition(_QUOTED)[0])
    if member is None:
        return None
    name, is_list = member[1], member[2] == "["
    if name == "title":
        return json.dumps({name: _title(text.partition(_QUOTED)[2])}, ensure_ascii=False)
    return json.dumps({name: [] if is_list else ""})


def _title(text: str) -> str:
    found = _PERSON.search(text)
    words = found[1].strip() if found is not None else ""
    if len(words) <= LONGEST_TITLE:
        return words
    cut = words[: LONGEST_TITLE - 1]
    return f"{cut.rpartition(' ')[0] or cut}…"

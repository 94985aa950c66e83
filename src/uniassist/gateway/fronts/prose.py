"""A session's events as one growing text, which is never taken back: for clients that only append. Pure.

The message that is being written comes as it grows, and what happens meanwhile waits for its end. Where a gateway
died and the message began anew, words that are the same are passed over; others begin a new paragraph.
"""

from __future__ import annotations

from uniassist.contracts.interaction import AssistantMessage, InteractionEvent
from uniassist.contracts.streaming import DeltaFrame
from uniassist.gateway.fronts.asking import text_of

BETWEEN = "\n\n"
_Key = tuple[str | None, str | None]


class Prose:
    """Each method returns what is to be appended; together they are the answer's text."""

    def __init__(self) -> None:
        self._current: _Key | None = None
        self._sent = ""  # of the current message
        self._texts: dict[_Key, str] = {}
        self._waiting: list[str] = []
        self._is_begun = False

    def delta(self, delta: DeltaFrame) -> str:
        key = (delta.run_id, delta.message_id)
        self._texts[key] = self._texts.get(key, "")[: delta.offset] + delta.text
        if self._current is None:
            self._current, self._sent = key, ""
            return self._block(self._grown(self._texts[key]))
        return self._grown(self._texts[key]) if key == self._current else ""

    def event(self, run_id: str | None, event: InteractionEvent) -> str:
        """A durable event."""
        key = (run_id, event.message_id) if isinstance(event, AssistantMessage) else None
        if key is not None and key[1] is not None:
            self._texts.pop(key, None)
            if key == self._current:
                return self._grown(text_of(event)) + self._end()
        if self._current is not None:
            self._waiting.append(text_of(event))
            return ""
        return self._block(text_of(event))

    def run_ended(self, run_id: str | None) -> str:
        """A message of it that has no end yet will get none."""
        for key in [each for each in self._texts if each[0] == run_id]:
            del self._texts[key]
        return self._end() if self._current is not None and self._current[0] == run_id else ""

    def end(self) -> str:
        return self._end()

    def _end(self) -> str:
        waiting, self._waiting, self._current = self._waiting, [], None
        return "".join(self._block(text) for text in waiting)

    def _grown(self, text: str) -> str:
        if text.startswith(self._sent):
            more, self._sent = text[len(self._sent) :], text
            return more
        if self._sent.startswith(text):  # begun anew, and not yet as far
            return ""
        self._sent = text
        return BETWEEN + text

    def _block(self, text: str) -> str:
        if not text:
            return ""
        lead = BETWEEN if self._is_begun else ""
        self._is_begun = True
        return lead + text

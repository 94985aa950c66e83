"""How often the platform lets us write to a person. Pure; ages are seconds, counted by one clock.

Source: the platform's table of customer-service messages. The platform is the judge: what it refuses with 45015
or 45047 corrects our count.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from uniassist.store.wechat.people import Person

MESSAGE_SECONDS, MESSAGE_SENDS = 48 * 3600.0, 5
EVENT_SECONDS, EVENT_SENDS = 60.0, 3
# A message must arrive before its window ends, by the platform's clock.
_MESSAGE_MARGIN, _EVENT_MARGIN = 120.0, 10.0

Window = Literal["message", "event"]


def room(person: Person) -> int:
    """How many messages may still go out now."""
    return _left(person, "event") + _left(person, "message")


def window(person: Person) -> Window:
    """The window that the next message is counted against. The one that ends first is used first."""
    assert room(person) > 0, "there is room"
    return "event" if _left(person, "event") else "message"


def spend(person: Person, paid_from: Window, messages: int = 1) -> Person:
    """The person once so many messages are paid from the window; -1 gives one back."""
    if paid_from == "event":
        return replace(person, event_sends=max(0, person.event_sends + messages))
    return replace(person, message_sends=max(0, person.message_sends + messages))


def spent(person: Person, of: Window) -> int:
    return person.event_sends if of == "event" else person.message_sends


def used_up(person: Person) -> Person:
    """The person once the platform says that no message is left."""
    return replace(person, message_sends=MESSAGE_SENDS, event_sends=EVENT_SENDS)


def _left(person: Person, of: Window) -> int:
    if of == "event":
        is_open = person.event_age is not None and person.event_age < EVENT_SECONDS - _EVENT_MARGIN
        return max(0, EVENT_SENDS - person.event_sends) if is_open else 0
    is_open = person.message_age is not None and person.message_age < MESSAGE_SECONDS - _MESSAGE_MARGIN
    return max(0, MESSAGE_SENDS - person.message_sends) if is_open else 0

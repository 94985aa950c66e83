"""Five messages in 48 hours, three in a minute; never after their window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.adapter_wechat.outbound import quota
from uniassist.store.wechat.people import Person

HOUR = 3600.0


def person(
    message_age: float | None = None, message_sends: int = 0, event_age: float | None = None, event_sends: int = 0
) -> Person:
    return Person("o", message_age, message_sends, event_age, event_sends, None, 0, 0, None, False)


@pytest.mark.parametrize(
    ("of", "room"),
    [
        (person(), 0),
        (person(message_age=1), 5),
        (person(message_age=1, message_sends=5), 0),
        (person(message_age=1, message_sends=7), 0),
        (person(message_age=47.9 * HOUR, message_sends=1), 4),
        (person(message_age=48 * HOUR - 60), 0),
        (person(message_age=49 * HOUR), 0),
        (person(event_age=1), 3),
        (person(event_age=55), 0),
        (person(message_age=1, message_sends=4, event_age=1, event_sends=1), 3),
    ],
)
def test_there_is_room_only_within_a_window_and_its_count(of: Person, room: int) -> None:
    assert quota.room(of) == room


def test_what_ends_first_is_used_first() -> None:
    both = person(message_age=1, event_age=1, event_sends=2)
    assert quota.window(both) == "event"
    assert quota.window(quota.spend(both, "event")) == "message"


@given(
    st.builds(
        person,
        message_age=st.floats(0, 50 * HOUR) | st.none(),
        message_sends=st.integers(0, 6),
        event_age=st.floats(0, 100) | st.none(),
        event_sends=st.integers(0, 4),
    )
)
def test_each_message_uses_up_one_and_giving_it_back_undoes_that(of: Person) -> None:
    room = quota.room(of)
    left = of
    for number in range(room):
        paid_from = quota.window(left)
        assert quota.spend(quota.spend(left, paid_from), paid_from, -1) == left
        left = quota.spend(left, paid_from)
        assert quota.room(left) == room - number - 1
    assert quota.room(quota.used_up(of)) == 0

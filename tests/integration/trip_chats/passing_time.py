"""Days that pass in a transcript: what the servers' clock would do to a person's rows is done to them.

The transcripts are of March 2040, so that nothing is due by that clock before its time in them comes.
"""

from __future__ import annotations

import datetime as dt
import re

import psycopg

FIRST_DAY = dt.datetime(2040, 3, 5, 10, tzinfo=dt.timezone(dt.timedelta(hours=8)))  # a Monday
_MARK = re.compile(r"\*（(\d+)月(\d+)日 (\d+):(\d\d)）\*|\*\((\d+) March, (\d+):(\d\d)\)\*")


def moment(line: str, before: dt.datetime) -> dt.datetime | None:
    """Of `*（3月6日 20:00）*`, `*(6 March, 20:00)*`, in the zone of `before`; None: the line is no such mark."""
    found = _MARK.fullmatch(line)
    if found is None:
        return None
    month, day, hour, minute = (int(each) for each in found.groups("3")[:4])
    if found[1] is None:
        month, day, hour, minute = 3, *(int(each) for each in found.groups("")[4:])
    return before.replace(month=month, day=day, hour=hour, minute=minute)


def passed(database_url: str, user_id: str, before: dt.datetime, now: dt.datetime) -> int:
    """How many of the person's reminders have become due between both."""
    assert now > before, f"{now} comes before {before}"
    length, openid = now - before, user_id.removeprefix("wx:")
    with psycopg.connect(database_url) as connection:
        for change in (
            "UPDATE sessions SET last_activity_at = last_activity_at - %s WHERE user_id = %s",
            "UPDATE reminders SET said_at = said_at - %s WHERE user_id = %s",
        ):
            connection.execute(change, [length, user_id])
        connection.execute(
            "UPDATE sessions SET state = jsonb_set(state, '{floor,until_ms}', "
            "to_jsonb((state #>> '{floor,until_ms}')::bigint - %s)) "
            "WHERE user_id = %s AND state #>> '{floor,until_ms}' IS NOT NULL",
            [int(length.total_seconds() * 1000), user_id],
        )
        connection.execute(
            "UPDATE wechat_people SET message_at = message_at - %s, event_at = event_at - %s WHERE openid = %s",
            [length, length, openid],
        )
        due = "UPDATE reminders SET due_at = now() WHERE user_id = %s AND due_at <= %s"
        return connection.execute(due, [user_id, now]).rowcount

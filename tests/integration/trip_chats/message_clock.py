"""provider-reminder in the days of those who talk to it: `python -m` this module with `provider-reminder`.

What a message says of its time is believed, however far that is from the server's clock.
"""

from __future__ import annotations

import datetime as dt

from uniassist.cli.main import main
from uniassist.provider_reminder import answering
from uniassist.times import now_in


def message_time(at_ms: int, timezone: str | None) -> dt.datetime:
    said = now_in(at_ms, timezone)
    assert said is not None, at_ms
    return said


if __name__ == "__main__":
    answering._now = message_time
    main()

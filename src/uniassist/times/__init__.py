"""What a Chinese or English sentence says of time: days, moments, ranges, lengths, repeats; in a person's zone,
against a given now. Pure. `read` is the entrance; decision 18 has which libraries do what, and how right they were.
"""

from uniassist.times.model import Ahead, Day, Days, Length, Moment, Period, Reading, Repeat, What
from uniassist.times.reading import due_day, read, rest
from uniassist.times.zones import localized, now_in, zone_of

__all__ = [
    "Ahead",
    "Day",
    "Days",
    "Length",
    "Moment",
    "Period",
    "Reading",
    "Repeat",
    "What",
    "due_day",
    "localized",
    "now_in",
    "read",
    "rest",
    "zone_of",
]

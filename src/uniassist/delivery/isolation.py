"""One row's fault told from everybody's: a call that fails, with no server away, is halved to the row at fault."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from uniassist.errors import Locked, Outage, TryAgain

T = TypeVar("T")
R = TypeVar("R")

REASON_LENGTH = 500
# What says something of a server, or of the way to it, whatever was asked.
_NOBODYS_FAULT = (Outage, Locked, TryAgain, OSError, TimeoutError)


def is_of_a_row(error: Exception) -> bool:
    """Whether what the call was about may be the cause. Outages are those we know, all else is somebody's fault."""
    return not isinstance(error, _NOBODYS_FAULT)


def reason_of(error: object) -> str:
    """What any error says, as a column of Postgres can hold it."""
    try:
        said = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        return said[:REASON_LENGTH].replace("\0", "").encode("utf-8", "replace").decode()
    except Exception:
        return "an error that can't be put into words"


async def one_by_one_if_need_be(
    rows: Sequence[T], call: Callable[[Sequence[T]], Awaitable[R]]
) -> tuple[list[R], list[tuple[T, Exception]]]:
    """`call` with all rows; halved while it fails for a reason that one of them may be, down to that one.

    Returns the answers, and the rows that fail alone with their errors. An outage is raised as it is: what was
    answered until then stands.
    """
    answers: list[R] = []
    failed: list[tuple[T, Exception]] = []
    parts = deque([rows] if rows else [])
    while parts:  # ends: a part is answered, halved, or one row
        part = parts.popleft()
        try:
            answers.append(await call(part))
        except Exception as error:
            if not is_of_a_row(error):
                raise
            if len(part) == 1:
                failed.append((part[0], error))
            else:
                middle = len(part) // 2
                parts.extendleft((part[middle:], part[:middle]))
    return answers, failed

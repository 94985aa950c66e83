"""Redis's errors as ours: the one place that knows the driver's classes and the protocol's codes.

A code is the first word of an error; what follows it differs between servers and versions. Whatever has no code
below is the command's own fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import TracebackType

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from uniassist.errors import (
    AccessRefused,
    Away,
    Cut,
    Full,
    Loading,
    Moved,
    NoPermission,
    NotStorable,
    Outage,
    ReadOnly,
    Rejected,
    ServerFault,
    TooManyConnections,
    on_the_way,
)
from uniassist.streams.asked import said_of

# On an error of the driver: the command that it is of.
ASKED = "asked"
NO_CLUSTER = "a Cluster, which REDIS_URL has to say: redis+cluster://HOST:PORT"
_MOVING = (Moved, "its slot is on the way to another node")

# Codes that say something of the server and nothing of the command.
_BY_CODE: Mapping[str, tuple[type[Outage], str]] = {
    "ASK": _MOVING,
    "BUSY": (Away, "busy with a script"),
    "CLUSTERDOWN": (Away, "a Cluster that is down"),
    "CROSSSLOT": (AccessRefused, NO_CLUSTER),
    "LOADING": (Loading, ""),
    "MASTERDOWN": (ReadOnly, "a replica that has lost its primary"),
    "MISCONF": (ReadOnly, "its disk or its configuration"),
    "MOVED": (Moved, "its slot is another node's"),
    "NOAUTH": (AccessRefused, "a password is needed"),
    "NOPERM": (NoPermission, ""),
    "NOREPLICAS": (ReadOnly, "too few replicas"),
    "OOM": (Full, "maxmemory"),
    "READONLY": (ReadOnly, "a replica"),
    "TRYAGAIN": _MOVING,
    "UNBLOCKED": (ReadOnly, "a replica now"),
    "UNKILLABLE": (Away, "busy with a script"),
    "WRONGPASS": (AccessRefused, "wrong user or password"),
}
_IN_SCRIPT = re.compile(r"^(?:ERR )?Error running script .*@user_script: \d+: -([A-Z]+) ")
# Rights that lack within a script have a code that says nothing: Redis 7.2 and Valkey, Redis 7.0.
_REFUSED_IN_SCRIPT = re.compile(r"^(?:ERR )?(?:ACL failure in script: |The user executing the script can't )")
# A key of a slot that is on its way to another node, touched by a script that didn't announce it.
_MOVING_IN_SCRIPT = re.compile(r"[Aa]ttempted to access a non local key in a cluster node")
# uvloop's, for a write to a connection that the server has closed: RuntimeError.
_DRIVER = (exceptions.RedisError, OSError, RuntimeError)


class NoGroup(exceptions.ResponseError):
    """The consumer group or its stream is gone."""


class GroupExists(exceptions.ResponseError):
    """The consumer group that was to be made is there."""


class CommandRejected(Rejected, exceptions.ResponseError):
    """The command's own fault. The driver's class too, for those who tell only that from an outage."""


# NoScriptError tells the driver itself to load a script.
_PASSED = (exceptions.NoScriptError, NoGroup, GroupExists, CommandRejected)


class RedisEdge:
    """`with` it around every call of the driver: what comes out is a ServerFault, NoGroup or GroupExists.

    `asked`: the command with its arguments, where there is one.
    """

    __slots__ = ("_asked",)

    def __init__(self, asked: Sequence[object] = ()) -> None:
        self._asked = asked

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _DRIVER) and not isinstance(error, _PASSED):
            raise fault_of(error, getattr(error, ASKED, self._asked)) from error


def fault_of(error: exceptions.RedisError | OSError | RuntimeError, asked: Sequence[object] = ()) -> Exception:
    code, said = code_of(error), str(error)
    if code == "NOPERM" and asked:
        said = f"{said}; needed: {said_of(asked)}"
    if code in _BY_CODE:
        kind, reason = _BY_CODE[code]
        return kind("redis", reason, said=said)
    match error:
        case exceptions.AuthenticationError() | exceptions.AuthorizationError():
            return AccessRefused("redis", "wrong user or password", said=said)
        case exceptions.ConnectionError() if code == "ERR":
            return TooManyConnections("redis", said=said)
        case exceptions.TimeoutError():
            return Away("redis", "no answer in time")
        case MasterNotFoundError():
            return Away("redis", "no Sentinel knows a primary", said=said)
        case exceptions.ConnectionError():
            return _away(error)
        case exceptions.InvalidResponse():
            return AccessRefused("redis", "no Redis", said=f"{said}; a port that wants TLS needs rediss://")
        case exceptions.DataError():
            return NotStorable("redis")
        case RuntimeError():
            return Cut("redis", "the connection broke", said=said)
        case OSError():
            return on_the_way("redis", error)
    if code == "NOGROUP":
        return NoGroup(said)
    if code == "BUSYGROUP":
        return GroupExists(said)
    return CommandRejected("redis", said=said)


def _away(error: exceptions.ConnectionError) -> ServerFault:
    """The driver raises its own class while it handles the system's, or ours of asking where to connect."""
    below = error.__cause__ or error.__context__
    if isinstance(below, ServerFault):
        return below
    if not isinstance(below, OSError):
        return Cut("redis", "the connection broke", said=str(error))
    found = on_the_way("redis", below)
    return found if isinstance(found, AccessRefused) else Cut("redis", found.reason, said=str(error))


def code_of(error: Exception) -> str:
    """The driver takes the codes that it knows off the message, and keeps them beside it.

    Redis 6.2 wraps the error of a script's command in one of its own, whose code says nothing.
    """
    in_script = _IN_SCRIPT.search(str(error))
    if in_script is not None:
        return in_script.group(1)
    if _MOVING_IN_SCRIPT.search(str(error)):
        return "TRYAGAIN"
    if _REFUSED_IN_SCRIPT.match(str(error)):
        return "NOPERM"
    return getattr(error, "status_code", None) or _first_word(str(error))


def is_outage_code(message: str) -> bool:
    """Whether an error's text, as the server sends it, says something of the server."""
    said = _REFUSED_IN_SCRIPT.match(message) or _MOVING_IN_SCRIPT.search(message)
    return said is not None or _first_word(message) in _BY_CODE


def _first_word(message: str) -> str:
    return message.partition(" ")[0].lstrip("-")

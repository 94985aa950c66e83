"""Whose fault an error of Redis is: the server's, which costs no event an attempt, or the command's own."""

from __future__ import annotations

from redis import exceptions

# Codes of the protocol that say something of the server and nothing of the event. Those of a Cluster are among
# them: it can't take our script (see append.lua), which is no event's fault either.
_CODES = frozenset(
    {
        "ASK",
        "BUSY",
        "CLUSTERDOWN",
        "CROSSSLOT",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "MOVED",
        "NOAUTH",
        "NOPERM",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
        "UNKILLABLE",
        "WRONGPASS",
    }
)
# redis-py takes these codes off the message and tells them by class.
_CLASSES = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.AuthenticationError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.NoPermissionError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
)


def is_outage(error: exceptions.RedisError) -> bool:
    return isinstance(error, _CLASSES) or is_outage_code(str(error))


def is_outage_code(message: str) -> bool:
    """The same for an error's text as the server sends it: its first word is the code."""
    words = message.split(None, 1)
    return bool(words) and words[0].lstrip("-") in _CODES

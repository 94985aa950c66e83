"""Postgres's errors as ours: the one place that knows the driver's classes and Postgres's codes.

A code is the SQLSTATE of the server's answer; what it says in words differs with its language and version.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import TracebackType

import asyncpg

from uniassist.errors import (
    AccessRefused,
    Away,
    Full,
    Locked,
    NoPermission,
    NoSchema,
    NotStorable,
    ReadOnly,
    Rejected,
    ServerFault,
    TooManyConnections,
    TryAgain,
    on_the_way,
)

_Kind = tuple[type[ServerFault], str]

_BY_CODE: Mapping[str, _Kind] = {
    "0A000": (Rejected, "not supported"),
    "23503": (TryAgain, "what it refers to is gone"),
    "23505": (TryAgain, "the same key"),
    "23P01": (TryAgain, "the same key"),
    "25006": (ReadOnly, ""),
    "25P03": (Away, "it ended a transaction that stood idle"),
    "28P01": (AccessRefused, "wrong password"),
    "3D000": (AccessRefused, "no such database"),
    "3F000": (NoSchema, "next: uniassist db migrate"),
    "40001": (TryAgain, "serialization"),
    "40P01": (TryAgain, "deadlock"),
    "42501": (NoPermission, ""),
    "42703": (NoSchema, "next: uniassist db migrate"),
    "42P01": (NoSchema, "next: uniassist db migrate"),
    "53100": (Full, "disk"),
    "53200": (Full, "memory"),
    "53300": (TooManyConnections, ""),
    "55P03": (Locked, ""),
    "57014": (Away, "a statement took too long, or was cancelled"),
    "57P01": (Away, "it ended the connection"),
    "57P02": (Away, "it crashed"),
    "57P03": (Away, "starting or stopping"),
    "57P04": (AccessRefused, "no such database"),
}
_BY_CLASS: Mapping[str, _Kind] = {
    "08": (Away, "the connection broke"),
    "22": (NotStorable, ""),
    "28": (AccessRefused, "this user, host or kind of connection isn't let in"),
    "40": (TryAgain, ""),
    "53": (Full, "a limit of its configuration"),
    "54": (NotStorable, "too large"),
    "57": (Away, "it ended the connection"),
    "58": (Away, "its disk fails"),
}
_DRIVER = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, OverflowError)


class PostgresEdge:
    """`with` it around every call of the driver: what comes out is a ServerFault, or no error of the server's."""

    __slots__ = ("_connecting",)

    def __init__(self, *, connecting: bool = False) -> None:
        self._connecting = connecting

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _DRIVER):
            raise fault_of(error, connecting=self._connecting) from error


def fault_of(error: Exception, *, connecting: bool = False) -> ServerFault:
    """`connecting`: there is no statement yet that could be at fault."""
    match error:
        case asyncpg.InvalidCachedStatementError() | asyncpg.OutdatedSchemaCacheError():
            return TryAgain("postgres", "the schema changed")
        case asyncpg.PostgresConnectionError(__cause__=ssl.SSLError() as alert):
            return on_the_way("postgres", alert)
        case asyncpg.PostgresError():
            return of_code(error.sqlstate or "", _first_line(error), connecting=connecting)
        case asyncpg.ClientConfigurationError():
            return AccessRefused("postgres", "the URL", said=_first_line(error))
        case asyncpg.TargetServerAttributeNotMatched():
            return ReadOnly("postgres", "none of the hosts is as target_session_attrs says")
        case asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return Away("postgres", "the connection broke", said=_first_line(error))
        case OSError():
            return on_the_way("postgres", error)
        case _:
            return Rejected("postgres", "a value that can't be read", said=str(error))


def of_code(code: str, said: str, *, connecting: bool = False) -> ServerFault:
    """The fault of an SQLSTATE; `said` by the server beside it."""
    kind, reason = (
        _BY_CODE.get(code) or _BY_CLASS.get(code[:2]) or (AccessRefused if connecting else Rejected, code)
    )
    if kind is NotStorable:  # what it said holds the value
        return kind("postgres", reason or code)
    return kind("postgres", reason, said=said)


def _first_line(error: Exception) -> str:
    return str(error.args[0] if error.args else error).partition("\n")[0]

"""Every error that may leave a service, with the status and code the contract gives it.

`web.problems` renders them; nothing else decides a status. The faults of our two servers, Postgres and Redis, are
among them: `store` and `streams` translate the drivers' errors into these where they arise.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from typing import ClassVar, Literal


class UniAssistError(Exception):
    """An expected failure. `detail` is shown to the caller: it names the field and what was expected."""

    status: ClassVar[int] = 500
    code: str = "INTERNAL"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, code: str | None = None, trace_id: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.trace_id = trace_id
        if code is not None:
            self.code = code

    @property
    def headers(self) -> dict[str, str]:
        return {}


class InvalidRequest(UniAssistError):
    status, code, title = 400, "INVALID_REQUEST", "Invalid request"


class InvalidSignature(UniAssistError):
    status, code, title = 401, "INVALID_SIGNATURE", "Invalid signature"


class InvalidAppToken(UniAssistError):
    status, code, title = 401, "INVALID_APP_TOKEN", "Invalid app token"


class InvalidProviderToken(UniAssistError):
    status, code, title = 401, "INVALID_PROVIDER_TOKEN", "Invalid provider token"


class InvalidOperatorToken(UniAssistError):
    status, code, title = 401, "INVALID_OPERATOR_TOKEN", "Invalid operator token"


class MissingScope(UniAssistError):
    status, code, title = 403, "MISSING_SCOPE", "Missing scope"


class MissingRole(UniAssistError):
    status, code, title = 403, "MISSING_ROLE", "Missing role"


class WrongUser(UniAssistError):
    status, code, title = 403, "WRONG_USER", "Not this token's user"


class SessionNotFound(UniAssistError):
    status, code, title = 404, "SESSION_NOT_FOUND", "Session not found"


class NotFound(UniAssistError):
    status, code, title = 404, "NOT_FOUND", "Not found"


class MethodNotAllowed(UniAssistError):
    status, code, title = 405, "METHOD_NOT_ALLOWED", "Method not allowed"


class IdempotencyInFlight(UniAssistError):
    status, code, title = 409, "IDEMPOTENCY_CONFLICT", "Request with this key is in flight"


class IdempotencyMismatch(UniAssistError):
    status, code, title = 422, "IDEMPOTENCY_CONFLICT", "Key was used with another body"


class PayloadTooLarge(UniAssistError):
    status, code, title = 413, "PAYLOAD_TOO_LARGE", "Payload too large"


class _RetryLater(UniAssistError):
    def __init__(self, detail: str, *, retry_after_seconds: int = 1, trace_id: str | None = None) -> None:
        super().__init__(detail, trace_id=trace_id)
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after_seconds)}


class RateLimited(_RetryLater):
    status, code, title = 429, "RATE_LIMITED", "Too many requests"


class Unavailable(_RetryLater):
    status, code, title = 503, "UNAVAILABLE", "Temporarily unavailable"


class SettingsError(Exception):
    """A setting is missing or can't be parsed; the message names the variable and what was expected."""


class StartError(Exception):
    """A service can't start (a taken port, an unmigrated database); the message says what to do."""


Server = Literal["postgres", "redis"]
_VARIABLES: dict[Server, str] = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}


class ServerFault(Exception):
    """What Postgres or Redis refused or could not do, or what lies on the way to it.

    `words` say which server and what is wrong in the fewest, and may be shown to anybody: "postgres: read-only",
    "redis: full (maxmemory)". `str` adds what the server said, for logs and for the operator's terminal.
    """

    state: ClassVar[str]
    for_callers: ClassVar[str] = "a server behind this one can't be used; try again"

    def __init__(self, server: Server, reason: str = "", *, said: str = "") -> None:
        super().__init__(self.for_callers)
        self.server = server
        self.reason = reason
        self.said = said

    @property
    def words(self) -> str:
        return f"{self.server}: {self.without_server}"

    @property
    def without_server(self) -> str:
        """The words where the server is named beside them: "read-only"."""
        return f"{self.state} ({self.reason})" if self.reason else self.state

    @property
    def variable(self) -> str:
        """The variable that says where the server is."""
        return _VARIABLES[self.server]

    def __str__(self) -> str:
        return f"{self.words}: {self.said}" if self.said else self.words

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class Outage(ServerFault, Unavailable):
    """The server's state, whatever it is asked: no fault of the statement or the command."""


class Away(Outage):
    """It doesn't answer, ended the connection, or is starting or stopping."""

    state = "away"

    @classmethod
    def because_of(cls, server: Server, error: OSError) -> Away:
        """A TimeoutError is an OSError as well."""
        return cls(server, _on_the_way(error), said=str(error))


class Cut(Away):
    """The connection ended or broke, without a word why: perhaps for what was being sent."""


class Loading(Outage):
    """It reads its data from the disk and will answer then."""

    state = "loading"


class ReadOnly(Outage):
    """A replica or a standby, or a server that was told to take no writes."""

    state = "read-only"


class Moved(Outage):
    """Another node of the Cluster has the slot, or will have it soon."""

    state = "moved"


class Full(Outage):
    """No room: of its disk, its memory, or what its configuration grants."""

    state = "full"


class AccessRefused(Outage):
    """It doesn't let us in as we are configured (password, database, TLS), or is no server of this kind."""

    state = "refused"


class NoPermission(Outage):
    """We are in, but our user lacks a right."""

    state = "no permission"


class TooManyConnections(Outage):
    state = "too many connections"


class NoSchema(Outage):
    """The database isn't migrated, or not as far as this code needs it."""

    state = "no schema"


class Locked(ServerFault, Unavailable):
    """Somebody else holds a row or a table for longer than we wait."""

    state = "locked"
    for_callers = "somebody else holds it; try again"


class TryAgain(ServerFault, Unavailable):
    """Somebody else was faster (serialization, a deadlock, the same key); a second look finds what they wrote."""

    state = "try again"
    for_callers = "somebody else changed the same at once; try again"


class NotStorable(ServerFault, InvalidRequest):
    """A value that the server can't hold, though the contract's shapes allow it."""

    state = "not storable"
    for_callers = "holds a value that can't be stored"


class Rejected(ServerFault):
    """Whatever has no name above: of our own statement or command, hence a bug, or a server that we don't know."""

    state = "rejected"


_ROOTS: Mapping[Server, str] = {"postgres": "sslrootcert", "redis": "ssl_ca_certs"}
_EXPIRED, _NOT_YET, _OTHER_HOSTS = 10, 9, (62, 64)  # OpenSSL's X509_V_ERR_…
# OpenSSL's reasons; those of the last two rows are alerts of the server.
_TLS: Mapping[str, str] = {
    **dict.fromkeys(("WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE"), "no TLS at this port"),
    **dict.fromkeys(
        ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE"),
        "no version or cipher of TLS in common",
    ),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a certificate of ours",
    **dict.fromkeys(
        (
            "TLSV1_ALERT_UNKNOWN_CA",
            "TLSV1_ALERT_DECRYPT_ERROR",
            "SSLV3_ALERT_BAD_CERTIFICATE",
            "SSLV3_ALERT_CERTIFICATE_EXPIRED",
            "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        ),
        "it doesn't trust our certificate",
    ),
}


def on_the_way(server: Server, error: OSError) -> Outage:
    """What lies between us and a server: a certificate is a refusal, of one side by the other."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason, remedy = _of_certificate(server, error.verify_code)
        return AccessRefused(server, reason, said=f"{error.verify_message}; {remedy}")
    if isinstance(error, ssl.SSLError) and error.reason in _TLS:
        return AccessRefused(server, _TLS[error.reason], said=str(error))
    return Away.because_of(server, error)


def _of_certificate(server: Server, code: int) -> tuple[str, str]:
    """The words, and what to do."""
    if code == _EXPIRED:
        return "its certificate has expired", "renew it on the server"
    if code == _NOT_YET:
        return "its certificate isn't valid yet", "look at the clocks of both hosts"
    if code in _OTHER_HOSTS:
        variable = _VARIABLES[server]
        return "its certificate is for another host", f"write the host in {variable} as the certificate names it"
    return "its certificate isn't trusted", f"{_ROOTS[server]} names the root certificate to trust"


def _on_the_way(error: OSError) -> str:
    match error:
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return "its name can't be resolved"
        case ssl.SSLError():
            return "TLS failed"
        case _ if error.errno is not None and error.errno > 0 and not isinstance(error, ConnectionError):
            return os.strerror(error.errno).lower()
        case _:
            return "the connection broke"

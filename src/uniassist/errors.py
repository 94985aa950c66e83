"""Every error that may leave a service, with the status and code the contract gives it.

`web.problems` renders them; nothing else decides a status.
"""

from __future__ import annotations

from typing import ClassVar


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


class MissingScope(UniAssistError):
    status, code, title = 403, "MISSING_SCOPE", "Missing scope"


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

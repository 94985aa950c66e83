"""Bodies on their way in: one budget of bytes for all of a process, charged as they arrive and until the answer.

A body is charged for what came of it, where it comes (`web.protocol`), never for what it says it will be: a sender
who says a megabyte and sends nothing takes nothing from others. What it says is looked at to refuse it at once.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from uniassist.errors import PayloadTooLarge, Unavailable
from uniassist.web.operations import operation_of

MIB = 1024 * 1024
DEFAULT_BUDGET_BYTES = 64 * MIB
LEAST_BUDGET_BYTES = 2 * MIB  # the largest body, and room for others
# An eighth of the budget is for small bodies only: large ones that are slow don't keep a line of text out.
SMALL_BYTES = 16 * 1024
# After a refusal so much more of its body is passed over: a sender who is cut off sees a reset, and no answer.
HEAR_OUT_BYTES = 16 * MIB

_SCOPE_KEY = "uniassist.body"


class BodyBudget:
    """The bytes of all bodies that a process holds at a time.

    `limit_bytes`: what comes beyond it is refused as Unavailable.
    """

    def __init__(self, limit_bytes: int, metrics: CollectorRegistry | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._refused: Counter | None = None
        if metrics is not None:
            self._refused = Counter(
                "uniassist_bodies_refused", "Bodies refused for want of room.", registry=metrics
            )
            held = Gauge("uniassist_bodies_bytes", "Bytes of bodies under way.", registry=metrics)
            held.set_function(lambda: self.held_bytes)

    def has_room(self, more_bytes: int, total_bytes: int) -> bool:
        """For `more_bytes` of a body that then has `total_bytes`."""
        kept_free = 0 if total_bytes <= SMALL_BYTES else self.limit_bytes // 8
        return self.held_bytes + more_bytes <= self.limit_bytes - kept_free

    def count_refused(self) -> None:
        if self._refused is not None:
            self._refused.inc()


class Body:
    """What one request holds of the budget.

    `is_refused`: there was no room for it, so that nothing of it is kept.
    `is_whole`: all of it was read.
    """

    __slots__ = ("_budget", "_has_ended", "_held_bytes", "is_refused", "is_whole")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._held_bytes = 0
        self._has_ended = False
        self.is_refused = False
        self.is_whole = False

    def check_room(self, declared_bytes: int) -> None:
        """Unavailable when there is no room for it, or there won't be for all that it says to be."""
        more_bytes = declared_bytes - self._held_bytes
        if self.is_refused or not self._budget.has_room(more_bytes, declared_bytes):
            self._refuse()
            raise Unavailable("body: too many are on their way here; try again", retry_after_seconds=2)

    def take(self, arrived_bytes: int) -> bool:
        """Whether to keep what arrived."""
        if self._has_ended or self.is_refused:
            return False
        if not self._budget.has_room(arrived_bytes, self._held_bytes + arrived_bytes):
            self._refuse()
            return False
        self._budget.held_bytes += arrived_bytes
        self._held_bytes += arrived_bytes
        return True

    def end(self) -> None:
        """Give everything back: the request was answered, or will not be."""
        self._has_ended = True
        self._give_back()

    def _refuse(self) -> None:
        if not self.is_refused:
            self._budget.count_refused()
        self.is_refused = True
        self._give_back()

    def _give_back(self) -> None:
        self._budget.held_bytes -= self._held_bytes
        self._held_bytes = 0


def begin(scope: Scope, budget: BodyBudget) -> Body:
    """The body of a request that begins."""
    body = Body(budget)
    scope[_SCOPE_KEY] = body
    return body


def body_of(scope: Scope) -> Body | None:
    """None: what serves it keeps no budget."""
    body: Body | None = scope.get(_SCOPE_KEY)
    return body


def declared_bytes(scope: Scope) -> int | None:
    """The request's Content-Length; None: in chunks, or no body. The server refuses one that is no number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return None


def check_size(request: Request) -> None:
    """Before who it is, and before any of it is read: PayloadTooLarge for what says that it is too large."""
    declared, limit_bytes = declared_bytes(request.scope), operation_of(request).body_limit_bytes
    if declared is not None and declared > limit_bytes:
        raise _too_large(limit_bytes)


async def read_body(request: Request) -> bytes:
    """The whole body. PayloadTooLarge over the operation's limit, Unavailable beyond the process's budget.

    The server limits how long a body may take (`protocol.REQUEST_DEADLINE_SECONDS`): a timer here would cost every
    request what only a dawdler is due.
    """
    limit_bytes, body = operation_of(request).body_limit_bytes, body_of(request.scope)
    check_size(request)
    declared = declared_bytes(request.scope)
    whole, parts, more = b"", bytearray(), True
    while more:  # ends: with the body, with its limit, or with the client
        if body is not None:
            body.check_room(declared or 0)
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        if body is not None:
            body.is_whole = not more
        if len(parts) + len(chunk) > limit_bytes:
            raise _too_large(limit_bytes)
        if more or parts:
            parts += chunk
        else:
            whole = chunk
    if body is not None:
        body.check_room(0)
    return bytes(parts) if parts else whole


async def hear_out(request: Request) -> None:
    """Pass over what is left of a body, where the connection ends with the answer: see HEAR_OUT_BYTES.

    Elsewhere the server does that after the answer (`protocol.BoundedHttpProtocol.on_body`).
    """
    body = body_of(request.scope)
    if body is None or body.is_whole or must_close(request) or not _ends_after_answer(request.scope):
        return
    heard, more = 0, True
    while more and heard <= HEAR_OUT_BYTES:
        message = await request.receive()
        heard += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)


def must_close(request: Request) -> bool:
    """Whether the connection is of no more use once the body's request is refused unread."""
    body = body_of(request.scope)
    if body is None or body.is_whole:
        return False
    waits = any(name == b"expect" for name, _ in request.scope["headers"])  # it may now send its body, or not
    return waits or (declared_bytes(request.scope) or 0) > HEAR_OUT_BYTES


def _ends_after_answer(scope: Scope) -> bool:
    if scope.get("http_version") == "1.0":
        return True
    return any(name == b"connection" and b"close" in value.lower() for name, value in scope["headers"])


def _too_large(limit_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"body: at most {limit_bytes} bytes")

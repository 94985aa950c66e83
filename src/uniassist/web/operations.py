"""What a handler declares of itself, beside its code: path, what it reads, what it answers.

Routes and OpenAPI are made from the same declarations, and a handler reads no header and no query field that it
didn't declare (`web.requests` sees to that).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from uniassist.contracts.bounds import MAX_BODY_BYTES
from uniassist.errors import InvalidRequest, PayloadTooLarge, Unavailable, UniAssistError

Handler = Callable[[Request], Awaitable[Response]]
JsonSchema = dict[str, Any]
M = TypeVar("M", bound=Callable[..., Awaitable[Response]])

_DECLARED = "uniassist_operation"
_SCOPE_KEY = "uniassist.operation"
_PATH_FIELD = re.compile(r"\{([^}]+)\}")


@dataclass(frozen=True)
class Parameter:
    """Something that a handler reads beside the body. The default schema is an id of the contract.

    `where`: as in OpenAPI.
    `example`: a value that the handler takes; None shows none.
    """

    name: str
    where: Literal["query", "path", "header"]
    description: str = ""
    required: bool = False
    schema: JsonSchema = field(default_factory=lambda: {"type": "string", "minLength": 1, "maxLength": 256})
    example: str | int | None = None


@dataclass(frozen=True)
class Content:
    """A body that isn't JSON of one of the contract's types."""

    media_type: str
    schema: JsonSchema = field(default_factory=lambda: {"type": "string"})
    description: str = ""


@dataclass(frozen=True)
class Refusing:
    """How errors are said where not as problem details: a front speaks its protocol's own.

    `shape`: a msgspec type; `say`: makes one of it.
    """

    shape: type
    say: Callable[[UniAssistError], object]


@dataclass(frozen=True)
class Scheme:
    """A header that shows who calls.

    `name`: what OpenAPI calls the scheme.
    `header`: in lower case.
    `described`: the scheme as OpenAPI has it.
    """

    name: str
    header: str
    described: JsonSchema


def bearer_scheme(name: str, description: str) -> Scheme:
    """`Authorization: Bearer <token>`."""
    return Scheme(name, "authorization", {"type": "http", "scheme": "bearer", "description": description})


def header_scheme(name: str, header: str, description: str) -> Scheme:
    """A header of our own, which OpenAPI calls an API key."""
    return Scheme(
        name, header.lower(), {"type": "apiKey", "in": "header", "name": header, "description": description}
    )


@dataclass(frozen=True)
class Credentials:
    """What a caller shows.

    `alternatives`: of each one all schemes are shown together; an empty one stands for a caller who shows nothing.
    `problems`: how those are answered who show something wrong, or nothing where something is required.
    """

    alternatives: tuple[tuple[Scheme, ...], ...] = ()
    problems: tuple[type[UniAssistError], ...] = ()

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        return tuple(scheme for alternative in self.alternatives for scheme in alternative)


ANYONE = Credentials()


@dataclass(frozen=True)
class Operation:
    """One method of one path, as `@serves` declares it for the handler below.

    `request`, `response`: msgspec types (JSON) or Content.
    `request_example`, `response_example`: of the same shapes; text for Content.
    `parameters`: what it reads beside the body. All headers that it reads: these, those of `security`, and
    content-type where there is a body (`headers`).
    `problems`: the errors that it answers beside those of `security`, and beside 400, 413 and 503, which follow
    from what it reads.
    `answers`: further shapes by status.
    `body_limit_bytes`: of what is read.
    `refusing`: None: errors are problem details.
    `also`: what else a 200 may be, by the request's wish: a stream beside JSON.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    summary: str
    response: type | Content
    request: type | Content | None = None
    request_example: object = None
    response_example: object = None
    parameters: tuple[Parameter, ...] = ()
    security: Credentials = ANYONE
    problems: tuple[type[UniAssistError], ...] = ()
    answers: tuple[tuple[int, type | Content], ...] = ()
    tags: tuple[str, ...] = ()
    description: str = ""
    body_limit_bytes: int = MAX_BODY_BYTES
    refusing: Refusing | None = None
    also: tuple[Content, ...] = ()

    def __post_init__(self) -> None:
        in_path = set(_PATH_FIELD.findall(self.path))
        declared = {parameter.name for parameter in self.parameters if parameter.where == "path"}
        assert in_path == declared, f"{self.path}: its fields are {in_path}, declared are {declared}"

    @cached_property
    def headers(self) -> frozenset[str]:
        """Those that the handler may read, in lower case."""
        named = {parameter.name.lower() for parameter in self.parameters if parameter.where == "header"}
        of_body = {"content-type"} if self.request is not None else set()
        return frozenset(named | of_body | {scheme.header for scheme in self.security.schemes})

    @cached_property
    def query(self) -> frozenset[str]:
        """The query fields that the handler may read."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.where == "query")

    @property
    def refusals(self) -> tuple[type[UniAssistError], ...]:
        """Every error that it answers, each once. One that is an InvalidRequest itself takes that one's place."""
        implied: list[type[UniAssistError]] = []
        reads = self.request is not None or self.parameters or self.security.schemes
        if reads and not any(issubclass(error, InvalidRequest) for error in self.problems):
            implied.append(InvalidRequest)
        if self.request is not None:
            implied += [PayloadTooLarge, Unavailable]  # too large, or no room for it now (`web.bodies`)
        return tuple(dict.fromkeys([*implied, *self.security.problems, *self.problems]))


@dataclass(frozen=True)
class Served:
    """An operation with what answers it."""

    operation: Operation
    handler: Handler

    @property
    def name(self) -> str:
        """OpenAPI's operationId."""
        return str(getattr(self.handler, "__name__", "")).strip("_")


def serves(operation: Operation) -> Callable[[M], M]:
    """Declare the handler below, a method of a class of routes: `@serves(Operation("GET", "/v0/timeline", …))`."""

    def declare(handler: M) -> M:
        setattr(handler, _DECLARED, operation)
        return handler

    return declare


def declared(routes: type) -> list[Operation]:
    """What the methods of a class declare, in the class's order."""
    return [getattr(member, _DECLARED) for member in vars(routes).values() if hasattr(member, _DECLARED)]


def served(*routes: object) -> list[Served]:
    """The operations of such objects, bound to their methods."""
    return [
        Served(getattr(member, _DECLARED), getattr(each, name))
        for each in routes
        for name, member in vars(type(each)).items()
        if hasattr(member, _DECLARED)
    ]


def set_operation(scope: Scope, operation: Operation) -> None:
    scope[_SCOPE_KEY] = operation


def operation_of(request: Request) -> Operation:
    """The one that this request is answered by."""
    operation: Operation = request.scope[_SCOPE_KEY]
    return operation


def refusing_of(request: Request) -> Refusing | None:
    """How this request's errors are said; None: as problem details, as where nothing is served."""
    operation: Operation | None = request.scope.get(_SCOPE_KEY)
    return operation.refusing if operation is not None else None

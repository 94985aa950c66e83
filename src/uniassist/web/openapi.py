"""OpenAPI 3.1 from a declarative list of operations and the contract's own types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts import schemas
from uniassist.errors import InvalidRequest, PayloadTooLarge, RateLimited, Unavailable, UniAssistError
from uniassist.web.problems import PROBLEM_TYPE, Problem

Handler = Callable[[Request], Awaitable[Response]]
JsonSchema = dict[str, Any]

_REF = "#/components/schemas/{name}"
_RETRY_LATER = (RateLimited, Unavailable)


@dataclass(frozen=True)
class Parameter:
    """`where` as in OpenAPI. The default schema is an id of the contract."""

    name: str
    where: Literal["query", "path", "header"]
    description: str = ""
    required: bool = False
    schema: JsonSchema = field(default_factory=lambda: {"type": "string", "minLength": 1, "maxLength": 256})


@dataclass(frozen=True)
class Content:
    """A body that isn't JSON of one of the contract's types."""

    media_type: str
    schema: JsonSchema = field(default_factory=lambda: {"type": "string"})
    description: str = ""


@dataclass(frozen=True)
class Operation:
    """One method of one path: what answers it, and what it declares. Routes and OpenAPI come from the same list.

    `request` and `response` are msgspec types (JSON) or Content; `problems` are the errors that it answers;
    `answers` adds further successes by status. 400 and 413 are added where there is something to refuse.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    response: type | Content
    request: type | Content | None = None
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[type[UniAssistError], ...] = ()
    answers: tuple[tuple[int, type | Content], ...] = ()
    tags: tuple[str, ...] = ()
    description: str = ""
    bearer: bool = False

    @property
    def refusals(self) -> tuple[type[UniAssistError], ...]:
        implied: list[type[UniAssistError]] = []
        if self.request is not None or self.parameters:
            implied.append(InvalidRequest)
        if self.request is not None:
            implied.append(PayloadTooLarge)
        return tuple(dict.fromkeys([*implied, *self.problems]))


def build_openapi(*, service: str, version: str, operations: Sequence[Operation]) -> JsonSchema:
    """The whole document, ready to be encoded."""
    names = [_operation_id(operation) for operation in operations]
    assert len(names) == len(set(names)), f"two handlers share a name: {sorted(names)}"
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    refusals = dict.fromkeys(error for operation in operations for error in operation.refusals)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"UniAssist {service}",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(_types(operations)),
            "responses": {error.__name__: _problem((error,)) for error in refusals},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> JsonSchema:
    described: JsonSchema = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "responses": {
            str(status): _answer(shape) for status, shape in [(200, operation.response), *operation.answers]
        }
        | _problems(operation.refusals),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.tags:
        described["tags"] = list(operation.tags)
    if operation.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.request is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.request)}
    if operation.bearer:
        described["security"] = [{"bearer": []}]
    return described


def _operation_id(operation: Operation) -> str:
    name = getattr(operation.handler, "__name__", None) or type(operation.handler).__name__
    return str(name.strip("_"))


def _parameter(parameter: Parameter) -> JsonSchema:
    described: JsonSchema = {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required or parameter.where == "path",
        "schema": parameter.schema,
    }
    if parameter.description:
        described["description"] = parameter.description
    return described


def _answer(shape: type | Content) -> JsonSchema:
    description = shape.description if isinstance(shape, Content) else shape.__name__
    return {"description": description or "As asked.", "content": _content(shape)}


def _content(shape: type | Content) -> JsonSchema:
    if isinstance(shape, Content):
        return {shape.media_type: {"schema": shape.schema}}
    (schema,), _ = msgspec.json.schema_components((shape,), ref_template=_REF)
    return {"application/json": {"schema": schema}}


def _problems(errors: Iterable[type[UniAssistError]]) -> JsonSchema:
    by_status: dict[int, list[type[UniAssistError]]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(error)
    return {
        str(status): {"$ref": f"#/components/responses/{same[0].__name__}"} if len(same) == 1 else _problem(same)
        for status, same in sorted(by_status.items())
    }


def _problem(errors: Sequence[type[UniAssistError]]) -> JsonSchema:
    described: JsonSchema = {
        "description": "; ".join(f"{error.title} (`{error.code}`)" for error in errors),
        "content": {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(name=Problem.__name__)}}},
    }
    if any(issubclass(error, _RETRY_LATER) for error in errors):
        described["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return described


def _types(operations: Sequence[Operation]) -> list[type]:
    shapes: list[type | Content | None] = [Problem]
    for operation in operations:
        shapes += [operation.request, operation.response, *(shape for _, shape in operation.answers)]
    return list(dict.fromkeys(shape for shape in shapes if isinstance(shape, type)))


def _schemas(types: Sequence[type]) -> JsonSchema:
    _, found = msgspec.json.schema_components(types, ref_template=_REF)
    # the contract's own rendering says more than msgspec alone (what each extension kind requires)
    full = schemas.components(_REF)
    return {name: full.get(name, found[name]) for name in sorted(found)}

"""OpenAPI 3.1 from the operations that handlers declare and the contract's own types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from uniassist.contracts import schemas
from uniassist.errors import RateLimited, Unavailable, UniAssistError
from uniassist.web.operations import Content, Credentials, JsonSchema, Operation, Parameter, Refusing, Served
from uniassist.web.problems import PROBLEM_TYPE, Problem

_REF = "#/components/schemas/{name}"
_RETRY_LATER = (RateLimited, Unavailable)


def build_openapi(*, service: str, version: str, operations: Sequence[Served]) -> JsonSchema:
    """The whole document, ready to be encoded."""
    names = [each.name for each in operations]
    assert len(names) == len(set(names)), f"two handlers share a name: {sorted(names)}"
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.operation.path, {})[each.operation.method.lower()] = _operation(each)
    declared = [each.operation for each in operations]
    refusals = dict.fromkeys(error for operation in declared for error in operation.refusals)
    schemes = {scheme.name: scheme.described for operation in declared for scheme in operation.security.schemes}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"UniAssist {service}",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(_types(declared)),
            "responses": {error.__name__: _problem((error,)) for error in refusals},
            "securitySchemes": schemes,
        },
    }


def _operation(served: Served) -> JsonSchema:
    operation = served.operation
    answers = {"200": _answer(operation.response, operation.response_example)}
    for other in operation.also:
        answers["200"]["content"] |= _content(other, None)
    answers |= {str(status): _answer(shape, None) for status, shape in operation.answers}
    described: JsonSchema = {
        "operationId": served.name,
        "summary": operation.summary,
        "responses": answers | _problems(operation.refusals, operation.refusing),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.tags:
        described["tags"] = list(operation.tags)
    if operation.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.request is not None:
        content = _content(operation.request, operation.request_example)
        described["requestBody"] = {"required": True, "content": content}
    if operation.security.alternatives:
        described["security"] = _security(operation.security)
    return described


def _security(security: Credentials) -> list[dict[str, list[str]]]:
    return [{scheme.name: [] for scheme in alternative} for alternative in security.alternatives]


def _parameter(parameter: Parameter) -> JsonSchema:
    described: JsonSchema = {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required or parameter.where == "path",
        "schema": parameter.schema,
    }
    if parameter.description:
        described["description"] = parameter.description
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _answer(shape: type | Content, example: object) -> JsonSchema:
    description = shape.description if isinstance(shape, Content) else shape.__name__
    return {"description": description or "As asked.", "content": _content(shape, example)}


def _content(shape: type | Content, example: object) -> JsonSchema:
    if isinstance(shape, Content):
        media_type, body = shape.media_type, {"schema": shape.schema}
    else:
        (schema,), _ = msgspec.json.schema_components((shape,), ref_template=_REF)
        media_type, body = "application/json", {"schema": schema}
    if example is not None:
        body["example"] = msgspec.to_builtins(example)
    return {media_type: body}


def _problems(errors: Iterable[type[UniAssistError]], refusing: Refusing | None) -> JsonSchema:
    by_status: dict[int, list[type[UniAssistError]]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(error)
    return {
        str(status): {"$ref": f"#/components/responses/{same[0].__name__}"}
        if len(same) == 1 and refusing is None
        else _problem(same, refusing)
        for status, same in sorted(by_status.items())
    }


def _problem(errors: Sequence[type[UniAssistError]], refusing: Refusing | None = None) -> JsonSchema:
    media_type, shape = (PROBLEM_TYPE, Problem) if refusing is None else ("application/json", refusing.shape)
    described: JsonSchema = {
        "description": "; ".join(f"{error.title} (`{error.code}`)" for error in errors),
        "content": {media_type: {"schema": {"$ref": _REF.format(name=shape.__name__)}}},
    }
    if any(issubclass(error, _RETRY_LATER) for error in errors):
        described["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return described


def _types(operations: Sequence[Operation]) -> list[type]:
    shapes: list[type | Content | None] = [Problem]
    for operation in operations:
        shapes += [operation.request, operation.response, *(shape for _, shape in operation.answers)]
        shapes += [operation.refusing.shape] if operation.refusing is not None else []
    return list(dict.fromkeys(shape for shape in shapes if isinstance(shape, type)))


def _schemas(types: Sequence[type]) -> JsonSchema:
    _, found = msgspec.json.schema_components(types, ref_template=_REF)
    # the contract's own rendering says more than msgspec alone (what each extension kind requires)
    full = schemas.components(_REF)
    return {name: full.get(name, found[name]) for name in sorted(found)}

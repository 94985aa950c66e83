"""What goes wrong, in the codes of JSON-RPC, of HTTP+JSON and of A2A itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from uniassist.errors import InvalidRequest, NotFound, UniAssistError
from uniassist.gateway.fronts.a2a.shapes import ErrorInfo, RestFault, RestRefused, RpcFault, RpcRefused

PARSE, INVALID, NO_METHOD, PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
NO_TASK, NOT_CANCELABLE, NO_PUSH, UNSUPPORTED, CONTENT_TYPE, NO_VERSION = (
    -32001,
    -32002,
    -32003,
    -32004,
    -32005,
    -32009,
)


class Fault(InvalidRequest):
    """`rpc_code`: of the answer's error."""

    def __init__(self, rpc_code: int, detail: str) -> None:
        super().__init__(detail)
        self.rpc_code = rpc_code


def fault_of(error: UniAssistError) -> RpcFault:
    if isinstance(error, Fault):
        return RpcFault(error.rpc_code, error.detail)
    if isinstance(error, NotFound):
        return RpcFault(NO_TASK, error.detail)
    return RpcFault(PARAMS if error.status < 500 else INTERNAL, error.detail)


def refused(error: UniAssistError) -> RpcRefused:
    """Before it is known which request it is: of a token, of a body that can't be read."""
    return RpcRefused("2.0", None, fault_of(error))


# As the binding has them: HTTP's status, gRPC's name of it, and A2A's reason.
_REST: Mapping[int, tuple[int, str, str]] = {
    NO_TASK: (404, "NOT_FOUND", "TASK_NOT_FOUND"),
    NOT_CANCELABLE: (400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"),
    UNSUPPORTED: (400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
    CONTENT_TYPE: (400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
    NO_VERSION: (400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"),
}
_BY_STATUS: Mapping[int, str] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def rest_refused(error: UniAssistError) -> RestRefused:
    fault = fault_of(error)
    if fault.code in _REST:
        code, status, reason = _REST[fault.code]
    else:
        code = error.status
        status = _BY_STATUS.get(code, "INVALID_ARGUMENT" if code < 500 else "INTERNAL")
        reason = "INVALID_PARAMS" if status == "INVALID_ARGUMENT" else error.code
    return RestRefused(RestFault(code, status, fault.message, [ErrorInfo(reason)]))

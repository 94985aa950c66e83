"""What goes wrong, in JSON-RPC's and A2A's codes. Pure."""

from __future__ import annotations

from uniassist.errors import InvalidRequest, NotFound, UniAssistError
from uniassist.gateway.fronts.a2a.shapes import RpcFault, RpcRefused

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

"""`/a2a/pushed/{runId}`: an A2A agent says that a run's task has moved. Whoever follows it looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import MAX_ID_LENGTH
from uniassist.errors import InvalidProviderToken
from uniassist.gateway.providers.kinds.a2a_pushes import PATH, Pushes
from uniassist.web import requests
from uniassist.web.operations import Credentials, Operation, Parameter, header_scheme, serves
from uniassist.web.responses import json_response

TOKEN = "X-A2A-Notification-Token"  # noqa: S105 - a header's name
_TOKEN = header_scheme("pushToken", TOKEN, "What the agent got with the message, of one run.")


class PushTaken(msgspec.Struct, frozen=True):
    accepted: Literal[True]


class PushRoutes:
    """`tells`: other gateways, one of which may follow the run."""

    def __init__(self, pushes: Pushes, tells: Callable[[Iterable[str]], None]) -> None:
        self._pushes = pushes
        self._tells = tells

    @serves(
        Operation(
            "POST",
            f"{PATH}{{runId}}",
            "An A2A agent's push notification",
            PushTaken,
            parameters=(Parameter("runId", "path", required=True),),
            security=Credentials(((_TOKEN,),), (InvalidProviderToken,)),
            tags=("a2a",),
            description="The body isn't read: the task is looked up at the agent (`docs/fronts-a2a.md`).",
        )
    )
    async def a2a_pushed(self, request: Request) -> Response:
        run_id = requests.path_field(request, "runId")
        shown = requests.header(request, TOKEN, max_length=MAX_ID_LENGTH) or ""
        if not self._pushes.takes(run_id, shown):
            raise InvalidProviderToken(f"{TOKEN}: expected the one that was sent with the message")
        self._pushes.wake([run_id])
        self._tells([run_id])
        return json_response(PushTaken(accepted=True))

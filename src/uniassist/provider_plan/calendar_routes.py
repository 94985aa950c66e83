"""The one call of provider-plan that people's own devices make: a calendar, for who has its link."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.language import language
from uniassist.errors import NotFound
from uniassist.provider_plan.calendar import MEDIA_TYPE, Exported, calendar_of
from uniassist.provider_plan.keeper import CALENDARS
from uniassist.provider_plan.planner.keeping import restored
from uniassist.provider_plan.writing import hash_of
from uniassist.store import plans as store
from uniassist.store.server.pool import Pool
from uniassist.web.operations import Content, Operation, Parameter, serves

_ENDING = ".ics"
_LONGEST = 100


class CalendarRoutes:
    """`due_hour`: at which a calendar calls for a step."""

    def __init__(self, pool: Pool, *, due_hour: int) -> None:
        self._pool = pool
        self._due_hour = due_hour

    @serves(
        Operation(
            "GET",
            f"{CALENDARS}{{name}}",
            "A person's plans as iCalendar",
            Content(MEDIA_TYPE, description="Whole days, an event for each step."),
            response_example="BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n",
            parameters=(
                Parameter("name", "path", "The link's token with .ics", required=True, example="token.ics"),
            ),
            problems=(NotFound,),
            tags=("people",),
            description="Who has the link reads it, until it ends. It follows what is changed in the plan.",
        )
    )
    async def calendar(self, request: Request) -> Response:
        name = str(request.path_params["name"])
        link = None
        if name.endswith(_ENDING) and len(name) <= _LONGEST:
            link = await store.link(self._pool, hash_of(name.removesuffix(_ENDING)))
        rows = await store.read(self._pool, link.person, link.plan_id) if link is not None else []
        exported = [
            Exported(row.plan_id, plan, row.version, row.changed_at, row.timezone)
            for row in rows
            if (plan := restored(row.body)) is not None
        ]
        if link is None or not exported:
            raise NotFound("there is no such calendar, or its link is over; ask for a new one")
        body = calendar_of(exported, language(link.language), due_hour=self._due_hour)
        headers = {
            "Content-Disposition": 'inline; filename="plan.ics"',
            "Cache-Control": "private, no-store",
            "Referrer-Policy": "no-referrer",
            "X-Robots-Tag": "noindex",
        }
        return Response(body, 200, headers, f"{MEDIA_TYPE}; charset=utf-8")

"""A person who talks with provider-plan's rules, their shelf in memory: what `keeper` has in Postgres."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.unit.provider_plan.plan_requests import NOW_MS, english, interaction, invocation

from uniassist.contracts import codec
from uniassist.contracts.interaction import AssistantMessage, InteractionEvent, Nav, ProviderExtension
from uniassist.contracts.provider import InteractResponse, InvokeRequest, InvokeResponse
from uniassist.provider_plan import answers
from uniassist.provider_plan.planner.model import Plan
from uniassist.provider_plan.shelf import Deleted, Drafted, Kept, Put, Shelf

DAY_MS = 24 * 3600 * 1000
MADE_AT = dt.datetime(2026, 2, 25, tzinfo=dt.UTC)


class PersonTalking:
    """`says` goes on with what was expected last; `in_a_week` forgets that, as a new session does."""

    def __init__(self, *, language: str = "zh", url: str | None = "https://plans.test") -> None:
        self.kept: dict[str, Kept] = {}
        self.drafts: dict[str, dict[str, str]] = {}
        self.at_ms = NOW_MS
        self._url = url
        self._context: dict[str, Any] = {"context": english()} if language == "en" else {}
        self._number = 0
        self.last: InvokeResponse | InteractResponse | None = None

    @property
    def plans(self) -> list[Plan]:
        return [each.plan for each in self.kept.values() if each.deleted_at is None]

    def in_a_week(self, days: int = 7) -> None:
        self.at_ms += days * DAY_MS
        self.last = None

    def says(self, text: str) -> str:
        self._number += 1
        run: dict[str, Any] = {"runId": f"run-{self._number}"}
        if self.last is not None and self.last.expects_reply is not None:
            run |= {"continues": self.last.run_id, "hint": self.last.expects_reply.hint}
        said = invocation(text, run=run, input={"timestampMs": self.at_ms}, **self._context)
        shelf = self._shelf()
        answer = answers.invoke(codec.decode(codec.encode(said), InvokeRequest), shelf)
        self._write(shelf)
        self.last = answer
        return "\n".join([answer.ack.message or "", *shown(answer.immediate_events or [])])

    def submits(self, values: dict[str, str], task_id: str | None = None) -> str:
        payload = {"values": values} | ({"taskId": task_id} if task_id is not None else {})
        return self._interacts(payload, "submit_data_collection", self.drafts.get(task_id or ""))

    def taps(self, action_id: str) -> str:
        return self._interacts(None, action_id)

    def makes(self, goal: str, due: str = "2026-04-01") -> Plan:
        """A plan of its own, from a form of its own."""
        self.last = None
        self.submits({"goal": goal, "dueDate": due})
        return self.plans[-1]

    def _interacts(self, payload: Any, action_id: str, draft: dict[str, str] | None = None) -> str:
        self._number += 1
        asked = interaction(
            payload,
            action_id,
            run={"runId": f"run-{self._number}"},
            interaction={"timestampMs": self.at_ms},
            **self._context,
        )
        shelf = self._shelf(draft)
        answer = answers.interact(asked, shelf)
        self._write(shelf)
        self.last = answer
        return "\n".join(shown(answer.events))

    def _shelf(self, draft: dict[str, str] | None = None) -> Shelf:
        link = (lambda: ("token", f"{self._url}/token.ics")) if self._url is not None else None
        return Shelf(list(self.kept.values()), is_kept=True, draft=draft, new_link=link)

    def _write(self, shelf: Shelf) -> None:
        for write in shelf.writes:
            match write:
                case Put(plan_id, plan):
                    self.kept[plan_id] = Kept(plan_id, plan, MADE_AT)
                case Deleted(plan_ids):
                    at = MADE_AT + dt.timedelta(seconds=self._number)
                    for each in plan_ids:
                        self.kept[each] = Kept(each, self.kept[each].plan, MADE_AT, deleted_at=at)
                case Drafted(task_id, known):
                    self.drafts[task_id] = dict(known)


def shown(events: list[InteractionEvent]) -> list[str]:
    lines = []
    for each in events:
        if isinstance(each, AssistantMessage):
            lines += [each.text, *(f"[{choice.key}]" for choice in each.choices or [])]
        elif isinstance(each, Nav):
            lines.append(f"{each.label} {each.href}")
        elif isinstance(each, ProviderExtension) and each.extension_kind == "data_collection_request":
            assert each.payload.data_schema is not None
            lines.append(f"form {each.payload.task_id}: {' '.join(each.payload.data_schema['properties'])}")
    return lines

"""A request as far as the timeline tells of it: its runs, what it asks, and how it stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from uniassist.contracts.interaction import Form, InteractionEvent, ProviderExtension, RequestClarification
from uniassist.contracts.timeline import TimelineEvent
from uniassist.gateway.fronts.following import Requested, run_status, said_in

UNDER_WAY = ("pending", "running")
Standing = Literal["working", "asks", "completed", "failed", "cancelled"]


@dataclass
class Traced:
    """Takes the request's events, in seq order.

    `run_id`: of its first run. `last_seq`, `at_ms`: of the last event.
    `runs`: all of its own, by status.
    `interacts_with`: the run whose call answers the person's last word; None: that was an input.
    `interactions`: the runs that were answered, that one among them; an input beside or after them ends none.
    `asked`: what waits for the person, with the event that asks it.
    """

    session_id: str
    trace_id: str
    run_id: str = ""
    last_seq: int = 0
    at_ms: int = 0
    runs: dict[str, str] = field(default_factory=dict)
    interacts_with: str | None = None
    interactions: set[str] = field(default_factory=set)
    asked: list[tuple[TimelineEvent, InteractionEvent]] = field(default_factory=list)
    _since: set[str] = field(default_factory=set)  # runs since the person's last word

    def note(self, event: TimelineEvent) -> InteractionEvent | None:
        """What the event says to its person, if anything."""
        self.last_seq, self.at_ms = event.seq, event.timestamp_ms
        if event.kind == "inbound":  # what was asked is answered by it, or passed over
            self.interacts_with = None
            self._since, self.asked = set(), []
        elif event.kind == "user_interaction":  # answers its run; what others asked still waits
            self.interacts_with = event.run_id
            self.interactions |= {event.run_id} if event.run_id is not None else set()
            self._since = set()
            self.asked = [each for each in self.asked if each[0].run_id != event.run_id]
        elif event.kind == "provider_run" and event.run_id is not None:
            self.run_id = self.run_id or event.run_id
            self.runs[event.run_id] = run_status(event)
            self._since.add(event.run_id)
        said = said_in(event)
        if said is not None and asks(said):
            self.asked.append((event, said))
        return said

    def standing(self, *, is_owed: bool) -> Standing:
        """`is_owed`: the call of `interacts_with` is still to be answered."""
        statuses = {self.runs[run_id] for run_id in self._since}
        if is_owed or any(status in UNDER_WAY for status in self.runs.values()):
            return "working"
        if statuses == {"cancelled"}:
            return "cancelled"
        if statuses and statuses <= {"failed", "cancelled"}:
            return "failed"
        return "asks" if self.asked else "completed"

    def following(self, *, is_whole: bool = True) -> Requested:
        """What is read from here on. `is_whole`: as Requested has it."""
        under_way = UNDER_WAY if is_whole else UNDER_WAY[:1]
        return Requested(
            self.session_id,
            self.last_seq,
            self.trace_id,
            self.at_ms,
            is_input=self.interacts_with is None,
            run_id=self.interacts_with,
            others=frozenset(self.interactions),
            runs={run_id: status not in under_way for run_id, status in self.runs.items()},
            is_whole=is_whole,
        )


def asks(said: InteractionEvent) -> bool:
    """Whether its person has to answer before it goes on; what is offered only may be passed over."""
    is_form = isinstance(said, ProviderExtension) and said.extension_kind == "data_collection_request"
    return is_form or isinstance(said, Form | RequestClarification)

"""A person as one look finds them: what is new on their timelines, as replies, and the replies that were open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import structlog

from uniassist.adapter_wechat import menus
from uniassist.adapter_wechat.packing import Piece, after
from uniassist.adapter_wechat.plain_text import Origin, render
from uniassist.adapter_wechat.splitting import FENCE
from uniassist.contracts import codec
from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.timeline import InteractionPayload
from uniassist.errors import InvalidRequest
from uniassist.store import wechat as store
from uniassist.store.pool import Pool
from uniassist.store.wechat import MAX_EVENTS, Changes, Look, NewEvent, NewReport, Reply, Result, State

log = structlog.get_logger()

T = TypeVar("T")

BUILTIN = "builtin_chat"


class Stock:
    """Replies by their position, and the changes to write. A reply that is put replaces what it was.

    `found`: as it was before; `is_all`: nothing is on the timelines beyond that.
    """

    def __init__(self, found: Look, changes: Changes) -> None:
        self.found = found
        self.changes = changes
        self.is_all = len(found.new_events) < MAX_EVENTS
        self.is_left = False
        self._replies = {reply.event_id: reply for reply in found.open_replies}
        self._changed: dict[str, Reply] = {}

    def leave(self) -> None:
        """Write nothing."""
        self.is_left = True

    def in_state(self, *states: State) -> list[Reply]:
        found = (reply for reply in self._replies.values() if reply.state in states)
        return sorted(found, key=lambda reply: reply.position)

    def find(self, event_id: str) -> Reply | None:
        return self._replies.get(event_id)

    def put(self, replies: Iterable[Reply]) -> None:
        for reply in replies:
            self._replies[reply.event_id] = self._changed[reply.event_id] = reply

    def report(self, replies: Sequence[Reply], outcome: Result, detail: str) -> None:
        """For the timeline: one report for each session, trace and run among `replies`."""
        groups: dict[tuple[str, str, str | None], list[str]] = {}
        for reply in replies:
            groups.setdefault((reply.session_id, reply.trace_id, reply.run_id), []).append(reply.event_id)
        self.changes.reports += [
            NewReport(session_id, trace_id, run_id, tuple(event_ids), outcome, detail)
            for (session_id, trace_id, run_id), event_ids in groups.items()
        ]

    def park(self, replies: Sequence[Reply], why: str) -> None:
        """Until the person writes."""
        if replies:
            self.put(replace(reply, state="parked", in_flight=0) for reply in replies)
            self.report(replies, "parked", why)

    def give_up_strays(self) -> None:
        """Messages that somebody who is gone left under way: they may have arrived."""
        strays = self.in_state("sending")
        self.put(after(Piece(reply, "", reply.in_flight), "unknown") for reply in strays)
        self.report(strays, "unknown", "the adapter stopped while it was sent")

    def show_menus(self, pieces: Iterable[Piece], now_ms: int) -> None:
        """From now on the person's numbers mean the menus in `pieces`."""
        menu = menus.load(self.changes.person.menu)
        for piece in pieces:
            choices = menus.load_choices(piece.reply.choices)
            if choices and piece.ends_reply:
                menu = menus.shown(menu, choices, now_ms)
        if menu is not None:
            self.changes.person = replace(self.changes.person, menu=menus.dump(menu))

    def written(self) -> Changes:
        self.changes.replies = list(self._changed.values())
        return self.changes


async def revise(pool: Pool, openid: str, decide: Callable[[Stock], T], push_key: str | None = None) -> T | None:
    """What `decide` makes of the person as they are, with its changes written. None: nobody we know.

    Decided anew when somebody else wrote meanwhile, so `decide` may change the stock only.
    """
    while True:  # ends: of those who write at the same time, one succeeds in each round
        found = await store.look(pool, openid, push_key)
        if found is None:
            return None
        stock = take_stock(found)
        answer = decide(stock)
        if stock.is_left or await store.write(pool, found, stock.written()):
            return answer


def take_stock(found: Look) -> Stock:
    replies, cursors = _replies_of(found.new_events, found.open_replies, found.person.replies)
    last = replies[-1].position if replies else found.person.replies
    stock = Stock(found, Changes(replace(found.person, replies=last), cursors=cursors))
    stock.put(replies)
    return stock


def _replies_of(
    events: Sequence[NewEvent], open_replies: Sequence[Reply], position: int
) -> tuple[list[Reply], dict[str, int]]:
    """The new replies, and how far each session's timeline is then used."""
    replies: list[Reply] = []
    cursors: dict[str, int] = {}
    number = max((_last_number(reply) for reply in open_replies), default=0)
    for event in events:
        cursors[event.session_id] = event.seq
        said = _interaction(event)
        if said is None:
            continue
        origin = Origin(
            event.event_id, event.session_id, event.provider_id or BUILTIN, event.run_id or event.trace_id
        )
        rendered = render(said, origin, number + 1)
        if not FENCE.sub("", rendered.text).strip():
            continue
        position += 1
        number += len(rendered.choices)
        replies.append(
            Reply(
                event_id=event.event_id,
                position=position,
                session_id=event.session_id,
                trace_id=event.trace_id,
                run_id=event.run_id,
                text=rendered.text.strip(),
                pieces=0,
                in_flight=0,
                choices=menus.dump_choices(rendered.choices),
                state="waiting",
            )
        )
    return replies, cursors


def _last_number(reply: Reply) -> int:
    return max((choice.number for choice in menus.load_choices(reply.choices)), default=0)


def _interaction(event: NewEvent) -> InteractionEvent | None:
    if event.payload is None:
        return None
    try:
        return codec.decode(event.payload.encode(), InteractionPayload).event
    except InvalidRequest as error:  # one of a later version; the others can still be shown
        log.warning("unknown interaction", eventId=event.event_id, reason=error.detail)
        return None

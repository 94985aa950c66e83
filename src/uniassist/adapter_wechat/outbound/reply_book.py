"""The replies of one person as a snapshot finds them, and what is to be changed.

New events of the person's timelines become replies here, numbered after those that are open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeVar

import msgspec
import structlog

from uniassist.adapter_wechat import phrases
from uniassist.adapter_wechat.rendering import menus
from uniassist.adapter_wechat.rendering.interactions import Origin, Rendered, render
from uniassist.adapter_wechat.rendering.menus import Menu
from uniassist.adapter_wechat.rendering.packing import Piece, after
from uniassist.adapter_wechat.rendering.showable import showable
from uniassist.adapter_wechat.rendering.splitting import without_fences
from uniassist.contracts import codec
from uniassist.contracts.interaction import AssistantMessage, Card, DomainEvent, Form, ProviderExtension
from uniassist.contracts.language import Language, language
from uniassist.contracts.timeline import DomainEventPayload, InteractionPayload
from uniassist.errors import InvalidRequest
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import people as store
from uniassist.store.wechat.people import (
    MAX_EVENTS,
    Changes,
    NewEvent,
    NewReport,
    PersonSnapshot,
    Reply,
    Result,
    State,
)

log = structlog.get_logger()

T = TypeVar("T")


class ReplyBook:
    """A person's replies and the changes to write. Reads like the person will be once they are written.

    found: the snapshot, as it was.
    changes: what is written.
    is_all: whether the snapshot had everything that is new on the timelines.
    is_left: whether nothing is written.
    """

    def __init__(self, found: PersonSnapshot, changes: Changes) -> None:
        self.found = found
        self.changes = changes
        self.is_all = len(found.new_events) < MAX_EVENTS
        self.is_left = False
        self._replies = {reply.event_id: reply for reply in found.open_replies}
        self._changed: dict[str, Reply] = {}

    @property
    def language(self) -> Language:
        """What the person is spoken to in."""
        return language(self.found.locale)

    def leave(self) -> None:
        """Write nothing of this book."""
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
        """Tell the timelines what became of replies: one report for each session, trace and run among them."""
        groups: dict[tuple[str, str, str | None], list[str]] = {}
        for reply in replies:
            groups.setdefault((reply.session_id, reply.trace_id, reply.run_id), []).append(reply.event_id)
        self.changes.reports += [
            NewReport(session_id, trace_id, run_id, tuple(event_ids), outcome, detail)
            for (session_id, trace_id, run_id), event_ids in groups.items()
        ]

    def park(self, replies: Sequence[Reply], why: str) -> None:
        """Keep replies back until the person writes."""
        if replies:
            self.put(replace(reply, state="parked", in_flight=0) for reply in replies)
            self.report(replies, "parked", why)

    def give_up_strays(self) -> None:
        """End the messages that a sender who is gone left under way. They may have arrived."""
        strays = self.in_state("sending")
        self.put(after(Piece(reply, "", reply.in_flight), "unknown") for reply in strays)
        self.report(strays, "unknown", "the adapter stopped while it was sent")

    def show_menus(self, pieces: Iterable[Piece], now_ms: int) -> None:
        """From now on the person's numbers mean the menus that `pieces` show to their end."""
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


async def revise(
    pool: Pool, openid: str, decide: Callable[[ReplyBook], T], push_key: str | None = None
) -> T | None:
    """What `decide` answers, once the changes that it made to the person's book are written. None: nobody we know.

    When somebody else changed the person meanwhile, it decides anew on what they are then. So it may change nothing
    but the book.
    """
    while True:  # ends: of those who write at the same time, one succeeds in each round
        found = await store.read_snapshot(pool, openid, push_key)
        if found is None:
            return None
        book = book_of(found)
        answer = decide(book)
        if book.is_left or await store.write_changes(pool, found, book.written()):
            return answer


def book_of(found: PersonSnapshot) -> ReplyBook:
    menu = menus.load(found.person.menu)
    if menu is not None and not menu.is_open(int(time.time() * 1000)):
        menu = None
    replies, cursors = _replies_of(found.new_events, found.open_replies, found.person.replies, menu)
    last = replies[-1].position if replies else found.person.replies
    book = ReplyBook(found, Changes(replace(found.person, replies=last), cursors=cursors))
    book.put(replies)
    return book


def _replies_of(
    events: Sequence[NewEvent], open_replies: Sequence[Reply], position: int, menu: Menu | None
) -> tuple[list[Reply], dict[str, int]]:
    """The new replies, and by session the `seq` up to which its timeline is then used."""
    replies: list[Reply] = []
    cursors: dict[str, int] = {}
    number = max((_last_number(reply) for reply in open_replies), default=0)
    for event in events:
        cursors[event.session_id] = event.seq
    for event, said in _advice_last([(event, said) for event in events if (said := _interaction(event))]):
        origin = Origin(
            event.event_id, event.session_id, event.provider_id or menus.BUILTIN, event.run_id or event.trace_id
        )
        rendered = _rendered(said, origin, number, menu)
        text = showable(rendered.text)
        if not without_fences(text).strip():
            continue
        position += 1
        number = max(number, *(choice.number for choice in rendered.choices)) if rendered.choices else number
        replies.append(
            Reply(
                event_id=event.event_id,
                position=position,
                session_id=event.session_id,
                trace_id=event.trace_id,
                run_id=event.run_id,
                text=text,
                pieces=0,
                in_flight=0,
                choices=menus.dump_choices(rendered.choices),
                state="waiting",
            )
        )
    return replies, cursors


def _rendered(said: InteractionPayload, origin: Origin, number: int, menu: Menu | None) -> Rendered:
    """What is shown of an interaction. `number`: the last one of what waits to be shown, 0 for none.

    What nobody could answer is answered with what is still open, which no offers distract from; a form that takes
    over another says so.
    """
    event = said.event
    if said.source == "fallback" and isinstance(event, AssistantMessage) and (open_now := menus.still_open(menu)):
        if origin.provider_id == menus.BUILTIN:
            return Rendered(open_now)
        event = msgspec.structs.replace(event, choices=None)
    is_form = isinstance(event, Form | ProviderExtension)
    first = max(number + 1, menus.first_number(menu, origin.provider_id, is_form=is_form))
    rendered = render(event, origin, first, menu)
    gone = menus.overtaken(menu, rendered.choices)
    if gone is None:
        return rendered
    spoken = menus.language_of(rendered.choices)
    words = phrases.say("overtaken", spoken, title=menus.title_of(gone, spoken))
    return Rendered(f"{rendered.text}\n{words}", rendered.choices)


def _advice_last(
    said: Sequence[tuple[NewEvent, InteractionPayload]],
) -> list[tuple[NewEvent, InteractionPayload]]:
    """What the gateway offers unasked comes behind the answer to the same message, and is numbered behind it."""
    ordered: list[tuple[NewEvent, InteractionPayload]] = []
    for _, group in groupby(said, key=lambda each: (each[0].session_id, each[0].trace_id)):
        ordered += sorted(group, key=lambda each: each[1].source == "system" and isinstance(each[1].event, Card))
    return ordered


def _last_number(reply: Reply) -> int:
    return max((choice.number for choice in menus.load_choices(reply.choices)), default=0)


def _interaction(event: NewEvent) -> InteractionPayload | None:
    """What is said: an interaction, or a provider's own event (a reminder) as a message. Progress isn't shown."""
    if event.payload is None:
        return None
    try:
        if event.kind == "domain_event":
            return _as_message(codec.decode(event.payload.encode(), DomainEventPayload).event)
        return codec.decode(event.payload.encode(), InteractionPayload)
    except InvalidRequest as error:  # one of a later version; the others can still be shown
        log.warning("unknown interaction", eventId=event.event_id, reason=error.detail)
        return None


def _as_message(event: DomainEvent) -> InteractionPayload | None:
    if event.event_type == "progress":
        return None
    text = "\n".join(part for part in (event.title, event.body) if part)
    return InteractionPayload(event=AssistantMessage(text=text), source="provider")

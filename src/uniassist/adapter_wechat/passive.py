"""The passive reply: what a push is answered with, taken from the person's replies; always the same."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from uniassist.adapter_wechat.packing import BETWEEN, after, pack
from uniassist.adapter_wechat.plain_text import Origin, render
from uniassist.adapter_wechat.splitting import first_piece, size
from uniassist.adapter_wechat.stock import Stock, revise
from uniassist.contracts.interaction import InteractionEvent
from uniassist.store.pool import Pool
from uniassist.store.wechat import Due, Reply

DETAIL = "passive reply"
LEAST_ROOM_BYTES = 200  # for replies beside words of the channel's own; in less they would be cut to shreds


@dataclass(frozen=True)
class Asked:
    """What one push wants to be answered with.

    `trace_id`: what its message caused, and whatever was to be said before that; None: all there is. `instead`:
    words of the channel's own for what the trace says; `words`: after all that; `otherwise`: when there is nothing
    else. `ending`: when not all of it fits and only another push fetches the rest.
    """

    push_key: str
    openid: str
    trace_id: str | None = None
    instead: str | None = None
    words: str = ""
    otherwise: str | None = None
    ending: str = ""


def words_of(events: Iterable[InteractionEvent]) -> str:
    """Events that are shown without being among the replies."""
    origin = Origin("", "", "", "")
    parts = (render(event, origin).text.strip() for event in events)
    return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True)
class _Decided:
    text: str | None


class StillUnderWay(Exception):
    """A message to the person is on its way, and will end or come back soon: what is said now might overtake it."""


async def claim(pool: Pool, asked: Asked, limit_bytes: int, *, is_last: bool) -> str | None:
    """The reply's text, from then on taken as sent; None when there is nothing to say yet.

    StillUnderWay unless `is_last`; then the replies are left to who sends that message.
    """
    asked = replace(asked, words=_clipped(asked.words, limit_bytes))

    def decide(stock: Stock) -> _Decided:
        person, push = stock.found.person, stock.found.push
        if push is not None and push.reply is not None:
            stock.leave()
            return _Decided(push.reply or None)
        if not person.is_leased:
            stock.give_up_strays()
        is_under_way = bool(stock.in_state("sending"))
        if is_under_way and not is_last:
            raise StillUnderWay
        text = asked.words or asked.otherwise if is_under_way else _say(stock, asked, limit_bytes)
        if text is not None:
            has_more = is_under_way or bool(stock.in_state("waiting", "parked")) or not stock.is_all
            stock.changes.due = Due(0.0 if has_more else None)
            stock.changes.reply = text
        return _Decided(text)

    decided = await revise(pool, asked.openid, decide, asked.push_key)
    return decided.text if decided is not None else asked.words or asked.otherwise


def _say(stock: Stock, asked: Asked, limit_bytes: int) -> str | None:
    wanted, replaced = _wanted(stock, asked)
    if not wanted:
        return asked.words or asked.otherwise
    room = limit_bytes - (size(BETWEEN + asked.words) if asked.words else 0)
    if room < LEAST_ROOM_BYTES:
        return _with_ending(asked.words, asked.ending, limit_bytes)
    packed = pack(wanted, room, ending=asked.ending)
    stock.put(after(piece, "sent") for piece in packed.pieces)
    stock.show_menus(packed.pieces, int(time.time() * 1000))
    stock.report([*(piece.reply for piece in packed.pieces), *replaced], "sent", DETAIL)
    return BETWEEN.join(part for part in (packed.text, asked.words) if part)


def _clipped(words: str, limit_bytes: int) -> str:
    if size(words) <= limit_bytes:
        return words
    return f"{first_piece(words, limit_bytes - size('…'))[0]}…"


def _with_ending(words: str, ending: str, limit_bytes: int) -> str:
    if not ending:
        return words
    return f"{_clipped(words, limit_bytes - size(BETWEEN + ending))}{BETWEEN}{ending}"


def _wanted(stock: Stock, asked: Asked) -> tuple[list[Reply], Sequence[Reply]]:
    """What is to be said, and the replies for which another of them stands."""
    replies = stock.in_state("waiting", "parked")
    own = [reply for reply in replies if reply.trace_id == asked.trace_id]
    if not own:
        return replies, ()
    before = [reply for reply in replies if reply.position <= own[-1].position]
    if asked.instead is None:
        return before, ()
    return _replaced(stock, before, own, asked.instead)


def _replaced(
    stock: Stock, replies: Sequence[Reply], own: Sequence[Reply], text: str
) -> tuple[list[Reply], Sequence[Reply]]:
    """`own` as one reply that says `text`, and the others of `own`."""
    first, *others = own
    stock.put(replace(reply, text="", state="sent") for reply in others)
    shown = replace(first, text=text, choices=None)
    stock.put([shown])
    gone = {reply.event_id for reply in own}
    return [*(reply for reply in replies if reply.event_id not in gone), shown], others

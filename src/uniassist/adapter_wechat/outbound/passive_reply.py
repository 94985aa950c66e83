"""The passive reply: what a push is answered with. It is taken from the person's replies, once for each push."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from uniassist.adapter_wechat.outbound.reply_book import ReplyBook, revise
from uniassist.adapter_wechat.rendering.interactions import Origin, render
from uniassist.adapter_wechat.rendering.packing import BETWEEN, after, pack
from uniassist.adapter_wechat.rendering.showable import showable
from uniassist.adapter_wechat.rendering.splitting import first_piece, size
from uniassist.contracts.interaction import InteractionEvent
from uniassist.store.server.pool import Pool
from uniassist.store.wechat.people import Due, Reply

DETAIL = "passive reply"
LEAST_ROOM_BYTES = 200  # for replies beside words of the channel's own; in less they would be cut to shreds


@dataclass(frozen=True)
class Asked:
    """What one push wants to be answered with.

    trace_id: of its message. The answer has what that caused and what was to be said before; None: all there is.
    instead: words of the channel's own that stand for what the trace says.
    words: words of the channel's own that follow all that.
    otherwise: what is said when there is nothing else.
    ending: what the answer ends with when not all of it fits and only another push fetches the rest.
    """

    push_key: str
    openid: str
    trace_id: str | None = None
    instead: str | None = None
    words: str = ""
    otherwise: str | None = None
    ending: str = ""


def words_of(events: Iterable[InteractionEvent]) -> str:
    """Events as text, without their being among the replies."""
    origin = Origin("", "", "", "")
    parts = (showable(render(event, origin).text) for event in events)
    return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True)
class _Decided:
    text: str | None


class StillUnderWay(Exception):
    """A message to the person is under way. What is said now might overtake it, and it ends soon."""


async def claim(pool: Pool, asked: Asked, limit_bytes: int, *, is_last: bool) -> str | None:
    """The reply's text, which counts as sent from then on; None when there is nothing to say yet.

    While a message to the person is under way: StillUnderWay, or with `is_last` the channel's own words only, and
    the replies are left to the sender.
    """
    asked = replace(asked, words=_clipped(asked.words, limit_bytes))

    def decide(book: ReplyBook) -> _Decided:
        person, push = book.found.person, book.found.push
        if push is not None and push.reply is not None:
            book.leave()
            return _Decided(push.reply or None)
        if not person.is_leased:
            book.give_up_strays()
        is_under_way = bool(book.in_state("sending"))
        if is_under_way and not is_last:
            raise StillUnderWay
        text = asked.words or asked.otherwise if is_under_way else _say(book, asked, limit_bytes)
        if text is not None:
            has_more = is_under_way or bool(book.in_state("waiting", "parked")) or not book.is_all
            book.changes.due = Due(0.0 if has_more else None)
            book.changes.reply = text
        return _Decided(text)

    decided = await revise(pool, asked.openid, decide, asked.push_key)
    return decided.text if decided is not None else asked.words or asked.otherwise


def _say(book: ReplyBook, asked: Asked, limit_bytes: int) -> str | None:
    wanted, replaced = _wanted(book, asked)
    if not wanted:
        return asked.words or asked.otherwise
    room = limit_bytes - (size(BETWEEN + asked.words) if asked.words else 0)
    if room < LEAST_ROOM_BYTES:
        return _with_ending(asked.words, asked.ending, limit_bytes)
    packed = pack(wanted, room, ending=asked.ending)
    book.put(after(piece, "sent") for piece in packed.pieces)
    book.show_menus(packed.pieces, int(time.time() * 1000))
    book.report([*(piece.reply for piece in packed.pieces), *replaced], "sent", DETAIL)
    return BETWEEN.join(part for part in (packed.text, asked.words) if part)


def _clipped(words: str, limit_bytes: int) -> str:
    if size(words) <= limit_bytes:
        return words
    return f"{first_piece(words, limit_bytes - size('…'))[0]}…"


def _with_ending(words: str, ending: str, limit_bytes: int) -> str:
    if not ending:
        return words
    return f"{_clipped(words, limit_bytes - size(BETWEEN + ending))}{BETWEEN}{ending}"


def _wanted(book: ReplyBook, asked: Asked) -> tuple[list[Reply], Sequence[Reply]]:
    """What is to be said, and the replies that another of them stands for."""
    replies = book.in_state("waiting", "parked")
    own = [reply for reply in replies if reply.trace_id == asked.trace_id]
    if not own:
        return replies, ()
    before = [reply for reply in replies if reply.position <= own[-1].position]
    if asked.instead is None:
        return before, ()
    return _replaced(book, before, own, asked.instead)


def _replaced(
    book: ReplyBook, replies: Sequence[Reply], own: Sequence[Reply], text: str
) -> tuple[list[Reply], Sequence[Reply]]:
    """`replies` with one of `own` that says `text` for them all, and the others of `own`."""
    first, *others = own
    book.put(replace(reply, text="", state="sent") for reply in others)
    shown = replace(first, text=text, choices=None)
    book.put([shown])
    gone = {reply.event_id for reply in own}
    return [*(reply for reply in replies if reply.event_id not in gone), shown], others

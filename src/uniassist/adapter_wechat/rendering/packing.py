"""Packs replies into one message: whole ones while they fit, else a piece of the first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from uniassist.adapter_wechat.rendering.splitting import numbered_piece, size, without_fences
from uniassist.store.wechat.people import Reply, State

BETWEEN = "\n\n"


@dataclass(frozen=True)
class Piece:
    """What a message says of a reply.

    shown: its text, without fences.
    taken: how many characters of the reply's text it covers.
    """

    reply: Reply
    shown: str
    taken: int

    @property
    def ends_reply(self) -> bool:
        return self.taken >= len(self.reply.text)


@dataclass(frozen=True)
class Packed:
    """One message. is_all: nothing of the replies is left for another."""

    pieces: tuple[Piece, ...]
    text: str
    is_all: bool


def pack(replies: Sequence[Reply], limit_bytes: int, *, most: int | None = None, ending: str = "") -> Packed:
    """As much of `replies`, in their order, as one message takes.

    limit_bytes: of the message's text, in UTF-8.
    most: so many replies at most; None for any number.
    ending: what the message ends with when something is left over.
    """
    first = _pack(replies, limit_bytes, most)
    if first.is_all or not ending:
        return first
    shorter = _pack(replies, limit_bytes - size(BETWEEN + ending), most)
    return replace(shorter, text=f"{shorter.text}{BETWEEN}{ending}")


def _pack(replies: Sequence[Reply], limit_bytes: int, most: int | None) -> Packed:
    pieces: list[Piece] = []
    room = limit_bytes
    for reply in replies[:most]:
        shown, taken = numbered_piece(reply.text, reply.pieces, room if not pieces else limit_bytes)
        piece = Piece(reply, without_fences(shown).strip("\n"), taken)
        if pieces and (not piece.ends_reply or size(BETWEEN + piece.shown) > room):
            break
        pieces.append(piece)
        room -= size(BETWEEN + piece.shown)
        if not piece.ends_reply:
            break
    text = BETWEEN.join(piece.shown for piece in pieces)
    return Packed(tuple(pieces), text, len(pieces) == len(replies) and all(piece.ends_reply for piece in pieces))


def after(piece: Piece, ended: State) -> Reply:
    """The reply once the piece is said: in the state `ended` if that was all of it, else waiting with the rest."""
    reply = piece.reply
    state: State = ended if piece.ends_reply else "waiting"
    rest = reply.text[piece.taken :]
    return replace(reply, text=rest, pieces=reply.pieces + 1, in_flight=0, state=state)

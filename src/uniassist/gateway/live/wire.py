"""What gateways say to each other of messages that are being written."""

from __future__ import annotations

import msgspec

from uniassist.contracts import codec


class Piece(msgspec.Struct, array_like=True, frozen=True):
    session_id: str
    run_id: str
    message_id: str
    subject: str | None
    attempt: int
    offset: int
    text: str


class Over(msgspec.Struct, array_like=True, frozen=True):
    session_id: str
    run_id: str
    message_id: str
    attempt: int


class Batch(msgspec.Struct, omit_defaults=True, frozen=True):
    """`stopped`: runs, or calls, that are cancelled. `pushed`: runs whose agents say that they have moved.

    `by_session`: who says it takes text from the channels of sessions; a gateway of the release before doesn't.
    `asks`: such ones for all that they write, from its beginning.
    """

    pieces: list[Piece] = []
    over: list[Over] = []
    stopped: list[str] = []
    pushed: list[str] = []
    asks: bool = False
    by_session: bool = False


def is_text(said: bytes) -> bool:
    """Of what is said on a session's channel: it is a batch, not how far the session is."""
    return b"\n" in said


class Mark:
    """Stands before what a gateway says, so that it knows its own. `owner`: names this gateway."""

    def __init__(self, owner: str) -> None:
        self._bytes = owner.encode() + b"\n"

    def marked(self, batch: Batch) -> bytes:
        return self._bytes + codec.encode(batch)

    def is_on(self, said: bytes) -> bool:
        return said.startswith(self._bytes)

    def read(self, said: bytes) -> Batch | None:
        """None: it is ours, or nobody's that we know (an operator's)."""
        if self.is_on(said):
            return None
        try:
            return msgspec.json.decode(said.partition(b"\n")[2], type=Batch)
        except msgspec.MsgspecError:
            return None

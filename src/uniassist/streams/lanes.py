"""Lanes: each is in one slot of a Cluster. So a script touches one slot, and sessions are spread over many nodes.

A lane has an epoch, a global stream and the session streams of its shards: of N lanes, number k has each of the
outbox's 32 shards that leaves k when divided by N. Its session streams are `<prefix>{k}:<sessionId>`, its global
stream is `<global key>:{k}`: Redis hashes only what the first braces hold. Where REDIS_URL says nothing of lanes
there is one, without a number, and the keys are `<prefix><sessionId>` and `<global key>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from redis.crc import key_slot

from uniassist.settings import Reader
from uniassist.settings.services import StreamSettings

SHARDS = 32
FIRST_TAG = "{0}"
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Lane:
    """`number` None: the only one, on a Redis without lanes. `prefix`: of its session streams.

    mark: what its workers' names end with.
    """

    number: int | None
    prefix: str
    global_key: str
    shards: tuple[int, ...]
    mark: str

    @property
    def tag(self) -> str:
        return "" if self.number is None else f"{{{self.number}}}"

    @property
    def name(self) -> str:
        """In a sentence; empty for the only one."""
        return "" if self.number is None else f"lane {self.number}"

    @property
    def proof_key(self) -> str:
        return f"uniassist-proof:{self.tag}" if self.tag else "uniassist-proof"

    def session_key(self, session_id: str) -> str:
        return f"{self.prefix}{session_id}"

    def has(self, key: str) -> bool:
        """Whether a script of this lane may touch the key."""
        return not self.tag or slot_of(key) == slot_of(self.tag)


class Layout:
    """Of all lanes. `count` None: one, with the names as they are set."""

    def __init__(self, prefix: str, global_key: str, count: int | None = None) -> None:
        self.prefix = prefix
        self.global_key = global_key
        self.count = count
        self.lanes = (
            (Lane(None, prefix, global_key, tuple(range(SHARDS)), ""),)
            if count is None
            else tuple(_lane(prefix, global_key, number, count) for number in range(count))
        )

    @classmethod
    def of(cls, settings: StreamSettings) -> Layout:
        return cls(settings.prefix, settings.global_key, settings.lanes)

    @classmethod
    def read(cls, reader: Reader) -> Layout:
        """For a command. SettingsError names what can't be read."""
        prefix = reader.text("UNIASSIST_STREAM_PREFIX")
        return cls(prefix, reader.optional("UNIASSIST_STREAM_GLOBAL_KEY") or f"{prefix}all", reader.lanes())

    def lane_of(self, session_id: str) -> Lane:
        return self.lanes[shard_of(session_id) % len(self.lanes)] if len(self.lanes) > 1 else self.lanes[0]

    def session_key(self, session_id: str) -> str:
        return self.lane_of(session_id).session_key(session_id)

    def by_lane(self, moved: Mapping[str, int]) -> set[Lane]:
        """Those that these sessions are in."""
        return {self.lane_of(session_id) for session_id in moved}


def _lane(prefix: str, global_key: str, number: int, count: int) -> Lane:
    tag = f"{{{number}}}"
    shards = tuple(range(number, SHARDS, count))
    return Lane(number, f"{prefix}{tag}:", f"{global_key}:{tag}", shards, f"~{number}/{count}")


def slot_of(key: str) -> int:
    slot: int = key_slot(key.encode())
    return slot


def shard_of(session_id: str) -> int:
    """As Postgres has it: `hashtext(session_id) & 31`."""
    return _hash(session_id.encode()) % SHARDS


def _hash(text: bytes) -> int:
    """Bob Jenkins' lookup3 as Postgres seeds it, on a little-endian machine, without the sign."""
    a = b = c = (0x9E3779B9 + len(text) + 3923095) & _MASK
    at = 0
    while len(text) - at >= 12:
        a = a + int.from_bytes(text[at : at + 4], "little") & _MASK
        b = b + int.from_bytes(text[at + 4 : at + 8], "little") & _MASK
        c = c + int.from_bytes(text[at + 8 : at + 12], "little") & _MASK
        a, b, c = _mixed(a, b, c)
        at += 12
    rest = text[at:]
    a = a + int.from_bytes(rest[:4], "little") & _MASK
    b = b + int.from_bytes(rest[4:8], "little") & _MASK
    c = c + (int.from_bytes(rest[8:], "little") << 8) & _MASK  # its lowest byte is the length's, which the seed has
    for bits in (14, 11, 25, 16, 4, 14, 24):
        # Each is mixed with the one mixed before it, in turn: c with b, a with c, b with a, c with b, …
        a, b, c = b, (c ^ b) - _turned(b, bits) & _MASK, a
    return b


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        a, b, c = b, c + b & _MASK, (a - c & _MASK) ^ _turned(c, bits)
    return a, b, c


def _turned(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK

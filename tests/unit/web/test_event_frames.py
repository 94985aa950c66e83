"""Server-sent events read from bytes in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.web.calling.client import BadAnswer
from uniassist.web.calling.frames import MAX_FRAME_BYTES, SIGN_OF_LIFE, FrameReader

STREAM = (
    "data: 一\r\ndata:二\r\n\r\n: beat\n\nevent: x\nid: 7\ndata: three\n\n\ndata: four\r\rdata: 五\n\ndata: cut"
).encode()
FRAMES = ["一\n二".encode(), SIGN_OF_LIFE, b"three", b"four", "五".encode()]


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=20))
def test_whatever_pieces_they_come_in(cuts: list[int]) -> None:
    reader, found, at = FrameReader(), [], 0
    for cut in [*sorted(set(cuts)), len(STREAM)]:
        found += reader.feed(STREAM[at:cut])
        at = cut
    assert found == FRAMES


def test_byte_by_byte() -> None:
    reader, found = FrameReader(), []
    for byte in STREAM:
        found += reader.feed(bytes([byte]))
    assert found == FRAMES


@pytest.mark.parametrize("stream", [b"<html>\n", b"\x00\xff\n", b"{}\n", b"data\xff: x\n"])
def test_what_is_no_event_stream_is_refused(stream: bytes) -> None:
    with pytest.raises(BadAnswer, match="server-sent events"):
        FrameReader().feed(stream)


@pytest.mark.parametrize("piece", [b"x" * 1000, b"\ndata: " + b"x" * 1000])
def test_a_frame_has_a_bound_in_one_line_and_in_many(piece: bytes) -> None:
    reader = FrameReader()
    reader.feed(b"data: ")
    for _ in range(MAX_FRAME_BYTES // 1010):
        reader.feed(piece)
    with pytest.raises(BadAnswer, match="bytes"):
        reader.feed(piece * 10)

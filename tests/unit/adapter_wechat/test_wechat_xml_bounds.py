"""A push's XML costs little before anybody knows whose it is, whatever is in it."""

from __future__ import annotations

import time

import pytest

from uniassist.adapter_wechat.inbound.messages import MAX_BYTES, MAX_MARKS, read_fields
from uniassist.errors import InvalidRequest

PIECES = {"empty": b"<a/>", "nested": b"<a>", "texts": b"<a>x</a>", "comments": b"<!---->", "declared": b"<?a b?>"}


@pytest.mark.parametrize("piece", PIECES)
def test_many_marks_are_refused_before_they_are_read(piece: str) -> None:
    repeated = PIECES[piece]
    body = b"<xml>" + repeated * ((MAX_BYTES - 11) // len(repeated)) + b"</xml>"
    began = time.process_time()
    with pytest.raises(InvalidRequest, match="at most"):
        read_fields(body)
    assert time.process_time() - began < 0.1


def test_what_the_platform_sends_is_far_below() -> None:
    fields = b"".join(b"<F%d><![CDATA[x]]></F%d>" % (number, number) for number in range(MAX_MARKS // 3 - 2))
    assert len(read_fields(b"<xml>" + fields + b"</xml>")) == MAX_MARKS // 3 - 2

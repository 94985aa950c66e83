"""What a body may hold, and that looking at it costs by its length: no input of N bytes more than a·N."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.contracts import bounds, codec
from uniassist.errors import InvalidRequest

MEGABYTE = bounds.MAX_BODY_BYTES
# What is repeated to fill a body, and how it begins and ends.
SHAPES: dict[str, tuple[bytes, bytes, bytes]] = {
    "empty arrays": (b"[", b"[],", b"1]"),
    "empty objects": (b"[", b"{},", b"1]"),
    "spaced arrays": (b"[", b"[ ] ,\t", b"1]"),
    "digits": (b"[", b"1,", b"1]"),
    "names": (b"{", b'"a":1,', b'"b":1}'),
    "short texts": (b"[", b'"a",', b"1]"),
    "quotes in a text": (b'["', b'\\"', b'"]'),
    "backslashes in a text": (b'["', b"\\\\", b'"]'),
    "escapes": (b'["', b"\\u4f60", b'"]'),
    "pairs": (b'["', b"\\ud83d\\ude00", b'"]'),
    "lone halves": (b'["', b"\\ud83d", b'"]'),
    "escaped NULs' names": (b'["', b"\\\\u0000", b'"]'),
    "brackets in a text": (b'["', b"[{", b'"]'),
    "commas in a text": (b'["', b",", b'"]'),
    "exponents": (b"[", b"1e9,", b"1]"),
    "exponents in a row": (b"[", b"1e9", b"]"),
    "a long number": (b"[", b"1", b"]"),
    "a long fraction": (b"[0.", b"0", b"1]"),
    "long numbers": (b"[", b"9" * 400 + b",", b"1]"),
    "true": (b"[", b"true,", b"1]"),
    "closing": (b"[", b"]", b"]"),
    "opening": (b"[", b"[", b"]"),
    "quotation marks": (b"[", b'"', b"]"),
    "backslashes outside": (b"[", b"\\", b"]"),
    "pairs in a row": (b"", b"[]", b""),
    "deep pairs": (b"[", b"[" * 60 + b"]" * 60 + b",", b"1]"),
    "blanks": (b"[", b" ", b"1]"),
    "CJK": (b'["', "你".encode(), b'"]'),
}


def filled(shape: str, size: int = MEGABYTE) -> bytes:
    begin, repeated, end = SHAPES[shape]
    return begin + repeated * ((size - len(begin) - len(end)) // len(repeated)) + end


def cost(body: bytes) -> float:
    """Seconds of this process, the least of a few."""
    found = []
    for _ in range(3):
        began = time.process_time()
        with contextlib.suppress(InvalidRequest):
            codec.decode(body, Any)
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_megabyte_of_anything_costs_little_and_by_its_length(shape: str) -> None:
    whole, quarter = cost(filled(shape)), cost(filled(shape, MEGABYTE // 4))
    assert whole < 0.1, "a few milliseconds, on a machine that nobody else uses"
    assert whole < 12 * quarter + 0.01, "four times the bytes, about four times the cost"


@pytest.mark.parametrize("one", [b"1", b'"a"', b"[]", b"{}", b"[ ]", b"null", b"-1.5e3", b'"[,]"', b'"\\",\\""'])
def test_as_many_values_as_are_allowed_are_taken_and_one_more_is_not(one: bytes) -> None:
    most = bounds.MAX_VALUES - 1  # the array itself is one
    assert len(codec.decode(b"[" + b",".join([one] * most) + b"]", list)) == most
    with pytest.raises(InvalidRequest, match=f"at most {bounds.MAX_VALUES} values"):
        codec.decode(b"[" + b",".join([one] * (most + 1)) + b"]", list)


@pytest.mark.parametrize("number", ["1" * 401, "-" + "9" * 5000, "0." + "0" * 401, "1e" + "0" * 401, "1" * 200_000])
def test_a_number_has_a_bound(number: str) -> None:
    with pytest.raises(InvalidRequest, match="more than 400 digits"):
        codec.decode(f'{{"a":[{number}]}}'.encode(), dict)


def test_long_numbers_within_the_bound_and_digits_in_texts_are_fine() -> None:
    sent = {"a": int("7" * 400), "b": "1" * 100_000}
    assert codec.decode(codec.encode(sent), dict) == sent


def count(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(count(each) for each in value.values())
    if isinstance(value, list):
        return 1 + sum(count(each) for each in value)
    return 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text('ab\\"[]{},:\u4f60 \n', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('a"\\[,', max_size=3), inner, max_size=4),
    max_leaves=30,
)


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_values_are_counted_as_they_are(value: object, indent: int | None, ascii_only: bool) -> None:
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    bounds.check_text(raw, values=count(value))
    if count(value) > 1:
        with pytest.raises(InvalidRequest, match="values"):
            bounds.check_text(raw, values=count(value) - 1)


def depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(JSON)
def test_levels_are_counted_as_they_are(value: object) -> None:
    raw = json.dumps(value).encode()
    bounds.check_text(raw, nesting=depth(value))
    if depth(value):
        with pytest.raises(InvalidRequest, match="levels of nesting"):
            bounds.check_text(raw, nesting=depth(value) - 1)


@given(st.binary(max_size=200) | st.text('\\u0dDeE8"[]{},1 ', max_size=200).map(str.encode))
def test_whatever_comes_is_read_or_refused(raw: bytes) -> None:
    try:
        found = codec.decode(raw, Any)
    except InvalidRequest:
        return
    assert "\0" not in codec.encode(found).decode("utf-8"), "what was let through can be written"


@pytest.mark.parametrize(
    "bad",
    ["\\ud800", "\\udc00", "\\ud800\\ud800\\udc00", "\\ud800\\udc00\\udc00", "\\\\\\ud800", "\\uD83D\\\\uDE00"],
)
def test_half_a_pair_is_refused_wherever_it_stands(bad: str) -> None:
    for raw in (f'["{bad}"]', f'{{"{bad}":1}}', f'{{"a":[{{"b":"x{bad}y"}}]}}'):
        with pytest.raises(InvalidRequest, match="surrogates"):
            codec.decode(raw.encode(), dict if raw[0] == "{" else list)


@pytest.mark.parametrize("good", ["\\ud83d\\ude00", "\\\\ud800", "\\\\\\\\udc00", "\\ud83d\\ude00\\ud83d\\ude00"])
def test_whole_pairs_and_texts_about_halves_are_fine(good: str) -> None:
    assert codec.decode(f'["{good}"]'.encode(), list) == json.loads(f'["{good}"]')

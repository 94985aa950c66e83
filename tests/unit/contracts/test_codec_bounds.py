"""A body's cost is bounded before anything of it is believed: by its length, not by what is in it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.contracts import bounds, codec
from uniassist.errors import InvalidRequest

MEGABYTE = bounds.MAX_BODY_BYTES


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 65 + b'"' + b'\\"' * ((MEGABYTE - 66) // 2),
        b"[" * 65 + b'"\\' * ((MEGABYTE - 65) // 2),
        b"[" * 65 + b'\\"' * ((MEGABYTE - 65) // 2) + b"\\",
        b"[" * 65 + b'"' * (MEGABYTE - 65),
        b'"' + b"1e9" * ((MEGABYTE - 1) // 3),
        b"[" + b"1e9," * ((MEGABYTE - 1) // 4),
    ],
)
def test_no_megabyte_takes_long(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(InvalidRequest):
        codec.decode(body, dict)
    assert time.process_time() - began < 5.0, "the quadratic scan took an hour"


@given(
    st.recursive(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=40,
    )
)
def test_brackets_in_texts_are_no_levels(value: object) -> None:
    deep = codec.encode([value, "[" * 100 + '"\\'])
    assert codec.decode(deep, list) == [value, "[" * 100 + '"\\']


def test_numbers_that_would_be_written_out_are_bounded() -> None:
    few = codec.encode({"a": [1e300] * 200, "b": 10**300, "c": [0.5] * 1000})
    assert codec.decode(few, dict)["a"][0] == 1e300
    for many in (b"[" + b"1e308," * 300 + b"1]", b"[" + b"1e-308," * 300 + b"1]"):
        with pytest.raises(InvalidRequest, match="digits"):
            codec.decode(many, list)


def test_digits_and_letters_in_texts_are_no_numbers() -> None:
    ids = [f"{number}e99999{number}" for number in range(500)]
    assert codec.decode(codec.encode(ids), list) == ids

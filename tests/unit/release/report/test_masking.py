from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.release.report.masking import MASK, Masker

secrets = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="*"), min_size=10, max_size=40
)
# Neither holds a character of the secrets, which a match across the border would need.
around = st.text(" \n", max_size=5)


@pytest.mark.parametrize(
    "form",
    [str, lambda s: quote(s, safe=""), quote_plus, lambda s: json.dumps(s)[1:-1]],
    ids=["raw", "quoted", "plus", "json"],
)
@given(secret=secrets, before=around, after=around)
def test_no_form_of_a_secret_gets_through(form: Callable[[str], str], secret: str, before: str, after: str) -> None:
    masked = Masker([secret]).mask(f"{before}{form(secret)}{after}")
    assert form(secret) not in masked
    assert MASK in masked


@given(
    secret=st.binary(min_size=12, max_size=30).map(lambda raw: raw.hex()),
    before=st.binary(max_size=4),
    after=st.binary(max_size=4),
)
def test_a_secret_inside_something_encoded_in_base64_gets_masked(secret: str, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    masked = Masker([secret]).mask(f"Authorization: Basic {encoded}")
    assert MASK in masked
    # What is left of it decides less than two bytes at either end.
    assert len(masked) < len("Authorization: Basic ") + len(encoded) - len(secret)


@given(st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=20))
def test_a_url_loses_its_password_and_nothing_else(password: str) -> None:
    masked = Masker().mask(f"can't connect to postgresql://me:{password}@db:5432/uniassist?sslmode=require")
    assert masked == "can't connect to postgresql://me:***@db:5432/uniassist?sslmode=require"


def test_the_password_of_a_secret_url_is_masked_on_its_own_too() -> None:
    masked = Masker(urls=["postgresql://me:pa%20ss-word-1@db/uniassist"])
    assert masked.mask("user me, password 'pa ss-word-1', pa%20ss-word-1, db") == "user me, password '***', ***, db"


def test_passwords_in_the_parameters_of_a_url_are_masked() -> None:
    sentinels = "rediss+sentinel://:server-word@s1/main?sentinel_password=word-of%20theirs&ssl_password=word-of-key"
    masked = Masker(urls=[sentinels, "postgresql:///x?user=me&password=word-of-mine"])
    said = masked.mask(f"{sentinels}, word-of theirs, word-of-key, word-of-mine, server-word")
    assert said == "rediss+sentinel://:***@s1/main?sentinel_password=***&ssl_password=***, ***, ***, ***, ***"


def test_a_short_secret_is_masked_as_a_word_only() -> None:
    assert Masker(["tok"]).mask("tok, token, =tok;") == "***, token, =***;"


def test_a_password_that_is_a_word_of_the_product_leaves_its_words_alone() -> None:
    masked = Masker(urls=["postgresql://postgres:postgres@db/x"])
    assert masked.mask("postgres failing at postgresql://postgres:postgres@db/x").startswith("postgres failing")
    assert ":postgres@" not in masked.mask("postgresql://postgres:postgres@db/x")


def test_documents_are_masked_to_their_depth() -> None:
    found = Masker(["0123456789"]).mask_document({"a": ["x 0123456789", {"b": "0123456789"}], "n": 1, "z": None})
    assert found == {"a": ["x ***", {"b": "***"}], "n": 1, "z": None}

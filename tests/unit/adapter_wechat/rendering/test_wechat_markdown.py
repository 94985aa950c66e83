"""Markdown as plain text: each case as it reads, and of any text all that it says."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it.token import Token

from uniassist.adapter_wechat.rendering.markdown import MAX_CHARACTERS, plain_text
from uniassist.adapter_wechat.rendering.markdown_dialect import parser

CASES = tomllib.loads(Path(__file__).with_name("markdown_cases.toml").read_text("utf-8"))["case"]
HOSTILE = (
    *("[", "![", "[a](", "[]", "**a", "*a _", "*_", "`", "<", "<a ", "<!-- ", "<![CDATA[ ", "<? ", "&", "\\", "\n"),
    *(
        "> ",
        "- ",
        "1. ",
        "- a\n",
        "|a",
        "|a\n|-\n",
        "https://",
        "# ",
        "a\n",
        " \n",
        "```\n",
        "~~~\n",
        "(",
        "\t",
        "\x00",
    ),
)
MARKS = [
    "**",
    "*",
    "_",
    "`",
    "```\n",
    "~~~\n",
    "[",
    "](",
    ")",
    "![",
    "|",
    "|-|-|\n",
    "> ",
    "- ",
    "1. ",
    "2) ",
    "# ",
    "\\",
]
LAYOUT = ["\n", "\n\n", "    ", "  ", "\t", "\r\n", "---\n", "==\n", "~~", "://", "http", ":", "\x00", "\u3000"]
WORDS = ["中", "。", "“", "”", "a", "7", "é", "🎉", "<b>", "</b>", "<br>", "<x y>", "&amp;", "&", "<", ">"]
PARTS = st.sampled_from([*MARKS, *LAYOUT, *WORDS])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_each_case_reads_as_it_should(case: dict[str, str]) -> None:
    assert plain_text(case["markdown"]) == case["text"].removeprefix("\n")


def said(tokens: Sequence[Token]) -> Iterator[str]:
    """The parser's texts, but for tags."""
    for token in tokens:
        if token.type not in ("inline", "image", "html_inline"):
            yield token.content
        yield from said(token.children or ())


def letters(text: str) -> Counter[str]:
    return Counter(character for character in text if character.isalnum())


@given(st.lists(PARTS, max_size=60).map("".join) | st.text(max_size=200))
def test_every_letter_of_every_text_is_said(markdown: str) -> None:
    missing = letters("".join(said(parser().parse(markdown)))) - letters(plain_text(markdown))
    assert not missing


PLAIN = st.sampled_from(
    ["*", "**", "_", "`", "[", "]", "(", ")", "|", "> ", "- ", "# ", "\n", "\n\n", "中", "。", "a", "b", "!"]
)


@given(st.lists(PLAIN, max_size=60).map("".join).filter(lambda text: "```" not in text))
def test_without_tags_all_letters_stay_in_their_order(markdown: str) -> None:
    written = "".join(filter(str.isalnum, markdown))
    assert "".join(filter(str.isalnum, plain_text(markdown))) == written


@given(st.text(st.sampled_from("计划a1，。“”（） \n？"), max_size=200))
def test_a_text_without_marks_stays_as_it_is(text: str) -> None:
    assert plain_text(text).split() == text.split()


@pytest.mark.parametrize("part", HOSTILE, ids=repr)
@pytest.mark.timeout(30)
def test_a_hostile_text_is_read_at_any_length(part: str) -> None:
    for length in (MAX_CHARACTERS, 1_000_000):
        plain_text((part * length)[:length])


def test_a_text_that_is_longer_than_the_bound_is_as_it_was() -> None:
    text = "**好**" * MAX_CHARACTERS
    assert plain_text(text) == text


def test_a_table_that_the_parser_would_blow_up_is_as_it_was() -> None:
    wide = "|" * 500 + "\n" + "|-" * 499 + "|\n" + "|x\n" * 2700
    assert plain_text(wide) == wide


DEEP_LIST = "".join(f"{'  ' * depth}- 第{depth}层\n" for depth in range(40))


@pytest.mark.parametrize("deep", ["> " * 40 + "底", DEEP_LIST], ids=["quotes", "lists"])
def test_what_lies_too_deep_is_said_all_the_same(deep: str) -> None:
    assert plain_text(deep) == deep

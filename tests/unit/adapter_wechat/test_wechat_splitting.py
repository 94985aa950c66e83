"""Long texts in pieces: nothing lost, nothing cut where a reader would stumble."""

from __future__ import annotations

import re
import time

from hypothesis import example, given
from hypothesis import strategies as st

from uniassist.adapter_wechat.splitting import first_piece, numbered_piece, pieces, size

ANY = st.text(st.sampled_from("计划a。.！ \n🎉é\u0301\u200d") | st.characters(codec="utf-8"), max_size=600)
WORDS = st.sampled_from(
    ["计划。", "今天很好，", "see it. ", "\n", "\n\n", "https://a.example/path?q=1&r=2.3,4 ", "好"]
)


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(text=ANY, limit=st.integers(8, 300))
def test_every_piece_fits_and_together_they_are_the_text(text: str, limit: int) -> None:
    found = list(pieces(text, limit))
    assert all(0 < size(piece) <= limit for piece in found)
    assert squeezed("".join(found)) == squeezed(text)


@example(words=["https://a.example/path?q=1&r=2.3,4 "] * 7, limit=216)
@given(words=st.lists(WORDS, max_size=120), limit=st.integers(60, 300))
def test_no_url_is_ever_cut(words: list[str], limit: int) -> None:
    text = "".join(words)
    whole = re.findall(r"https://[\x21-\x7e]+", text)
    assert [url for piece in pieces(text, limit) for url in re.findall(r"https://[\x21-\x7e]+", piece)] == whole


@example(before=8, lines=5, limit=131)
@given(before=st.integers(0, 40), lines=st.integers(1, 5), limit=st.integers(100, 160))
def test_a_code_block_that_fits_a_message_stays_in_one(before: int, lines: int, limit: int) -> None:
    block = "```python\n" + "x = 1. y\n" * lines + "```"
    text = "说明。" * before + f"\n{block}\n" + "然后。" * 30
    assert any(block in piece for piece in pieces(text, limit))


def test_a_cut_is_made_at_the_best_end_in_reach() -> None:
    assert first_piece("一段话。\n\n二段话。三", 28) == ("一段话。", 6)
    assert first_piece("第一句话说完了。第二句话还没有说完", 30) == ("第一句话说完了。", 8)
    assert first_piece("one line\nanother line that goes on", 20) == ("one line", 9)
    assert first_piece("version 1.2.3 is out and more", 14)[0] == "version 1.2.3"
    assert first_piece("他说：“走吧！”然后走了很远的路", 27)[0] == "他说：“走吧！”"
    assert first_piece("看这里 https://a.example/a-long-path 然后", 30)[0] == "看这里"


def test_what_alone_is_too_long_is_cut_all_the_same() -> None:
    url = "https://a.example/" + "x" * 300
    assert squeezed("".join(pieces(url, 100))) == url
    block = "```\n" + "line of code\n" * 40 + "```"
    found = list(pieces(block, 100))
    assert all(piece.endswith("line of code") for piece in found[:-1])


def test_a_mark_stays_with_its_letter() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    found = list(pieces(family * 6, 50))
    assert "".join(found) == family * 6
    assert all(not piece.startswith("\u200d") for piece in found)


def test_pieces_are_numbered_only_when_there_are_several() -> None:
    assert numbered_piece("短。", 0, 100) == ("短。", 2)
    text = "说一句话。" * 18
    first, taken = numbered_piece(text, 0, 124)
    assert first.startswith("（1/3）\n说一句话。")
    second, taken_then = numbered_piece(text[taken:], 1, 124)
    assert second.startswith("（2/3）\n")
    last, _ = numbered_piece(text[taken + taken_then :], 2, 124)
    assert last.startswith("（3/3）\n")
    assert size(first) <= 124


def test_a_megabyte_is_split_in_no_time() -> None:
    began = time.monotonic()
    for text in ("https://" * 120_000, "```\n" * 250_000, "计" * 330_000, "a." * 500_000, " \n" * 400_000):
        list(pieces(text, 2000))
    assert time.monotonic() - began < 10

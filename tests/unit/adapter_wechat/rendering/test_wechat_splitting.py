"""Long texts in pieces: nothing lost, nothing cut where a reader would stumble."""

from __future__ import annotations

import re
from itertools import accumulate

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from uniassist.adapter_wechat.rendering.splitting import first_piece, numbered_piece, pieces, size, without_fences

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


ANCHOR = '<a href="https://a.example/甲" data-miniprogram-appid="wx1" data-miniprogram-path="p/i?x=1">去 看看。</a>'
WHOLE = {
    "anchor": ANCHOR,
    "Chinese path": "https://a.example/路径/第一章?问=答#节",
    "flag": "🇨🇳",
    "skin tone": "👩🏿‍🚀",
    "family": "👨‍👩‍👧",
    "keycap": "4️⃣",
    "Thai": "น้ำ",
    "Hindi": "क्षि",
    "letter and mark": "e\u0301",
    "anchor of a page": "<a href='http://b.example/x?a=1&b=2'>三页\n文档</a>",
    "anchor without an address": '<a data-miniprogram-appid="wx2" data-miniprogram-path="首页/列表">打开小程序</a>',
    "Chinese host": "https://例子.例/下载/附件_二.pdf",
    "Chinese question": "http://b.example/搜?词=成都+火锅&页=2",
    "encoded path": "https://c.example/%E8%B7%AF%E5%BE%84/末尾",
    "flag of a part": "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "rainbow flag": "🏳️‍🌈",
    "two skin tones": "👩🏽‍🤝‍👨🏻",
    "waving, toned": "👋🏾",
    "hash keycap": "#️⃣",
    "Thai with two marks": "ที่",
    "Tamil": "நி",
    "Hindi cluster": "र्त्स्न्य",
    "Korean in parts": "\u1112\u1161\u11ab",
}


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
@given(before=st.text(st.sampled_from("计划a"), max_size=80), times=st.integers(1, 60), limit=st.integers(190, 230))
def test_what_a_reader_sees_as_one_stays_in_one_piece(whole: str, before: str, times: int, limit: int) -> None:
    apart = " " if whole.startswith(("<", "http")) else ""
    found = list(pieces(before + apart + f"{whole}{apart}" * times, limit))
    assert sum(piece.count(whole) for piece in found) == times
    assert all(0 < size(piece) <= limit for piece in found)


JOINING = st.sampled_from("🇨🇳👍🏽4\ufe0f\u20e3ก\u0e33क\u094dष\u093f\u0301\u200d")


@given(text=st.text(JOINING, max_size=300), limit=st.integers(60, 99))
def test_no_cut_falls_within_a_character_that_fits(text: str, limit: int) -> None:
    cuts = set(accumulate(len(piece) for piece in pieces(text, limit)))
    seen_as_one = [match.span() for match in regex.finditer(r"\X", text) if size(match[0]) <= limit]
    assert not [span for span in seen_as_one if cuts.intersection(range(span[0] + 1, span[1]))]


def test_a_character_with_more_marks_than_fit_is_cut_all_the_same() -> None:
    text = "e" + "\u0301" * 200
    assert "".join(pieces(text, 60)) == text


def test_fences_go_when_a_text_is_shown_and_what_they_fence_stays() -> None:
    assert without_fences("看：\n```python\nx = 1\n```\n好") == "看：\nx = 1\n好"
    assert without_fences("````\n```\na\n```\n````\n") == "```\na\n```\n"
    assert without_fences("前\n```\n块的前一半") == "前\n块的前一半"
    assert without_fences("块的后一半\n```\n后") == "块的后一半\n后"
    assert without_fences("说 ```行内``` 代码") == "说 ```行内``` 代码"


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


ENDLESS = ["https://", "```\n", "````", "计", "a.", " \n", "<a ", "<a >", "🇨", "\u0301", "a\u200d"]


@pytest.mark.parametrize("part", ENDLESS, ids=ascii)
@pytest.mark.timeout(300)  # a second each where nothing else runs
def test_a_megabyte_is_split_in_seconds(part: str) -> None:
    text = (part * 1_000_000)[:1_000_000]
    assert squeezed("".join(pieces(text, 2000))) == squeezed(text)

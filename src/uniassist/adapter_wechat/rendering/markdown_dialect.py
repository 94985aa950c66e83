"""The Markdown that is read here: CommonMark with tables, but for what would eat text that people wrote. Pure.

- Reference definitions, setext headings and strikethrough are left as they are written: `[注意]: 明天停课` is a
  sentence, a line of dashes below a line of text is a line, and `~~99~~` without its marks would say the opposite.
- A `*` between two letters or digits begins no emphasis: `长*宽*高`. Between ASCII ones it ends none either, and so
  it is with `**`: `2*3*4`, `2**3**4`.
- `**` next to a wide character begins or ends emphasis, whatever punctuation stands there: `**“重点”**是`.
  CommonMark asks for a space, which Chinese hasn't.
- The marks within a bare URL belong to the URL.
"""

from __future__ import annotations

import re
import unicodedata

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline, emphasis

MAX_NESTING = 20  # of quotes, lists and links; the parser drops text below that depth
_URL_REST = re.compile(r"://(?:(?!\*\*|__|&amp;)[^\s<>\[\]`\"|，。；：！？、（）《》【】「」“”‘’])+")
_URL_BEGINS = ("http", "https")


class _Dialect(MarkdownIt):
    """Addresses are shown and not followed, so they stay as they were written."""

    def normalizeLink(self, url: str) -> str:
        return url

    def normalizeLinkText(self, link: str) -> str:
        return link


def parser() -> MarkdownIt:
    """A parser of this dialect; it keeps nothing between two texts."""
    made = _Dialect("commonmark", {"maxNesting": MAX_NESTING, "html": True})
    made.enable("table")
    made.disable(["reference", "lheading", "html_block"])
    made.inline.ruler.at("emphasis", _emphasis)
    made.inline.ruler.before("newline", "bare_url", _bare_url)
    return made


def _emphasis(state: StateInline, silent: bool) -> bool:
    start, source = state.pos, state.src
    marker = source[start]
    if silent or marker not in "*_":
        return False
    end = start
    while end < state.posMax and source[end] == marker:
        end += 1
    before = source[start - 1] if start > 0 else " "
    after = source[end] if end < state.posMax else " "
    is_in_a_word = marker == "*" and before.isalnum() and after.isalnum()
    if is_in_a_word and (before + after).isascii():
        state.append_pending(source[start:end])
        state.pos = end
        return True
    known = len(state.delimiters)
    emphasis.tokenize(state, silent)
    if marker == "*" and (_is_wide(before) or _is_wide(after)):
        for delimiter in state.delimiters[known:]:
            delimiter.open = not after.isspace() and not (is_in_a_word and end - start == 1)
            delimiter.close = not before.isspace()
    return True


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _bare_url(state: StateInline, silent: bool) -> bool:
    """From the `:` on, where plain text ends; the scheme is taken already."""
    if not state.src.startswith("://", state.pos):
        return False
    if not state.src[max(0, state.pos - 5) : state.pos].lower().endswith(_URL_BEGINS):
        return False
    found = _URL_REST.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    url = found[0].rstrip("*_~")
    if not silent:
        state.append_pending(url)
    state.pos += len(url)
    return True

"""Markdown as text that reads well without being rendered. Pure.

Blocks keep their order and the blank lines that stood between them. Bullets become dots, ordered items keep their
numbers, quotes their `>`, and the cells of a table's row stand in a line. Code stays as it is, within fences: until
a text is shown they say what may not be cut apart (`splitting`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from uniassist.adapter_wechat.rendering.inline_words import words
from uniassist.adapter_wechat.rendering.markdown_dialect import MAX_NESTING, parser

# What the most hostile text within these bounds takes is about half a second.
MAX_CHARACTERS = 10_000
MAX_CELLS = 5_000  # the parser fills a table up to the width of its widest row
RULE = "———"
_BETWEEN_CELLS = " | "
_BETWEEN_RAW_CELLS = re.compile(r"(?<!\\)\|")
_LINE_END = re.compile(r"\r\n?|\n")
_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9+#._-]*")  # what else stands behind a fence is words
_FENCE_MARKS = re.compile(r"^[ \t]*(`{3,})", re.MULTILINE)


def plain_text(text: str) -> str:
    """What `text` says, without its marks.

    A text of more than `MAX_CHARACTERS`, with a table of more than `MAX_CELLS`, or nested deeper than `MAX_NESTING`
    is returned as it is.
    """
    if len(text) > MAX_CHARACTERS:
        return text
    source = _LINE_END.sub("\n", text)
    lines = source.split("\n")
    if len(lines) * max(line.count("|") for line in lines) > MAX_CELLS:
        return text
    tokens = _parser().parse(source)
    if any(token.nesting == 1 and token.level + 1 >= MAX_NESTING for token in tokens):
        return text  # the parser left out what lies deeper
    return _Layout(lines).laid_out(tokens)


@cache
def _parser() -> MarkdownIt:
    return parser()


@dataclass
class _Container:
    """A quote or an item that begins in the source's line `at`.

    `mark` stands before its first line, `indent` before the others; `written` is its mark as the source has it.
    """

    mark: str
    indent: str
    written: str
    at: int
    has_begun: bool = False


@dataclass
class _Numbering:
    """Of one list: what its last item was written and shown with."""

    written: str = ""
    shown: str = ""

    def next(self, written: str) -> str:
        """As it is written, but 1, 1, 1 counts."""
        self.shown = str(int(self.shown) + 1) if written == self.written else written
        self.written = written
        return self.shown


class _Layout:
    """Block tokens into lines. `source`: the lines that the tokens' `map` counts."""

    def __init__(self, source: Sequence[str]) -> None:
        self._source = source
        self._lines: list[str] = []
        self._containers: list[_Container] = []
        self._numberings: list[_Numbering] = []
        self._cells: list[str] | None = None  # of the table's row that is being read, which is in line `_row_at`
        self._row_at = 0

    def laid_out(self, tokens: Sequence[Token]) -> str:
        heading = ""
        for token in tokens:
            match token.type:
                case "bullet_list_open" | "ordered_list_open":
                    self._numberings.append(_Numbering())
                case "bullet_list_close" | "ordered_list_close":
                    self._numberings.pop()
                case "blockquote_open" | "list_item_open":
                    self._containers.append(self._container(token))
                case "blockquote_close" | "list_item_close":
                    self._close()
                case "heading_open" | "heading_close":
                    heading = token.markup if token.nesting == 1 else ""
                case "tr_open":
                    self._cells, self._row_at = [], _first_line(token)
                case "tr_close":
                    self._add_row()
                case "inline" if self._cells is not None:
                    self._cells.append(words(token.children or ()))
                case "inline":
                    self._add(words(token.children or ()) or heading, _first_line(token))
                case "hr":
                    self._add(RULE, _first_line(token))
                case "fence" | "code_block":
                    self._add_code(token)
        return "\n".join(self._lines)

    def _container(self, token: Token) -> _Container:
        at = _first_line(token)
        if token.type == "blockquote_open":
            return _Container("> ", "> ", ">", at)
        if not token.info:
            return _Container("· ", "  ", token.markup, at)
        number = f"{self._numberings[-1].next(token.info)}{token.markup}"
        return _Container(f"{number} ", "   ", number, at)

    def _close(self) -> None:
        """A container in which nothing stood is its mark alone, as it was written."""
        closed = self._containers[-1]
        if not closed.has_begun:
            closed.mark = closed.written
            self._add("", closed.at)
        self._containers.pop()

    def _add_row(self) -> None:
        cells, self._cells = self._cells or [], None
        # The parser leaves out what has no column.
        written = _BETWEEN_RAW_CELLS.split(self._source[self._row_at].strip(" \t>").strip("|"))
        if len(written) > len(cells):
            cells = [cell.strip() for cell in written]
        self._add(_BETWEEN_CELLS.join(cells), self._row_at)

    def _add_code(self, token: Token) -> None:
        at = _first_line(token)
        code = token.content.strip("\n")
        info = token.info.strip()
        if info and not (_LANGUAGE.fullmatch(info) and code.strip()):
            self._add(info, at)
        if not code.strip():
            return
        if any(each.mark == "> " or not each.has_begun for each in self._containers):
            self._add(code, at)  # behind a mark, a fence would be a text like any other
            return
        marks = max([2, *(len(found[1]) for found in _FENCE_MARKS.finditer(code))]) + 1
        self._add(f"{'`' * marks}\n{code}\n{'`' * marks}", at)

    def _add(self, text: str, at: int) -> None:
        """A block that begins in the source's line `at`."""
        if self._lines and not self._source[at - 1].strip(" \t>"):
            self._lines.append("".join(each.indent for each in self._containers if each.has_begun).rstrip())
        for line in text.split("\n"):
            prefix = ""
            for container in self._containers:
                prefix += container.indent if container.has_begun else container.mark
                container.has_begun = True
            self._lines.append((prefix + line).rstrip())


def _first_line(token: Token) -> int:
    assert token.map is not None, "blocks know their lines"
    return token.map[0]

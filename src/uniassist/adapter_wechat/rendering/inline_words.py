"""The words of a Markdown paragraph, as the parser's inline tokens have them. Pure.

WeChat shows text, line breaks and anchors, so those are what is left. Emphasis goes without a trace, a link becomes
its label and its address, and a tag of HTML what it does to the layout. What only looks like a tag stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it.token import Token

_VALUE = r"(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+))"
_ATTRIBUTE = re.compile(rf"\s+([a-z_:][\w:.-]*)\s*=\s*{_VALUE}", re.I)
# With attributes that have values, if with any: `<b and c>` is a comparison.
_TAG = re.compile(rf"<(/?)([a-z][a-z0-9-]*)((?:{_ATTRIBUTE.pattern})*)\s*/?>", re.I)

# What elements do to the layout: they stand in lines of their own, or beside each other, or within a line.
_LINES = {"address", "article", "blockquote", "center", "dd", "details", "div", "dl", "dt", "hr", "li", "ol", "p"}
_LINES |= {"h1", "h2", "h3", "h4", "h5", "h6", "pre", "section", "summary", "table", "tbody", "thead", "tr", "ul"}
_CELLS = {"td", "th"}
_MARKS = {"abbr", "b", "big", "cite", "code", "em", "font", "i", "ins", "kbd", "mark", "q", "samp", "small", "span"}
_MARKS |= {"strong", "sub", "sup", "tt", "u", "var"}
_STRUCK = {"del", "s", "strike"}


def words(tokens: Sequence[Token]) -> str:
    """The text of a paragraph's tokens, its lines as they were."""
    parts = _Words()
    opened: list[tuple[int, str]] = []  # of each link that is open: where its label begins, its address
    for token in tokens:
        match token.type:
            case "softbreak":
                parts.end_line()
            case "hardbreak":
                parts.add("\n")
            case "link_open":
                opened.append((len(parts.text), str(token.attrs.get("href", ""))))
            case "link_close":
                begin, address = opened.pop()
                parts.text = parts.text[:begin] + labelled(parts.text[begin:], address)
            case "image":
                parts.add(labelled(words(token.children or ()), str(token.attrs.get("src", ""))))
            case "html_inline":
                _add_tag(parts, token.content)
            case _:
                parts.add(token.content)
    return parts.text.strip(" \t\n")


def labelled(label: str, address: str) -> str:
    """A link's label and its address, or one of them where the other says nothing more."""
    label = label.strip()
    if not label or label == address or f"mailto:{label}" == address:
        return label or address
    return f"{label}（{address}）" if address else label


class _Words:
    def __init__(self) -> None:
        self.text = ""

    def add(self, more: str) -> None:
        self.text += more

    def end_line(self) -> None:
        """Unless the line has ended already."""
        if self.text and not self.text.endswith("\n"):
            self.text += "\n"

    def end_cell(self) -> None:
        if self.text and not self.text[-1].isspace():
            self.text += " "


def _add_tag(parts: _Words, written: str) -> None:
    found = _TAG.fullmatch(written)
    name = found[2].lower() if found is not None else ""
    if written.startswith("<!--") or name in _MARKS:
        return
    if name == "br":
        parts.add("\n")
    elif name in _LINES:
        parts.end_line()
        if name == "li" and not written.startswith("</"):
            parts.add("· ")
    elif name in _CELLS:
        parts.end_cell()
    elif name in _STRUCK:
        parts.add("~~")
    elif name == "img" and found is not None:
        attributes = _attributes(found[3])
        parts.add(labelled(attributes.get("alt", ""), attributes.get("src", "")))
    else:  # an anchor, which WeChat shows as one, or no tag at all
        parts.add(written)


def _attributes(written: str) -> dict[str, str]:
    return {each[1].lower(): each[2] or each[3] or each[4] or "" for each in _ATTRIBUTE.finditer(written)}

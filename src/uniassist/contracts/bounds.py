"""What a JSON text may hold, told before anything of it is built. Pure.

Each look at the text is one pass of C code, and none is repeated by what the text holds: a megabyte of anything
costs some milliseconds. What is counted one by one (exponents, strings) is counted in bulk first, and
refused there when it is too much.
"""

from __future__ import annotations

import re

from uniassist.errors import InvalidRequest, PayloadTooLarge

MAX_BODY_BYTES = 1024 * 1024
MAX_NESTING = 64
# Every number, text, true, false, null, object and array of a body counts, the outermost too; names don't.
MAX_VALUES = 20_000
# Of what our own services answer, a timeline's page say, which holds many bodies.
MAX_ANSWER_VALUES = 1_000_000
# Of one number. Reading and writing one costs by the square of its digits, and no reader elsewhere keeps so many.
MAX_DIGITS = 400
# Postgres writes numbers out, 1e308 with 309 digits: so many may the exponents of a body stand for.
MAX_WRITTEN_DIGITS = 64 * 1024

_BLANKS = b" \t\r\n"
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_EXPONENT = re.compile(rb"[eE][+-]?([0-9]+)")
# Possessive: each character is looked at once.
_WHOLE_PAIRS = re.compile("(?:[^\ud800-\udfff]++|(?:[\ud800-\udbff][\udc00-\udfff])++)*+")
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")


def check_text(
    raw: bytes, *, nesting: int = MAX_NESTING, limit_bytes: int = MAX_BODY_BYTES, values: int = MAX_VALUES
) -> None:
    """Refuse what a JSON parser lets through and Postgres, a reader in another language or our own loop can't bear.

    InvalidRequest, PayloadTooLarge. A text that passes may still be no JSON.
    """
    if len(raw) > limit_bytes:
        raise PayloadTooLarge(f"body: at most {limit_bytes} bytes, got {len(raw)}")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"body: expected UTF-8, byte {error.start} is not") from None
    if b"\0" in raw:
        raise InvalidRequest("body: U+0000 is not allowed")
    # From here on a backslash begins an escape, since none is left that is escaped itself.
    single = raw.replace(b"\\\\", b"") if b"\\" in raw else raw
    if b"\\u" in single:
        _check_escapes(single)
    structure = _without_strings(single, values)
    opened = structure.count(b"[") + structure.count(b"{")
    # What is far too much is told by the cheapest counts, and its beginning alone is looked at closely.
    too_many = opened > values or structure.count(b",") >= values
    if opened > nesting:
        _check_nesting(structure[: 4 * values] if too_many else structure, nesting, 2 * values)
    if too_many:
        raise _too_many(values)
    _check_values(structure, opened, values)
    _check_numbers(structure, values)


def _check_escapes(single: bytes) -> None:
    if b"\\u0000" in single:
        raise InvalidRequest("body: U+0000 is not allowed")
    if b"\\ud" not in single and b"\\uD" not in single:
        return
    try:
        # Python's own escapes are read as JSON's are: one by one, halves of pairs too.
        text = single.decode("raw_unicode_escape")
    except UnicodeDecodeError:
        raise InvalidRequest("body: expected well-formed JSON") from None
    if _WHOLE_PAIRS.fullmatch(text) is None:
        raise InvalidRequest("body: lone surrogates are not allowed")


def _without_strings(single: bytes, values: int) -> bytes:
    """The text with each string as one quotation mark, and without blanks."""
    plain = single.replace(b'\\"', b"") if b"\\" in single else single
    if plain.count(b'"') > 4 * values:  # a name and a text for each value
        raise _too_many(values)
    return b'"'.join(plain.split(b'"')[::2]).translate(None, _BLANKS)


def _check_values(structure: bytes, opened: int, values: int) -> None:
    empty = structure.count(b"[]") + structure.count(b"{}")
    # A container has one value more than commas, and an empty one none.
    if 1 + structure.count(b",") + opened - empty > values:
        raise _too_many(values)


def _check_nesting(structure: bytes, nesting: int, most: int) -> None:
    """`most`: so many brackets are looked at; where there are more, there are too many values, or it is no JSON.

    Each round takes the innermost pairs away, a level of them. What isn't JSON may leave anything: a parser
    refuses it.
    """
    brackets = structure.translate(_AS_SQUARE, _NO_BRACKETS)[:most]
    for _ in range(nesting):
        outer = brackets.replace(b"[]", b"")
        if len(outer) == len(brackets):
            break
        brackets = outer
    if b"[]" in brackets or brackets.count(b"[") > nesting:
        raise InvalidRequest(f"body: at most {nesting} levels of nesting")


def _check_numbers(structure: bytes, values: int) -> None:
    if b"0" * (MAX_DIGITS + 1) in structure.translate(_AS_ZEROS):
        raise InvalidRequest(f"body: numbers of more than {MAX_DIGITS} digits")
    # Every true and false has an e as well, but no value has two.
    if structure.count(b"e") + structure.count(b"E") > values:
        raise _too_many(values)
    digits = sum(min(int(exponent[:9]), MAX_WRITTEN_DIGITS) for exponent in _EXPONENT.findall(structure))
    if digits > MAX_WRITTEN_DIGITS:
        raise InvalidRequest(f"body: numbers of more than {MAX_WRITTEN_DIGITS} digits in all, written out")


def _too_many(values: int) -> InvalidRequest:
    return InvalidRequest(f"body: at most {values} values in all")

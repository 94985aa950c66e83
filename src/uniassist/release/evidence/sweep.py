"""The last look for secrets in evidence: also where one was wrapped, indented or cut into lines.

The tool's own texts are masked when they are kept. This finds what others wrote: a service's log, a pasted note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from uniassist.release.report.masking import MASK, Masker, forms_of, secrets_of
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX, VARIABLES

# What wrapping, quoting and indenting put between the parts of a text: all but letters and digits.
_BETWEEN = re.compile(r"(?:\\[nrt]|\\u000[aAdD]|%0[aAdD]|[\W_])+")
_SHORTEST = 8  # shorter ones are masked as words only: squeezed together, any text may hold them


@dataclass(frozen=True)
class _Secret:
    variable: str
    masker: Masker
    squeezed: tuple[str, ...]


class Sweep:
    """`env_sets`: all whose secrets the evidence could hold: this shell's, and those of the kept releases."""

    def __init__(self, env_sets: Iterable[Mapping[str, str]]) -> None:
        known = {
            (name, value)
            for env in env_sets
            for name, given in env.items()
            if _is_secret(name) and (value := given.strip())
        }
        self._secrets = [_secret(name, value) for name, value in sorted(known)]

    @property
    def variables(self) -> list[str]:
        """Of which it knows values."""
        return sorted({secret.variable for secret in self._secrets})

    def redact(self, text: str) -> tuple[str, list[str]]:
        """The text without them, and the variables of which something was found."""
        found: set[str] = set()
        text = Masker().mask(text)  # passwords of any URL
        squeezed = _BETWEEN.sub("", text)
        for secret in self._secrets:
            masked = secret.masker.mask(text)
            for form in secret.squeezed:
                if form in squeezed:  # where they stood is worth finding out for these only
                    masked = _without(masked, form)
            if masked != text:
                found.add(secret.variable)
                text, squeezed = masked, _BETWEEN.sub("", masked)
        return text, sorted(found)

    def found_in(self, text: str) -> list[str]:
        """The variables whose values it still holds."""
        return self.redact(text)[1]


def _is_secret(name: str) -> bool:
    known = VARIABLES.get(name)
    return known.secret or known.kind == "url" if known is not None else name.startswith(PROVIDER_TOKEN_PREFIX)


def _secret(name: str, value: str) -> _Secret:
    is_url = name in VARIABLES and VARIABLES[name].kind == "url"
    values = secrets_of(value) if is_url else [value]
    squeezed = {_squeeze(form)[0] for each in values for form in forms_of(each)}
    masker = Masker(urls=[value]) if is_url else Masker([value])
    return _Secret(name, masker, tuple(sorted((s for s in squeezed if len(s) >= _SHORTEST), key=len, reverse=True)))


def _without(text: str, form: str) -> str:
    """Every occurrence of the squeezed form replaced, with whatever lay between its parts."""
    squeezed, places = _squeeze(text)
    parts: list[str] = []
    end = 0
    for start in _occurrences(squeezed, form):
        parts += [text[end : places[start]], MASK]
        end = places[start + len(form) - 1] + 1
    return "".join([*parts, text[end:]])


def _occurrences(squeezed: str, form: str) -> Iterator[int]:
    at = squeezed.find(form)
    while at >= 0:  # ends: each turn looks further on
        yield at
        at = squeezed.find(form, at + len(form))


def _squeeze(text: str) -> tuple[str, list[int]]:
    """Its letters and digits alone, and where each stood."""
    letters: list[str] = []
    places: list[int] = []
    at = 0
    for gap in _BETWEEN.finditer(text):
        letters.append(text[at : gap.start()])
        places.extend(range(at, gap.start()))
        at = gap.end()
    letters.append(text[at:])
    places.extend(range(at, len(text)))
    return "".join(letters), places

"""An input is a recipe, pieces with how often each stands there: a megabyte of brackets is a line of the corpus."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from hypothesis import strategies as st

Recipe: TypeAlias = list[tuple[bytes, int]]

CORPUS = Path(__file__).with_name("corpus")
# Mostly short, since a search is only as good as it is fast; now and then as much as the input may hold.
_TIMES = st.one_of(
    st.just(1), st.just(1), st.integers(0, 20), st.integers(0, 20), st.sampled_from([500, 5_000, 50_000, 1_000_000])
)


def made(recipe: Recipe, most_bytes: int) -> bytes:
    """The input, its pieces repeated no further than `most_bytes` in all."""
    parts: list[bytes] = []
    room = most_bytes
    for piece, times in recipe:
        whole = min(times, room // len(piece)) if piece else 0
        parts.append(piece * whole)
        room -= len(piece) * whole
    return b"".join(parts)


def recipes(seeds: Sequence[bytes], tokens: Sequence[bytes]) -> st.SearchStrategy[Recipe]:
    """Good inputs with something put in or taken out, and `tokens` of the language in any order."""
    piece = st.one_of(st.sampled_from(tokens), st.sampled_from(tokens), st.binary(max_size=6))
    repeated = st.tuples(piece, _TIMES)
    return st.one_of(
        st.builds(
            _mutated,
            st.sampled_from(seeds),
            st.integers(0, 4096),
            st.integers(0, 64),
            st.lists(repeated, max_size=3),
        ),
        st.lists(repeated, max_size=16),
    )


def _mutated(seed: bytes, at: int, without: int, put_in: Recipe) -> Recipe:
    at %= len(seed) + 1
    return [(seed[:at], 1), *put_in, (seed[at + without :], 1)]


def kept(target: str) -> list[Recipe]:
    """The corpus of a target: a recipe a line, blank lines and those that begin with # aside."""
    lines = (CORPUS / f"{target}.txt").read_text("utf-8").splitlines()
    return [ast.literal_eval(line) for line in lines if line.strip() and not line.startswith("#")]

"""What is fuzzed: each target reads bytes of a stranger's as a service does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.fuzz.cost import Bound
from tests.fuzz.targets import app_tokens, bodies, cursors, pushes, signatures


@dataclass(frozen=True)
class Target:
    """`check`: reads an input; what it raises is a finding. `seeds`: good inputs. `tokens`: of their language."""

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    tokens: Sequence[bytes]
    bound: Bound
    most_bytes: int


TARGETS = {
    # each input is read four times; 20,000 exponents are looked at one by one, whatever is between them
    "codec": Target(bodies.check, bodies.SEEDS, bodies.TOKENS, Bound(0.06, 4e-7), 1024 * 1024),
    "xml": Target(pushes.check, pushes.SEEDS, pushes.TOKENS, Bound(0.02, 4e-7), 256 * 1024),
    # what a head may hold, 32 KiB; a body beside it is hashed only
    "signature": Target(signatures.check, signatures.SEEDS, signatures.TOKENS, Bound(0.02, 1e-6), 32 * 1024),
    "token": Target(app_tokens.check, app_tokens.SEEDS, app_tokens.TOKENS, Bound(0.03, 2e-6), 32 * 1024),
    "cursor": Target(cursors.check, cursors.SEEDS, cursors.TOKENS, Bound(0.02, 1e-6), 32 * 1024),
}

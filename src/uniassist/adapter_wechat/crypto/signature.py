"""The platform's signature: sha1 over its sorted, joined parts. Pure.

SHA-1 and the lack of a keyed MAC are the platform's choice; the secret is one of the parts.
"""

from __future__ import annotations

import hashlib
import hmac

MAX_SKEW_SECONDS = 5 * 60


def sign(*parts: str) -> str:
    """`signature` of (token, timestamp, nonce), `msg_signature` of those and Encrypt; lower-case hex."""
    return hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()


def matches(given: str, *parts: str) -> bool:
    """Whether `given` signs `parts`, in a time that doesn't depend on where they differ."""
    return hmac.compare_digest(given.lower().encode(), sign(*parts).encode())


def is_timely(timestamp: str, now_seconds: float) -> bool:
    """Whether `timestamp`, Unix seconds as the platform writes them, is at most five minutes off."""
    if not 1 <= len(timestamp) <= 12 or not timestamp.isascii() or not timestamp.isdigit():
        return False
    return abs(int(timestamp) - now_seconds) <= MAX_SKEW_SECONDS

"""App tokens, as the guarded gateway of the tests takes them."""

from __future__ import annotations

import time

import jwt

KEY = "app-token-key-of-the-tests-0123456789"


def bearer(subject: str, *, key: object = KEY, algorithm: str = "HS256", **claims: object) -> dict[str, str]:
    """An Authorization header; a claim that is None is left out."""
    said = {"sub": subject, "exp": time.time() + 300} | claims
    headers = {"kid": said.pop("kid")} if "kid" in said else None
    given = {name: value for name, value in said.items() if value is not None}
    shown = jwt.encode(given, key, algorithm=algorithm, headers=headers)  # type: ignore[arg-type] # any kind of key
    return {"authorization": f"Bearer {shown}"}

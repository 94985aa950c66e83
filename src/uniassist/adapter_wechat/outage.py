"""What an absent database looks like."""

from __future__ import annotations

import asyncpg

OUTAGE = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError)

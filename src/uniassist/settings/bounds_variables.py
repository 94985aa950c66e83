"""What one person and one address may take of the gateway; 429 beyond it, with Retry-After."""

from __future__ import annotations

from uniassist.settings.variable import Variable, VariableGroup, count

BOUNDS = VariableGroup(
    "Bounds of the gateway, for one user and for one address",
    (
        count(
            "GATEWAY_RATE_LIMIT_PER_USER",
            "200",
            "Inputs a second of one user; with app tokens all requests of a subject; 0: no limit.",
            0,
            1_000_000,
        ),
        count(
            "GATEWAY_RATE_LIMIT_PER_ADDRESS",
            "1000",
            "Requests a second from one address, this machine and the proxies below aside; 0: no limit.",
            0,
            1_000_000,
        ),
        Variable(
            "GATEWAY_TRUSTED_PROXIES",
            "list",
            "Addresses and networks of proxies, comma-separated, whose X-Forwarded-For is believed. Without it, "
            "all that come by a proxy share its address.",
        ),
        count(
            "GATEWAY_STREAMS_PER_USER",
            "200",
            "Event streams of one app token's subject; 0: no limit.",
            0,
            1_000_000,
        ),
        count("GATEWAY_STREAMS_PER_ADDRESS", "2000", "Event streams to one address; 0: no limit.", 0, 1_000_000),
        count(
            "GATEWAY_UNKNOWN_STREAMS",
            "20",
            "Of these, streams of sessions that don't exist yet: of a subject, or of an address where apps need no "
            "token; 0: no limit.",
            0,
            1_000_000,
        ),
        count(
            "GATEWAY_DAY_MIB_PER_USER",
            "1024",
            "Bodies stored of one user in a day, in MiB; 0: no limit.",
            0,
            1_000_000,
        ),
        count(
            "GATEWAY_DAY_MIB_PER_ADDRESS",
            "16384",
            "Bodies stored from one address in a day, in MiB; 0: no limit.",
            0,
            1_000_000,
        ),
        count(
            "GATEWAY_HOUR_SESSIONS_PER_USER",
            "1000",
            "Sessions opened by one user in an hour; 0: no limit.",
            0,
            1_000_000,
        ),
        count(
            "GATEWAY_HOUR_SESSIONS_PER_ADDRESS",
            "20000",
            "Sessions opened from one address in an hour; 0: no limit.",
            0,
            1_000_000,
        ),
    ),
)

"""The variables of the gateway's console."""

from __future__ import annotations

from uniassist.settings.variable import Variable, VariableGroup, secret

CONSOLE = VariableGroup(
    "Console (a web page of the gateway's, at /console)",
    (
        Variable(
            "UNIASSIST_CONSOLE",
            "boolean",
            "Whether it is served. Empty: in dev only, where it needs no token on this machine.",
        ),
        secret(
            "UNIASSIST_CONSOLE_TOKENS",
            "Who is let in: name:role:token, comma-separated. role: read, or act, which may replay and pause too.",
            need="optional",
        ),
        Variable(
            "UNIASSIST_CONSOLE_USER_HEADER",
            "text",
            "Header in which a proxy of GATEWAY_TRUSTED_PROXIES names whom it let in, such as X-Forwarded-User; "
            "empty: none is believed.",
        ),
        Variable(
            "UNIASSIST_CONSOLE_ACTORS",
            "list",
            "Of those whom the proxy names, who may act, comma-separated; * for all. The others may read.",
        ),
        Variable(
            "UNIASSIST_CONSOLE_SERVICES",
            "list",
            "Whose health it shows: name=URL, comma-separated. Empty: in dev the services of this machine by their "
            "ports, else the gateway's own only.",
        ),
        Variable(
            "UNIASSIST_CONSOLE_RELEASE_DIR",
            "text",
            "The directory of the release tool's records, which it then shows; empty: no releases are shown.",
        ),
        Variable(
            "UNIASSIST_CONSOLE_REPORTS_DIR",
            "text",
            "Where the drills' reports lie, which it shows with the releases; empty: ops/deploy/reports of the "
            "checkout that the records lie in.",
        ),
    ),
)

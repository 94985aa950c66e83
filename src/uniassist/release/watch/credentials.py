"""Whether the system takes the tokens that a watch asks with: a wrong one would look like a broken release."""

from __future__ import annotations

from uniassist.release.checks.verify_subject import VerifySubject
from uniassist.release.exit_codes import UsageRefused
from uniassist.web.calling.client import CallFailed, JsonClient

_SECONDS = 5.0
_REFUSED = (401, 403)
_OTHERWISE = (
    "a watch would take that for a broken release and roll it back; correct it"
    "{unset}, or, if it is right and the release doesn't know it: uniassist release rollback"
)


async def check(subject: VerifySubject) -> None:
    """UsageRefused names the token. A gateway that doesn't answer is for the watch to judge."""
    async with JsonClient() as client:
        if subject.context_token is not None:
            asked = {"Authorization": f"Bearer {subject.context_token}", "x-provider-scopes": "context:read"}
            status = await _status(client, subject, "/v0/context/users/profile:user-check", asked)
            if status in _REFUSED:
                unset = ", unset it to leave the context path out"
                raise UsageRefused(_said("STAGING_CONTEXT_TOKEN", status, _OTHERWISE.format(unset=unset)))
        shown = {"Authorization": f"Bearer {subject.app_token}"} if subject.app_token is not None else {}
        status = await _status(client, subject, "/v0/timeline?sessionId=watch-token-check", shown)
        if status in _REFUSED:
            raise UsageRefused(_said("STAGING_APP_TOKEN", status, _OTHERWISE.format(unset="")))


def _said(name: str, status: int | None, otherwise: str) -> str:
    return f"{name}: the gateway refused it, or that there is none ({status}); {otherwise}"


async def _status(client: JsonClient, subject: VerifySubject, target: str, headers: dict[str, str]) -> int | None:
    try:
        answer = await client.request(
            "GET", f"{subject.urls['gateway']}{target}", headers=headers, timeout_seconds=_SECONDS
        )
    except CallFailed:
        return None
    return answer.status
